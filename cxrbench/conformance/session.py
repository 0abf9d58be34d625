"""Plugins checked in processes of their own: one that hangs is stopped, one that crashes is told as such.

A process goes through the parts of a plugin: its components, hooks and commands. Where it hangs or ends
within a check, that check failed, the part's others are not made, and another process goes on with the next.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import IO, Any, Literal

from cxrbench.conformance.verdicts import remember
from cxrbench.errors import CxrbenchError, sentence
from cxrbench.registry import KINDS, Component

SECONDS = 10.0
"""How long a check may take."""

LONGER = 6
"""How many times as long one may take that compiles a network."""

_STARTING = 300.0
"""Seconds until a check begins: Python and torch start meanwhile, on a cold disk too."""

_PLUGIN = "plugin"
"""What checks of the plugin itself are of."""

Uses = Sequence[Mapping[str, Any]]
"""Components by ``kind``, ``name`` and ``options``."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one check.

    Attributes:
        of: ``plugin``, or a part of it: ``KIND/NAME`` of a component, ``hook/NAME``, ``command/NAME``.
        check: its name.
        advice: what is right, in a sentence.
        outcome: ``not made`` where it needs what was not given.
        seen: what was seen, where it is not passed.
        trace: the traceback, where there is one.
        seconds: how long it took.
    """

    of: str
    check: str
    advice: str
    outcome: Literal["passed", "failed", "not made"]
    seen: str = ""
    trace: str = ""
    seconds: float = 0.0


@dataclass
class Checked:
    """A plugin, or components of one, and what became of each check.

    Attributes:
        name: of the plugin, or what was asked for.
        distribution: package and version.
        outcomes: in the order in which they were made.
    """

    name: str
    distribution: str
    outcomes: list[Outcome] = field(default_factory=list)

    def count(self, outcome: str) -> int:
        """How many checks had that outcome."""
        return sum(1 for each in self.outcomes if each.outcome == outcome)

    @property
    def conforms(self) -> bool:
        """Whether no check failed, and of the components, where there are any, some could be checked."""
        of_components = [o.outcome for o in self.outcomes if o.of.partition("/")[0] in KINDS]
        return not self.count("failed") and ("passed" in of_components or not of_components)


@dataclass(frozen=True)
class Request:
    """What is to be checked.

    Attributes:
        points: the plugin's entry points, its commands' too; none for components of cxrbench itself.
        uses: components; None for all parts of the plugin.
        root: folder of a data set's files.
        seconds: how long a check may take.
    """

    points: Sequence[EntryPoint]
    uses: Uses | None
    root: Path | None = None
    seconds: float = SECONDS

    def text(self, only: Sequence[str] | None, scratch: str) -> str:
        """As :mod:`cxrbench.conformance.process` reads it.

        Args:
            only: parts that are still to be checked; None for all.
            scratch: a folder to work in.
        """
        points = [[point.group, point.name, point.value] for point in self.points]
        root = None if self.root is None else str(self.root.absolute())
        told = {"points": points, "uses": self.uses, "root": root, "only": only, "scratch": scratch}
        return json.dumps(told)


def check(request: Request, told: Callable[[Outcome], None], warn: Callable[[str], None]) -> list[Outcome]:
    """Check a plugin, and keep what its components failed (:mod:`cxrbench.conformance.verdicts`).

    Args:
        request: what is to be checked.
        told: called with each outcome.
        warn: called where what components failed cannot be kept.

    Raises:
        CxrbenchError: a process could not be started.
    """
    outcomes: list[Outcome] = []

    def add(outcome: Outcome) -> None:
        outcomes.append(outcome)
        told(outcome)

    parts, left = _in_one_process(request, None, add)
    while left:
        # The plugin is loaded again, and that is not told again.
        _, left = _in_one_process(
            request,
            left,
            lambda told: None if told.of == _PLUGIN and told.outcome != "failed" else add(told),
        )
    try:
        _keep(parts, outcomes)
    except OSError as error:
        warn(f"What was found is not remembered: {sentence(error)}")
    return outcomes


def _keep(parts: Sequence[Mapping[str, Any]], outcomes: Sequence[Outcome]) -> None:
    for part in parts:
        of_it = [outcome for outcome in outcomes if outcome.of == part["of"]]
        made = of_it and not any(outcome.outcome == "not made" for outcome in of_it)
        if "component" in part and made:
            failed = [outcome.check for outcome in of_it if outcome.outcome == "failed"]
            remember(Component(**part["component"]), part["options"], failed)


def _in_one_process(
    request: Request, only: Sequence[str] | None, add: Callable[[Outcome], None]
) -> tuple[Sequence[Mapping[str, Any]], Sequence[str]]:
    """Go through a plugin until the process ends, by itself or not.

    Returns:
        The parts as the process tells of them, and the names of those that are still to be checked.
    """
    parts: Sequence[Mapping[str, Any]] = ()
    step: dict[str, Any] = {}
    long, begun = False, 0.0
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch,
        _started(request.text(only, scratch)) as (lines, ended),
    ):
        while True:
            allowed = request.seconds * (LONGER if long else 1) if step else _STARTING
            try:
                event = json.loads(lines.get(timeout=allowed) or "{}")
            except queue.Empty:
                seen, trace = f"It did not end within {allowed:g} s and was stopped.", ""
                break
            if not event:
                seen, trace = ended()
                break
            if "parts" in event:
                parts = event["parts"]
            elif "begin" in event:
                step = event["begin"]
                long, begun = step.pop("long"), time.perf_counter()
            elif "end" in event:
                add(Outcome(**step, **event["end"]))
                step = {}
            else:
                return parts, ()
    if not step:
        raise CxrbenchError(f"Checks in a process of their own came to nothing: {seen} {trace}".strip())
    seconds = round(time.perf_counter() - begun, 3)
    add(Outcome(**step, outcome="failed", seen=seen, trace=trace, seconds=seconds))
    names = [part["of"] for part in parts]
    behind = names[names.index(step["of"]) + 1 :] if step["of"] in names else ()
    return parts, [name for name in behind if only is None or name in only]


@contextlib.contextmanager
def _started(request: str) -> Iterator[tuple[queue.Queue[str], Callable[[], tuple[str, str]]]]:
    """A process at work: its lines, behind them an empty one; how it ended, and what it said at last."""
    # A session of its own, so that whatever it starts ends with it. Without the folder that one works in,
    # whose files would hide modules of the same name; and with assertions, which checks are made of.
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as errors,
        subprocess.Popen(
            [sys.executable, "-P", "-m", "cxrbench.conformance.process", request],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            encoding="utf-8",
            env={**os.environ, "PYTHONOPTIMIZE": ""},
            start_new_session=True,
        ) as process,
    ):
        lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=_read, args=(process.stdout, lines), daemon=True).start()

        def ended() -> tuple[str, str]:
            code = process.wait()
            how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
            errors.seek(0)
            return f"The interpreter ended with {how}.", errors.read()[-2000:]

        try:
            yield lines, ended
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def _read(source: IO[str], lines: queue.Queue[str]) -> None:
    for line in source:
        lines.put(line)
    lines.put("")
