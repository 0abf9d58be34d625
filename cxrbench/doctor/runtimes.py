"""What can compute a trained network here, as each runtime says itself: ONNX Runtime, TensorRT and others."""

from __future__ import annotations

from cxrbench.doctor.check import Check
from cxrbench.errors import CxrbenchError
from cxrbench.interfaces import DeviceType, Runtime
from cxrbench.options import make, parse_use
from cxrbench.registry import Registry


def runtimes(registry: Registry, device: DeviceType) -> list[Check]:
    """A line for each runtime, on this device."""
    return [_runtime(each.name, registry, device) for each in registry.all("runtime")]


def _runtime(name: str, registry: Registry, device: DeviceType) -> Check:
    try:
        runtime: Runtime = make(parse_use("--runtimes", name), "runtime", registry)
        why = runtime.unavailable(device)
    except (CxrbenchError, ImportError, OSError) as error:
        return Check("runtimes", name, "broken", f"cannot be loaded: {error}")
    if not why:
        return Check("runtimes", name, "ok", f"on {device}: {', '.join(runtime.precisions(device))}")
    found, colon, mend = why.partition(": pip ")
    return Check("runtimes", name, "absent", found, f"pip {mend}" if colon else "")
