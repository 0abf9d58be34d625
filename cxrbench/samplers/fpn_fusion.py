"""The sampling of Enríquez Rodríguez et al., "Computational vision model for multi-label classification…"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from annotated_types import Ge

from cxrbench.errors import UsageError
from cxrbench.interfaces import SamplePlan
from cxrbench.samplers.shares import (
    first_by_draw,
    leave_share,
    other_draws,
    with_one_finding,
    without_finding,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cxrbench.interfaces import FloatArray

_NO_FINDING = 0.10
_ALONE = {"Infiltration": 0.15, "Effusion": 0.50}
_ATELECTASIS_ALONE = 0.50
_OF_AS_FITTED = 0.90
"""Shares that are kept of the whole data set."""

_TRAIN_NO_FINDING = 0.25
_TRAIN_ATELECTASIS_ALONE = 0.50
"""Shares that are kept of what training sees."""


@dataclass(frozen=True, kw_only=True)
class FpnFusion:
    """The published sampling of the DenseNet121-FPN with patient data, for NIH's 14 findings.

    Of the whole data set it keeps 10% of the images without a finding, and of those that show Infiltration
    alone 15%, Effusion alone 50%, Atelectasis alone 50%. Training then sees the images of rare findings
    mirrored as well, those of the rarest several times, and 25% of those without a finding and 50% of
    those with Atelectasis alone. What is mirrored and repeated shows the finding alone: with that the
    published loss weights are met best, and no other finding's number changes.

    Attributes:
        preset: ``as_stated`` is the text. ``as_fitted`` is what gives the published 8,587 test images (20%,
            by image): Atelectasis stays whole at first, and 90% of all rows are taken.
        mirror_below: a finding with fewer training images is mirrored.
        repeat_to: a finding with fewer even so is repeated up to this number.
    """

    preset: Literal["as_stated", "as_fitted"] = "as_stated"
    mirror_below: Annotated[int, Ge(0)] = 3000
    repeat_to: Annotated[int, Ge(0)] = 1500

    def subset(self, labels: FloatArray, classes: Sequence[str], draws: FloatArray) -> NDArray[np.bool_]:
        """The images of the whole data set that are used.

        Raises:
            UsageError: a finding that the sampling names is none of the classes.
        """
        kept = np.ones(len(labels), dtype=np.bool_)
        kept = leave_share(kept, without_finding(labels, classes), draws, _NO_FINDING)
        for name, share in _ALONE.items():
            kept = leave_share(kept, with_one_finding(labels, _column(classes, name)), draws, share)
        if self.preset == "as_fitted":
            return leave_share(kept, kept, other_draws(draws), _OF_AS_FITTED)
        atelectasis = with_one_finding(labels, _column(classes, "Atelectasis"))
        return leave_share(kept, atelectasis, draws, _ATELECTASIS_ALONE)

    def balance(self, labels: FloatArray, classes: Sequence[str], draws: FloatArray) -> SamplePlan:
        """What training sees of the train role.

        Raises:
            UsageError: as :meth:`subset`.
        """
        rows, mirrored = [np.arange(len(labels))], [np.zeros(len(labels), dtype=np.bool_)]
        for column in range(len(classes)):
            number = int((labels[:, column] == 1).sum())
            alone = first_by_draw(with_one_finding(labels, column), draws, len(labels))
            both_ways = np.repeat([False, True], len(alone))
            if number < self.mirror_below:
                rows.append(alone)
                mirrored.append(np.ones(len(alone), dtype=np.bool_))
                number += len(alone)
            if number < self.repeat_to and len(alone):
                missing = self.repeat_to - number
                rows.append(np.resize(alone, missing))
                mirrored.append(np.resize(both_ways, missing))
        plan = SamplePlan(np.concatenate(rows), np.concatenate(mirrored))
        seen, seen_draws = labels[plan.rows], draws[plan.rows]
        kept = np.ones(len(seen), dtype=np.bool_)
        kept = leave_share(kept, without_finding(seen, classes), seen_draws, _TRAIN_NO_FINDING)
        atelectasis = with_one_finding(seen, _column(classes, "Atelectasis"))
        kept = leave_share(kept, atelectasis, seen_draws, _TRAIN_ATELECTASIS_ALONE)
        return SamplePlan(plan.rows[kept], plan.mirrored[kept])


def _column(classes: Sequence[str], name: str) -> int:
    if name not in classes:
        raise UsageError(
            f"The sampler 'fpn_fusion' names {name}, which is no class here; use 'limit' or 'none'."
        )
    return list(classes).index(name)
