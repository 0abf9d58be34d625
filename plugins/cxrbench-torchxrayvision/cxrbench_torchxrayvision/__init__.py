"""Torchxrayvision's published networks for cxrbench; what is heavy is imported where it is used."""

from __future__ import annotations

from cxrbench.hookspecs import Register, hookimpl


@hookimpl
def register_backbones(register: Register) -> None:
    """Register the published networks, as a family."""
    register(
        "xrv/*",
        "cxrbench_torchxrayvision.networks:XrvNetwork",
        version="1",
        summary="torchxrayvision's published networks as they are, by name (local weights)",
    )
