"""A search's journal on disk: what belongs together is one line, which is there whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Log = Mapping[str, Any]


class Journal:
    """What Optuna's ``JournalStorage`` writes to and reads from (a ``BaseJournalBackend``), for one process.

    Each line is a JSON list of Optuna's logs, synced before anything goes on. Optuna's own file has a log a
    line, so that a process killed between two leaves half of a step, and a lock that outlives the process.
    """

    def __init__(self, path: Path) -> None:
        """Read the journal at ``path``, or begin it; a line that a killed process left torn is cut off.

        Raises:
            ValueError: a line is not what was written.
        """
        self._path = path
        self._together = 0
        self._waiting: list[Log] = []
        content = path.read_bytes() if path.exists() else b""
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            with path.open("r+b") as file:
                file.truncate(whole)
        self._logs: list[Log] = [log for line in content[:whole].splitlines() for log in json.loads(line)]

    def read_logs(self, log_number_from: int) -> Sequence[Log]:
        """All logs from that number on."""
        return self._logs[log_number_from:]

    def append_logs(self, logs: Sequence[Log]) -> None:
        """Add logs: to the file at once, or at the end of the block that is :meth:`together`."""
        self._logs += logs
        self._waiting += logs
        if not self._together:
            self._write()

    @contextmanager
    def together(self) -> Iterator[None]:
        """A block whose logs reach the file at once, at its end, or not at all."""
        self._together += 1
        yield
        # Not where the block fails: then the process ends, and what it began is as if it had not been.
        self._together -= 1
        if not self._together:
            self._write()

    def _write(self) -> None:
        if self._waiting:
            with self._path.open("ab") as file:
                file.write(json.dumps(self._waiting, separators=(",", ":")).encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
            self._waiting = []
