"""Cross-entropy of a softmax, where exactly one class is right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np
import torch
from annotated_types import Ge, Lt
from torch.nn import functional as F

if TYPE_CHECKING:
    from torch import Tensor

    from cxrbench.interfaces import FloatArray, LossFunction


@dataclass(frozen=True, kw_only=True)
class CrossEntropy:
    """Cross-entropy of the right class, the mean over images whose class is known.

    Attributes:
        label_smoothing: share of an image's label that is spread evenly over all classes (Szegedy et al.,
            "Rethinking the Inception Architecture for Computer Vision", 2016).
        weights: ``none``: every image alike; ``balanced``: an image of a class with n of the N training
            images counts ``N / (c n)`` times, so that all c classes weigh the same. A class without any image
            weighs 1.
    """

    tasks: ClassVar[frozenset[str]] = frozenset({"singlelabel"})

    label_smoothing: Annotated[float, Ge(0), Lt(1)] = 0.0
    weights: Literal["none", "balanced"] = "none"

    def build(self, labels: FloatArray, classes: Sequence[str]) -> LossFunction:
        """The loss function for training labels ``[n, c]``, whose counts ``balanced`` weights come from."""
        images = (labels == 1).sum(axis=0)
        weights = np.ones(len(classes))
        if self.weights == "balanced":
            weights = np.where(images > 0, images.sum() / (len(classes) * np.maximum(images, 1)), 1.0)
        return _Function(torch.as_tensor(weights, dtype=torch.float32), self.label_smoothing)


class _Function:
    """Cross-entropy of logits and labels ``[B, c]``, a float32 scalar; 0 where no class is known."""

    def __init__(self, weights: Tensor, label_smoothing: float) -> None:
        self._weights = weights
        self._smoothing = label_smoothing
        self._on_device: dict[torch.device, Tensor] = {}

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        known = ~labels.isnan().any(dim=1)
        right = labels.nan_to_num().argmax(dim=1)
        losses = F.cross_entropy(logits.float(), right, reduction="none", label_smoothing=self._smoothing)
        if logits.device not in self._on_device:
            # Copied once for each device, not once a step: a copy from the host would stall the device.
            self._on_device[logits.device] = self._weights.to(logits.device)
        weighted = losses * self._on_device[logits.device][right]
        return (weighted * known).sum() / known.sum().clamp(min=1)
