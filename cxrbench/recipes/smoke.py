"""A recipe made so small that it runs in seconds: to see that it runs, not what it is worth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from cxrbench.architecture import architecture_of
from cxrbench.errors import UsageError
from cxrbench.recipes import combined
from cxrbench.registry import Registry
from cxrbench.specs import RunSpec

IMAGES = 16
"""Of each role."""

_SIZE = 64
_NETWORKS = 2
"""Where several are averaged."""

_SETTINGS = {
    "dataset": "phantom:train_val=600,test=200",
    "images_per_role": IMAGES,
    "weights": "none",
    "min_positives": 0,
    "training": {"epochs": 1, "batch_size": 8},
}


def smaller(given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings with few images of the embedded data set, random weights and an epoch a cycle."""
    cycles = given.get("training", {}).get("cycles", ())
    short = [{name: value for name, value in cycle.items() if name != "epochs"} for cycle in cycles]
    fewer = {name: min(given[name], _NETWORKS) for name in ("averaged", "relabelled_by") if name in given}
    small = combined(given, {**_SETTINGS, **fewer})
    return combined(small, {"training": {"cycles": short}}) if short else small


def with_small_images(spec: RunSpec, registry: Registry) -> RunSpec:
    """The run at 64 pixels, where its network takes images of that size; else as it is."""
    small = spec.model_copy(update={"image_size": min(_SIZE, spec.image_size)})
    architecture = architecture_of(small, registry)
    try:
        # Shapes alone: on this device nothing is computed.
        with torch.device("meta"), torch.no_grad():
            network = architecture.build(2, small.image_size, False).eval()
            image = torch.zeros(1, len(architecture.mean), small.image_size, small.image_size)
            inputs = {"image": image, "patient": torch.zeros(1, 3)}
            network(*(inputs[name] for name in architecture.inputs))
    except (UsageError, RuntimeError, ValueError):
        # A network that is made for one size says so as it is built, or as layers do not fit each other.
        return spec
    return small
