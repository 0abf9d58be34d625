"""Heatmaps of the findings that are called, each over its image as a PNG file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from matplotlib import colormaps
from PIL import Image
from torch import nn

from cxrbench.interfaces import Explainer, SamplePlan
from cxrbench.map_layers import MapLayer, layer_of, named_layers, without_maps
from cxrbench.options import Use
from cxrbench.predicting.reading import ReadImage
from cxrbench.reporter import Reporter
from cxrbench.stages import explain
from cxrbench.training.batches import Rows
from cxrbench.training.views import central_window
from cxrbench.workflow.trained import Trained

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LONGEST = 768
"""Pixels of a picture's longer side."""

_OPAQUE = 0.55


@dataclass(frozen=True)
class Heatmaps:
    """Heatmaps that are asked for.

    Attributes:
        folder: where they are written; made where there is none.
        explainer: makes them.
        layer: of the network; None for the one that it names, or its last.
        use: names the explainer.
    """

    folder: Path
    explainer: Explainer
    use: Use
    layer: str | None = None

    def of(self, trained: Trained, network: nn.Module, device: torch.device) -> Drawer:
        """What draws them for a network, which is in evaluation mode on ``device``.

        Raises:
            UsageError: the network has no such layer, or none that gives maps.
        """
        side, channels = trained.spec.image_size, len(trained.backbone.mean)
        shapes = {"image": (2, channels, side, side), "patient": (2, 3)}
        generator = torch.Generator().manual_seed(0)
        probe = [torch.rand(shapes[each], generator=generator).to(device) for each in trained.backbone.inputs]
        if self.layer is not None:
            return Drawer(self, trained, network, device, layer_of(network, probe, self.layer))
        if not (found := named_layers(network, probe)):
            raise without_maps(trained.run_id)
        return Drawer(self, trained, network, device, next(iter(found.values())))


@dataclass(frozen=True)
class Drawer:
    """Draws the heatmaps of one network.

    Attributes:
        asked: which, and where to.
        trained: the run's.
        network: in evaluation mode.
        device: where it is.
        layer: by which it is explained.
    """

    asked: Heatmaps
    trained: Trained
    network: nn.Module
    device: torch.device
    layer: MapLayer

    def draw(
        self, read: Sequence[ReadImage], rows: Rows, wanted: NDArray[np.bool_], before: int
    ) -> list[dict[str, Path]]:
        """Write the maps of images' wanted findings.

        Args:
            read: the images.
            rows: the same, as the network sees them.
            wanted: bool ``[n, classes]``.
            before: how many images there were before these; it stands in files' names.

        Returns:
            For each image its files by finding.
        """
        files: list[dict[str, Path]] = [{} for _ in read]
        places, columns = np.nonzero(wanted)
        if not len(places):
            return files
        self.asked.folder.mkdir(parents=True, exist_ok=True)
        spec = self.trained.spec
        maps = explain.maps_of(
            self.asked.explainer,
            self.network,
            self.layer,
            spec,
            self.trained.backbone,
            rows.planned(SamplePlan(places.astype(np.int64), np.zeros(len(places), bool))),
            columns.tolist(),
            self.device,
            Reporter(quiet=True),
        )
        for heat, place, column in zip(maps, places, columns, strict=True):
            image, finding = read[int(place)], self.trained.task.classes[column]
            path = self.asked.folder / f"{_stem(image, before + int(place) + 1)}-{_safe(finding)}.png"
            _picture(image, heat, spec.image_size, spec.crop).save(path)
            files[int(place)][finding] = path
        return files


def _picture(image: ReadImage, heat: NDArray[np.float32], size: int, crop: float) -> Image.Image:
    """A map over what the network sees of the image; the image has the sides' ratio of its file."""
    # Heatmaps are of one network, which has one sight.
    (pixels,) = image.pixels.values()
    side = pixels.shape[0]
    margin, window = central_window(side, size, crop)
    whole = np.zeros((side, side), np.float32)
    seen = Image.fromarray(heat).resize((window, window), Image.Resampling.BILINEAR)
    whole[margin : margin + window, margin : margin + window] = np.asarray(seen).clip(0, 1)
    colours = colormaps["inferno"](whole)[..., :3]
    opaque = (_OPAQUE * np.clip(whole * 2, 0, 1))[..., None]
    mixed = pixels[..., None] / 255 * (1 - opaque) + colours * opaque
    height, width = image.shape
    scale = _LONGEST / max(height, width)
    shape = max(1, round(width * scale)), max(1, round(height * scale))
    return Image.fromarray(np.rint(mixed * 255).astype(np.uint8)).resize(shape, Image.Resampling.BILINEAR)


def _stem(image: ReadImage, number: int) -> str:
    """A name that no other image has, and that does not name the patient."""
    named = image.header is not None and image.header.names(image.path.stem)
    return f"{number:05d}" if named else f"{number:05d}-{_safe(image.path.stem)}"


def _safe(text: str) -> str:
    return re.sub(r"[^\w.-]+", "_", text)[:80]
