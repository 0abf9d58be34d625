"""All that is looked at, in order."""

from __future__ import annotations

from pathlib import Path

from cxrbench.doctor.check import Check
from cxrbench.doctor.gpu import gpu
from cxrbench.doctor.machine import machine
from cxrbench.doctor.packages import extras, needed, python
from cxrbench.doctor.plugged import plugged
from cxrbench.doctor.stored import stored
from cxrbench.plugins import Plugins


def examine(results: Path, installed: Plugins) -> list[Check]:
    """Look at Python, packages, GPU, runtimes, machine, store and plugins; nothing is changed."""
    packages = [python(), *needed()]
    devices = gpu()
    checks = [*packages, *devices]
    # Runtimes are built on torch; what is wrong without it is said already.
    if all(each.state != "broken" for each in packages) and devices[0].state == "ok":
        from cxrbench.doctor.runtimes import runtimes

        has_cuda = any(each.name == "CUDA" and each.state == "ok" for each in devices)
        checks += runtimes(installed.registry, "cuda" if has_cuda else "cpu")
    return [*checks, *extras(), *machine(results), *stored(results), *plugged(installed.plugins)]
