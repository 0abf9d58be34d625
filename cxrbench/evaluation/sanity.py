"""Whether a run's figures can be what they say: checks that set it apart from a ranking, with the reason.

A check never fails a run. What it finds stands in the run's record, and whoever ranks runs lists these apart.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from cxrbench.statistics.ranking import auc

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cxrbench.interfaces import FloatArray
    from cxrbench.statistics.intervals import Interval
    from cxrbench.task import Task

_LEAST_EACH = 10
"""Positives and negatives that a finding needs for a perfect ranking to say anything."""


def check_outputs(
    task: Task, labels: FloatArray, logits: FloatArray, macro_auc: Interval
) -> list[dict[str, str]]:
    """What the outputs on test give away; empty where they are sound.

    Args:
        task: names the findings.
        labels: ``[n, c]``.
        logits: ``[n, c]``, the raw log-odds of each class.
        macro_auc: the interval of the macro AUC over resampled patients.
    """
    checks = (
        _not_finite(task.classes, logits),
        _constant(task.classes, logits),
        _untrained(auc(logits, labels), macro_auc),
        _labels_themselves(labels, logits),
    )
    return [{"check": check, "reason": reason} for check, reason in filter(None, checks)]


def check_leaks(shared_patients: Mapping[str, int | None]) -> list[dict[str, str]]:
    """Patients of test that were trained or fitted on, from the passport; empty where there is none.

    What is not known (None) is no finding: tables say that it is not known.
    """
    leaks = {pair.split("/")[0]: count for pair, count in shared_patients.items() if count and "test" in pair}
    if not leaks:
        return []
    told = ", ".join(f"{count:,} in {role}" for role, count in leaks.items())
    return [{"check": "label_leak", "reason": f"Patients of test have images in other roles too: {told}."}]


def _not_finite(classes: Sequence[str], logits: FloatArray) -> tuple[str, str] | None:
    bad = ~np.isfinite(logits)
    if not bad.any():
        return None
    which = _named(classes, np.asarray(bad.any(axis=0)))
    return "nan", f"{int(bad.any(axis=1).sum()):,} images have an output that is not finite, for {which}."


def _constant(classes: Sequence[str], logits: FloatArray) -> tuple[str, str] | None:
    """Findings whose output is the same for every image, but for rounding in fp32."""
    if len(logits) < 2:
        return None
    size = np.abs(logits).max(axis=0)
    constant = np.asarray(np.ptp(logits, axis=0) <= 1e-6 * np.maximum(size, 1e-6))
    if not constant.any():
        return None
    return "constant_output", f"The output is the same for every image, for {_named(classes, constant)}."


def _untrained(aucs: FloatArray, macro_auc: Interval) -> tuple[str, str] | None:
    """A network that tells nothing, as one whose head was never trained.

    Either of two intervals of the macro AUC reaches .5. Over patients: a chance ranking is not ruled out.
    Over findings: a random head on features that mean something ranks single findings well or ill, whichever
    way its weights happen to point, so its AUCs scatter about .5 on both sides by more than test sampling
    explains; a trained one's are above. That interval is Student's t of the findings' AUCs.
    """
    defined = aucs[~np.isnan(aucs)]
    if not defined.size:
        return None
    lows = [macro_auc.low]
    if defined.size > 2:
        reach = float(special.stdtrit(defined.size - 1, 0.975) * defined.std(ddof=1) / np.sqrt(defined.size))
        lows.append(float(defined.mean()) - reach)
    low = min((each for each in lows if not math.isnan(each)), default=math.nan)
    if not low <= 0.5:
        return None
    return "untrained", f"A macro AUC of {defined.mean():.3f} is not told from chance, .5."


def _labels_themselves(labels: FloatArray, logits: FloatArray) -> tuple[str, str] | None:
    """Outputs that separate every finding without a mistake, several findings of some size at least."""
    enough = ((labels == 1).sum(axis=0) >= _LEAST_EACH) & ((labels == 0).sum(axis=0) >= _LEAST_EACH)
    if enough.sum() < 2 or not (auc(logits[:, enough], labels[:, enough]) == 1).all():
        return None
    return "label_leak", "Every finding is ranked without a single mistake, as labels themselves would be."


def _named(classes: Sequence[str], chosen: NDArray[np.bool_]) -> str:
    names = [name for name, is_chosen in zip(classes, chosen, strict=True) if is_chosen]
    if len(names) == len(classes) > 1:
        return "all findings"
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
