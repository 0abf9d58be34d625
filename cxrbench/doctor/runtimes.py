"""What can compute a trained network here, as each runtime says itself: ONNX Runtime, TensorRT and others."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from cxrbench.doctor.check import Check
from cxrbench.interfaces import DeviceType, NumberFormat, Runtime
from cxrbench.options import make, parse_use
from cxrbench.plugins import Raised, guarded
from cxrbench.registry import Registry


def runtimes(registry: Registry, device: DeviceType) -> list[Check]:
    """A line for each runtime, on this device."""
    return [_runtime(each.name, registry, device) for each in registry.all("runtime") if not each.is_family]


def _runtime(name: str, registry: Registry, device: DeviceType) -> Check:
    asked = guarded(partial(_ask, name, registry, device))
    if isinstance(asked, Raised):
        return Check("runtimes", name, "broken", f"cannot be asked: {asked.reason}")
    why, precisions = asked
    if not why:
        return Check("runtimes", name, "ok", f"on {device}: {', '.join(precisions)}")
    found, colon, mend = why.partition(": pip ")
    return Check("runtimes", name, "absent", found, f"pip {mend}" if colon else "")


def _ask(name: str, registry: Registry, device: DeviceType) -> tuple[str, Sequence[NumberFormat]]:
    """Why a runtime cannot run on the device, and the number formats that it has there."""
    runtime: Runtime = make(parse_use("--runtimes", name), "runtime", registry)
    why = runtime.unavailable(device)
    return why, () if why else runtime.precisions(device)
