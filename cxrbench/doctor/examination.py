"""All that is looked at, in order."""

from __future__ import annotations

from pathlib import Path

from cxrbench.doctor.check import Check
from cxrbench.doctor.gpu import gpu
from cxrbench.doctor.packages import extras, needed, python
from cxrbench.doctor.plugged import plugged
from cxrbench.plugins import Plugins


def examine(results: Path, installed: Plugins) -> list[Check]:
    """Look at Python, packages, GPU, runtimes, machine, store and plugins; nothing is changed."""
    packages = [python(), *needed()]
    devices = gpu()
    checks = [*packages, *devices]
    # What is looked at by means of these packages cannot be told without them; what lacks is said already.
    whole = all(each.state != "broken" for each in packages)
    if whole and devices[0].state == "ok":
        from cxrbench.doctor.runtimes import runtimes

        has_cuda = any(each.name == "CUDA" and each.state == "ok" for each in devices)
        checks += runtimes(installed.registry, "cuda" if has_cuda else "cpu")
    checks += extras()
    if whole:
        from cxrbench.doctor.machine import machine
        from cxrbench.doctor.stored import stored

        checks += [*machine(results), *stored(results)]
    return [*checks, *plugged(installed.plugins)]
