"""MedMNIST's chest radiographs for cxrbench; what is heavy is imported where it is used."""

from __future__ import annotations

from cxrbench.hookspecs import Register, hookimpl


@hookimpl
def register_datasets(register: Register) -> None:
    """Register the data sets, as a family."""
    register(
        "medmnist/*",
        "cxrbench_medmnist.dataset:MedMnist",
        version="1",
        summary="MedMNIST's chestmnist and pneumoniamnist, of 28 to 224 px (--data-root DIR)",
    )
