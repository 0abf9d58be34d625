"""From the source of an image to its pixels as they are stored, in threads or processes of their own."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing import connection
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from PIL import Image

from cxrbench.errors import CxrbenchError, DamagedImageError
from cxrbench.interfaces import Dataset, Preprocessing
from cxrbench.processors import processors
from cxrbench.sources import read_source, source_stamp

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cxrbench.pixels.identities import Stamp

T = TypeVar("T")
R = TypeVar("R")

MANY_FILES = 1000
"""From so many on, processes are worth their start: what holds the interpreter's lock, as some decoders
do, then runs beside itself."""


@dataclass(frozen=True)
class Wanted:
    """An image to prepare.

    Attributes:
        image_id: its id.
        source: its path below the data root; empty where it is drawn.
        identity: what stands for its pixels; None where its file must be read to know.
    """

    image_id: str
    source: str
    identity: str | None


@dataclass(frozen=True)
class Found:
    """An image that was read.

    Attributes:
        stamp: of its file; None where there is no file.
        pixels: uint8 ``[side, side]``; None where its identity has a row already.
    """

    image_id: str
    source: str
    stamp: Stamp | None
    identity: str
    pixels: NDArray[np.uint8] | None


@dataclass(frozen=True)
class Unreadable:
    """An image that could not be read, and why, in a clause that names it."""

    why: str


@dataclass(frozen=True)
class Preparer:
    """Reads a file once, for its identity and, where that has no row, for its pixels.

    Attributes:
        dataset: decodes or draws.
        root: the data root; None where nothing has a file.
        preprocessing: what is done to the whole image.
        side: of the stored square.
        stored: identities that have a row.
    """

    dataset: Dataset
    root: Path | None
    preprocessing: Preprocessing
    side: int
    stored: frozenset[str]

    def __call__(self, image: Wanted) -> Found | Unreadable:
        """The image; in any thread or process."""
        stamp, content, identity = None, None, image.identity
        try:
            if self.root is not None and image.source:
                # Before the content: a file that changes meanwhile then has another stamp next time.
                stamp = source_stamp(self.root, image.source)
                content = read_source(self.root, image.source)
                identity = hashlib.sha256(content).hexdigest()
            if identity is None:
                raise ValueError(f"{image.image_id} has neither a file nor an identity")
            pixels = None
            if identity not in self.stored:
                whole = self.dataset.pixels(content, image.image_id, self.side)
                pixels = squared(self.preprocessing.apply(whole), self.side)
        except DamagedImageError as error:
            return Unreadable(f"{image.image_id} {error.what}")
        except CxrbenchError as error:
            return Unreadable(str(error).rstrip("."))
        return Found(image.image_id, image.source, stamp, identity, pixels)


def squared(image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """A grey image ``[height, width]`` as ``[side, side]``: its sides are scaled apart."""
    if image.shape == (side, side):
        return image
    # Pillow's bilinear filter widens with the reduction, so that nothing aliases.
    return np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.BILINEAR))


def prepared(preparer: Preparer, images: Sequence[Wanted]) -> Iterator[Found | Unreadable]:
    """The images in their order; only a few wait at any time, however many there are."""
    return in_parallel(preparer, images, sum(bool(image.source) for image in images))


def in_parallel(function: Callable[[T], R], items: Sequence[T], files: int, ahead: int = 0) -> Iterator[R]:
    """What a function makes of items, in their order, ahead of who asks; only a few wait at any time.

    Args:
        function: reads and decodes; from :data:`MANY_FILES` on it is sent to other processes.
        items: what it is called with.
        files: how many of them are files.
        ahead: how many may be done before they are asked for; at least four times the processors.
    """
    count = processors()
    most_waiting = max(4 * count, ahead)
    if files >= MANY_FILES:
        # Spawned, since a fork would copy locks that threads of this process hold.
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(count, context, _start_process, (function,)) as processes:
            yield from _in_order(processes, _call, items, most_waiting)
    else:
        # Two more than processors, which read meanwhile.
        with ThreadPoolExecutor(count + 2) as threads:
            yield from _in_order(threads, function, items, most_waiting)


def _in_order(
    pool: Executor, function: Callable[[T], R], items: Iterable[T], most_waiting: int
) -> Iterator[R]:
    waiting: deque[Future[R]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > most_waiting:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


_of_this_process: Callable[[Any], Any]


def _start_process(function: Callable[[Any], Any]) -> None:
    global _of_this_process
    _of_this_process = function
    # Interrupted at the keyboard, the process that waits for this one says so and ends it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A killed parent leaves its workers waiting for it for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)


def _call(item: Any) -> Any:
    return _of_this_process(item)
