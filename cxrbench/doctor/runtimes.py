"""What can compute a trained network here, as each runtime says itself: ONNX Runtime, TensorRT and others."""

from __future__ import annotations

from functools import partial

from cxrbench.doctor.check import Check
from cxrbench.guarding import Raised, guarded
from cxrbench.interfaces import DeviceType
from cxrbench.latency.choice import ask
from cxrbench.options import parse_use
from cxrbench.registry import Registry


def runtimes(registry: Registry, device: DeviceType) -> list[Check]:
    """A line for each runtime, on this device."""
    return [_runtime(each.name, registry, device) for each in registry.all("runtime") if not each.is_family]


def _runtime(name: str, registry: Registry, device: DeviceType) -> Check:
    asked = guarded(partial(ask, parse_use("--runtimes", name), device, registry))
    if isinstance(asked, Raised):
        return Check("runtimes", name, "broken", f"cannot be asked: {asked.reason}")
    why, precisions = asked
    if not why:
        return Check("runtimes", name, "ok", f"on {device}: {', '.join(precisions)}")
    found, colon, mend = why.partition(": pip ")
    return Check("runtimes", name, "absent", found, f"pip {mend}" if colon else "")
