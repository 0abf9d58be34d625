"""OpenVINO as a runtime of cxrbench; what is heavy is imported where it is used."""

from __future__ import annotations

from cxrbench.hookspecs import Register, hookimpl


@hookimpl
def register_runtimes(register: Register) -> None:
    """Register OpenVINO."""
    register("openvino", "cxrbench_openvino.runtime:OpenVino", version="1", summary="OpenVINO, on a CPU")
