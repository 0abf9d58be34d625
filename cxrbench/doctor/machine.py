"""Processors, memory and disk."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from cxrbench.doctor.check import Check
from cxrbench.processors import processors

_LIMIT = Path("/sys/fs/cgroup/memory.max")
"""How much memory a container may take, where there is such a limit."""

_LEAST_DISK = 1e9
"""Bytes below which hardly a checkpoint can be written."""


def machine(results: Path) -> list[Check]:
    """What there is to compute with, and to write to."""
    return [_processors(), _memory(), _disk(results)]


def _processors() -> Check:
    here = os.cpu_count() or 1
    return Check("machine", "processors", "ok", f"{processors()} of {here} may be used")


def _memory() -> Check:
    import psutil

    memory = psutil.virtual_memory()
    found = f"{memory.available / 1e9:.1f} of {memory.total / 1e9:.1f} GB free"
    limit = _LIMIT.read_text().strip() if _LIMIT.is_file() else "max"
    if limit != "max" and int(limit) < memory.total:
        found += f"; this container may take {int(limit) / 1e9:.1f} GB"
    return Check("machine", "memory", "ok", found)


def _disk(results: Path) -> Check:
    folder = next(each for each in (results.absolute(), *results.absolute().parents) if each.is_dir())
    free = shutil.disk_usage(folder).free
    found = f"{free / 1e9:.1f} GB free at {folder}"
    if not os.access(folder, os.W_OK):
        return Check("machine", "disk", "broken", f"{folder} cannot be written to", f"chmod u+w {folder}")
    if free < _LEAST_DISK:
        return Check("machine", "disk", "broken", found, "cxrbench store gc --unfinished --images")
    return Check("machine", "disk", "ok", found)
