"""What a command tells while it works: on stderr, live on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

Advance = Callable[[int, str], None]
"""Called with how many units are done more, and a few words on the state (may be empty)."""

_PLAIN_SECONDS = 15.0
"""At most one plain progress line in this many seconds."""


class Reporter:
    """Says sentences and shows progress; quiet ones only warn."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._terminal = sys.stderr.isatty()

    @property
    def console(self) -> Console:
        """A rich console on stderr."""
        from rich.console import Console

        return Console(stderr=True, highlight=False, soft_wrap=True)

    def say(self, text: str) -> None:
        """One line on what happens."""
        if not self._quiet:
            self._print(text, "")

    def warn(self, text: str) -> None:
        """One line that even a quiet command shows."""
        self._print(f"warning: {text}", "yellow")

    def error(self, text: str) -> None:
        """What went wrong, whether quiet or not."""
        self._print(f"Error: {text}", "bold red")

    def _print(self, text: str, style: str) -> None:
        if self._terminal:
            self.console.print(text, style=style or None, markup=False)
        else:
            print(text, file=sys.stderr, flush=True)

    @contextmanager
    def progress(self, what: str, total: int) -> Iterator[Advance]:
        """Show work of ``total`` units; the block calls the yielded function as it advances."""
        if self._quiet:
            yield lambda count, note: None
        elif self._terminal:
            yield from self._live(what, total)
        else:
            yield from self._plain(what, total)

    def _live(self, what: str, total: int) -> Iterator[Advance]:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
        )
        with Progress(*columns, console=self.console, transient=True) as progress:
            task = progress.add_task(what, total=total, note="")
            yield lambda count, note: progress.update(task, advance=count, note=note)

    def _plain(self, what: str, total: int) -> Iterator[Advance]:
        done, last = 0, time.monotonic()

        def advance(count: int, note: str) -> None:
            nonlocal done, last
            done += count
            if time.monotonic() - last >= _PLAIN_SECONDS:
                last = time.monotonic()
                print(f"{what}: {done} of {total}{f' ({note})' if note else ''}", file=sys.stderr, flush=True)

        yield advance
