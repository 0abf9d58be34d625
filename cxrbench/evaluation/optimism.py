"""How much better a run looks on the images that its operating points were fitted on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cxrbench.evaluation.figures import prevalence
from cxrbench.statistics.averages import macro
from cxrbench.statistics.decisions import (
    balanced_accuracy,
    confusion,
    f1,
    mcc,
    precision,
    recall,
    specificity,
)
from cxrbench.statistics.ranking import auc

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cxrbench.interfaces import FloatArray
    from cxrbench.task import Task

_OF_COUNTS = {
    "f1": f1,
    "precision": precision,
    "recall": recall,
    "specificity": specificity,
    "auc_binarized": balanced_accuracy,
    "mcc": mcc,
}


def optimism(
    task: Task,
    tune: Mapping[str, FloatArray],
    test: Mapping[str, FloatArray],
) -> dict[str, Any]:
    """Figures at the deployed thresholds on tune, where they were fitted, and on test.

    Probabilities of tune are cross-fitted by patient, so what is left is the optimism of the thresholds
    themselves, and whatever else tells tune from test, such as prevalence, which moves precision and F1.

    Args:
        task: names the findings.
        tune: ``labels``, ``probabilities`` and ``decisions``, ``[m, c]`` each.
        test: the same ``[n, c]`` of test.

    Returns:
        Means over the findings that have the figure on both (``tune``, ``test`` and ``optimism``, their
        difference), and a row a finding.
    """
    on = {"tune": _figures(**tune), "test": _figures(**test)}
    both = {name: ~np.isnan(on["tune"][name] + on["test"][name]) for name in on["tune"]}
    means = {role: {name: macro(each[name][both[name]]) for name in each} for role, each in on.items()}
    return {
        **means,
        "optimism": {name: means["tune"][name] - means["test"][name] for name in means["tune"]},
        "per_finding": [
            {
                "finding": finding,
                **{
                    f"{name}_{role}": float(on[role][name][column])
                    for name in ("f1", "recall", "specificity")
                    for role in on
                },
            }
            for column, finding in enumerate(task.classes)
        ],
    }


def _figures(labels: FloatArray, probabilities: FloatArray, decisions: FloatArray) -> dict[str, FloatArray]:
    counts = confusion(decisions, labels)
    return {
        "auc": auc(probabilities, labels),
        **{name: figure(counts) for name, figure in _OF_COUNTS.items()},
        "prevalence": prevalence(labels),
    }
