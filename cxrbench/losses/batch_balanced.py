"""Binary cross-entropy in which positives and negatives of a batch weigh the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from torch.nn import functional as F

if TYPE_CHECKING:
    from torch import Tensor

    from cxrbench.interfaces import FloatArray, LossFunction


@dataclass(frozen=True, kw_only=True)
class BatchBalanced:
    """Weighted cross-entropy whose weights are counted in each batch.

    ``w_P Σ_{y=1} -log p + w_N Σ_{y=0} -log(1 - p)`` with ``w_P = (|P| + |N|) / |P|`` and
    ``w_N = (|P| + |N|) / |N|``, where P and N are the positive and negative labels of all classes of the
    batch. It is divided by ``|P| + |N|``, as every loss here is a mean over known labels, so that a learning
    rate does not depend on the batch size: the mean loss of positives plus that of negatives. Where a batch
    has none of one sort, that sort adds nothing.

    Source: Wang et al., "ChestX-ray8", 2017, section 4.1; the sums are over the labels of a batch.
    """

    tasks: ClassVar[frozenset[str]] = frozenset({"multilabel"})

    def build(self, labels: FloatArray, classes: Sequence[str]) -> LossFunction:
        """The loss function; ``labels`` and ``classes`` do not change it."""
        return _balanced


def _balanced(logits: Tensor, labels: Tensor) -> Tensor:
    """The loss, a float32 scalar, of logits and labels ``[B, c]``; 0 where no label is known."""
    positive, negative = labels == 1, labels == 0
    losses = F.binary_cross_entropy_with_logits(logits.float(), labels.float().nan_to_num(), reduction="none")
    means = [(losses * some).sum() / some.sum().clamp(min=1) for some in (positive, negative)]
    return means[0] + means[1]
