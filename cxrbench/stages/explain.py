"""Explain: a checkpoint's heatmaps of pairs of image and finding."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from safetensors.numpy import load_file, save_file
from torch import nn

from cxrbench.errors import CxrbenchError
from cxrbench.interfaces import Backbone, Explainer
from cxrbench.map_layers import MapLayer
from cxrbench.reporter import Reporter
from cxrbench.specs import RunSpec
from cxrbench.training.batches import Rows, loader
from cxrbench.training.devices import true_fp32
from cxrbench.training.views import network_inputs

if TYPE_CHECKING:
    from numpy.typing import NDArray

VERSION = "1"
"""Changes when the same checkpoint and pixels give other maps."""

_AT_ONCE = 64
"""Images: the library keeps what it needs of each until the batch is done."""


def run(folder: Path, maps: NDArray[np.float32]) -> None:
    """Write ``maps.safetensors``: maps ``[n, S, S]`` in half precision, 0..1."""
    save_file({"maps": maps.astype(np.float16)}, folder / "maps.safetensors")


def read_maps(folder: Path) -> NDArray[np.float32]:
    """What :func:`run` wrote, float32 ``[n, S, S]``."""
    return load_file(folder / "maps.safetensors")["maps"].astype(np.float32)


def maps_of(
    explainer: Explainer,
    network: nn.Module,
    layer: MapLayer,
    spec: RunSpec,
    backbone: Backbone,
    rows: Rows,
    classes: Sequence[int],
    device: torch.device,
    reporter: Reporter,
) -> NDArray[np.float32]:
    """Maps ``[n, S, S]`` of rows, each for its class; in fp32, without TF32.

    Args:
        explainer: makes them.
        network: in eval mode, on ``device``.
        layer: of the network.
        spec: of the run.
        backbone: says what the network sees.
        rows: the images; one may be there several times.
        classes: ``[n]``, places among the task's classes.
        device: where to compute.
        reporter: told of the work.

    Raises:
        CxrbenchError: a map is not finite, or not one of an image.
    """
    size, at_once = spec.image_size, min(spec.training.images_a_step, _AT_ONCE)
    maps = np.empty((len(rows), size, size), np.float32)
    done = 0
    with true_fp32(), reporter.progress("explaining", len(rows)) as advance:
        for batch in loader(rows, at_once):
            part = {name: tensor.to(device) for name, tensor in batch.items()}
            inputs = network_inputs(backbone, part, size, spec.crop, spec.training.channels_last)
            end = done + len(batch["row"])
            found = explainer.maps(network, layer, inputs, classes[done:end])
            if found.shape != (end - done, size, size) or not np.isfinite(found).all():
                raise CxrbenchError(
                    f"The explainer gives maps {found.shape} of {end - done} images of {size} px, or values "
                    "that are not finite; take another one, or another --layer."
                )
            maps[done:end] = found
            advance(end - done, "")
            done = end
    return maps
