"""Asymmetric loss: easy negatives count less, the easiest not at all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, ClassVar

import torch
from annotated_types import Ge, Lt
from torch.nn import functional as F

from cxrbench.losses.masking import mean_over_known

if TYPE_CHECKING:
    from torch import Tensor

    from cxrbench.interfaces import FloatArray, LossFunction


@dataclass(frozen=True, kw_only=True)
class Asymmetric:
    """Asymmetric loss (ASL) of each finding: focal, with other exponents for positives and negatives.

    With the probability ``p`` that the finding is there, positives lose ``-(1 - p)^gamma_pos log p``, and
    negatives ``-q^gamma_neg log(1 - q)`` with ``q = max(p - clip, 0)``, so that a negative below ``clip``
    loses nothing. The mean is over known labels; the gradient is that of the whole formula.

    Source: Ridnik et al., "Asymmetric Loss For Multi-Label Classification", 2021, equations 5 to 7; the
    defaults are those of the authors' code.

    Attributes:
        gamma_neg: how fast negatives that are sure lose weight.
        gamma_pos: how fast positives that are sure lose weight.
        clip: what probabilities of negatives are shifted by. With 0 here and in both exponents the loss is
            binary cross-entropy.
    """

    tasks: ClassVar[frozenset[str]] = frozenset({"multilabel"})

    gamma_neg: Annotated[float, Ge(0)] = 4.0
    gamma_pos: Annotated[float, Ge(0)] = 1.0
    clip: Annotated[float, Ge(0), Lt(1)] = 0.05

    def build(self, labels: FloatArray, classes: Sequence[str]) -> LossFunction:
        """The loss function; ``labels`` and ``classes`` do not change it."""
        return partial(mean_over_known, self._elementwise)

    def _elementwise(self, logits: Tensor, labels: Tensor) -> Tensor:
        log_absent = F.logsigmoid(-logits)
        positives = (self.gamma_pos * log_absent).exp() * F.logsigmoid(logits)
        # log(1 - q) = log(min(1 - p + clip, 1)), in logarithms so that it stays finite where p is 1.
        log_clip = logits.new_full((), math.log(self.clip) if self.clip else -math.inf)
        log_kept = torch.logaddexp(log_absent, log_clip).clamp(max=0)
        # Not quite 0: the gradient of its power is not finite below gamma 1.
        shifted = (logits.sigmoid() - self.clip).clamp(min=torch.finfo(logits.dtype).tiny)
        negatives = shifted**self.gamma_neg * log_kept
        return -torch.where(labels == 1, positives, negatives)
