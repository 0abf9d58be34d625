"""A few training images before and after preprocessing, resizer and augmentation, without a cache."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from safetensors import safe_open
from torch import nn

from cxrbench.errors import CxrbenchError
from cxrbench.findings import NO_FINDING
from cxrbench.interfaces import Augmentation, Backbone, Dataset, Preprocessing, Resizer
from cxrbench.options import make
from cxrbench.pixels.images import stored_side
from cxrbench.pixels.preparing import squared
from cxrbench.registry import Registry
from cxrbench.selection import selection_of
from cxrbench.sources import read_source
from cxrbench.specs import RunSpec
from cxrbench.training.randomness import derive, hash_ids, uniforms
from cxrbench.training.views import central_view, normalised

if TYPE_CHECKING:
    from numpy.typing import NDArray

EPOCHS = (1, 2, 3)
"""Training's views are those of its first epochs."""


@dataclass(frozen=True)
class Preview:
    """What becomes of an image of train.

    Attributes:
        image_id: as in the manifest.
        findings: those present; No Finding where all are absent; empty where labels are unknown.
        original: uint8 ``[h, w]``, as the data set gives it.
        preprocessed: uint8 ``[h, w]``.
        evaluation: float 0..1 ``[size, size]``, what a network sees of it in evaluation.
        training: the same in training's first epochs, before normalisation.
        resized: float 0..1 ``[side, side, channels]``, what the resizer makes of ``evaluation``,
            normalisation undone and cut at black and white; None without a resizer.
    """

    image_id: str
    findings: tuple[str, ...]
    original: NDArray[np.uint8]
    preprocessed: NDArray[np.uint8]
    evaluation: NDArray[np.float32]
    training: tuple[NDArray[np.float32], ...]
    resized: NDArray[np.float32] | None


def previews_of(
    spec: RunSpec, registry: Registry, root: Path | None, images: int, weights: Path | None = None
) -> list[Preview]:
    """Up to ``images`` images of train, which ones depends on their ids and the spec's seed alone.

    Args:
        spec: resolved; its data set, what is selected of it, preprocessing, resizer, augmentation, the
            backbone's channels, image size, crop and seed are used.
        registry: where its components are found.
        root: folder of the data set's files.
        images: how many at most.
        weights: of a trained network, of which the resizer's are taken; None: it is not trained.

    Raises:
        CxrbenchError: the data set or an image cannot be read, or no image is for train.
        UsageError: a file of labels or exclusions is missing or does not fit the data set.
    """
    dataset: Dataset = make(spec.dataset, "dataset", registry)
    preprocessing: Preprocessing = make(spec.preprocessing, "preprocessing", registry)
    augmentation: Augmentation = make(spec.augmentation, "augmentation", registry)
    selected = selection_of(spec, registry).of(dataset.read(root))
    train = selected.collection.manifest.index[selected.roles == "train"]
    if train.empty:
        raise CxrbenchError(
            f"The data set '{selected.collection.name}' has no images for train (of "
            f"{len(selected.roles)} left, split '{spec.split}'); add some, or leave out less."
        )
    order = np.argsort(uniforms(hash_ids(train), 1, "preview", spec.seed)[:, 0], kind="stable")
    ids = train[order[:images]]
    # Labels of train alone: what is shown here may be looked at while a run is planned.
    labels = selected.collection.labels.loc[ids]
    sources = selected.collection.manifest.loc[ids, "source"]

    side = stored_side(spec.image_size, spec.crop)
    originals = [
        dataset.pixels(read_source(root, source) if root and source else None, image_id, side)
        for image_id, source in sources.items()
    ]
    preprocessed = [preprocessing.apply(original) for original in originals]
    stored = torch.stack(
        [torch.from_numpy(squared(image, side).copy()).unsqueeze(0) for image in preprocessed]
    )
    evaluation = central_view(stored, spec.image_size, spec.crop)
    training = [
        augmentation.view(
            stored,
            spec.image_size,
            spec.crop,
            torch.from_numpy(uniforms(hash_ids(ids), augmentation.draws, "view", spec.seed, epoch)),
        )
        for epoch in EPOCHS
    ]
    resized = _resized(spec, registry, evaluation, weights)
    return [
        Preview(
            str(image_id),
            _findings(labels.loc[image_id]),
            originals[row],
            preprocessed[row],
            evaluation[row, 0].numpy(),
            tuple(view[row, 0].numpy() for view in training),
            None if resized is None else resized[row].permute(1, 2, 0).numpy(),
        )
        for row, image_id in enumerate(ids)
    ]


def _resized(
    spec: RunSpec, registry: Registry, views: torch.Tensor, weights: Path | None
) -> torch.Tensor | None:
    """What the resizer hands on of views ``[n, 1, S, S]``, without normalisation; None without a resizer."""
    if spec.resizer.name == "none":
        return None
    resizer: Resizer = make(spec.resizer, "resizer", registry)
    backbone: Backbone = make(spec.backbone, "backbone", registry)
    mean, std = backbone.mean, backbone.std
    torch.manual_seed(derive("init", spec.seed))
    alone = resizer.network(nn.Identity(), len(mean), spec.image_size).eval()
    if weights is not None:
        with safe_open(weights, "pt") as file:
            alone.load_state_dict({name: file.get_tensor(name) for name in alone.state_dict()})
    with torch.inference_mode():
        seen: torch.Tensor = alone(normalised(views, mean, std))
    return (seen * torch.tensor(std)[:, None, None] + torch.tensor(mean)[:, None, None]).clamp(0, 1)


def _findings(labels: pd.Series[float]) -> tuple[str, ...]:
    present = tuple(str(finding) for finding in labels.index[labels == 1])
    return present or (() if labels.isna().any() else (NO_FINDING,))
