"""95% intervals of subgroups' figures and gaps hold the truth in 92.5 to 97% of 1,000 simulated studies."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from evaluating import cohort_of
from scipy.stats import norm

from cxrbench.evaluation.subgroups import subgroups_table
from cxrbench.statistics.influence import FIGURES
from cxrbench.task import Task

pytestmark = pytest.mark.slow

STUDIES, AT_ONCE = 1000, 50
CALLED = 0.8
"""Of standard normal scores of negatives."""


def study(rng, auc, patients, images, positives, attribute, shift):
    """A table of groups F and M, or PA and AP; each of its findings is a study of its own.

    Half of the images are in either group; scores and labels of a patient's images hang together. A
    probability is what Bayes' theorem makes of a score, in logits wrong by ``shift``.
    """
    who = np.repeat(np.arange(patients), images)
    rate = positives / (len(who) / 2)
    risk = rng.beta(2 * rate, 2 * (1 - rate), (patients, AT_ONCE))[who]
    labels = (rng.random(risk.shape) < risk).astype(float)
    noise = (rng.normal(size=(patients, AT_ONCE))[who] + rng.normal(size=risk.shape)) / np.sqrt(2)
    distance = norm.ppf(auc) * np.sqrt(2)
    scores = noise + distance * labels
    logits = distance * scores - distance**2 / 2 + np.log(rate / (1 - rate)) + shift
    groups = {"sex": rng.permutation(np.arange(patients) % 2)[who], "view": np.arange(len(who)) % 2}
    names = {"sex": ("F", "M"), "view": ("PA", "AP")}[attribute]
    facts = {attribute: np.array(names, dtype=object)[groups[attribute]]}
    task = Task("multilabel", tuple(f"study {k}" for k in range(AT_ONCE)))
    table = subgroups_table(
        cohort_of(labels, who, facts, task=task),
        1 / (1 + np.exp(-logits)),
        (scores > CALLED).astype(float),
        30,
    )
    truth = {"auc": auc, "tpr": norm.sf(CALLED - distance), "fpr": norm.sf(CALLED)}
    return table[
        (table["attribute"] == attribute) & (table["finding"] != "") & (table["withheld"] == 0)
    ], truth


@pytest.mark.parametrize("attribute", ["sex", "view"])
@pytest.mark.parametrize("shift", [0.0, 0.5], ids=["calibrated", "not calibrated"])
@pytest.mark.parametrize(
    ("auc", "patients", "images", "positives"),
    [(0.65, 800, 1, 50), (0.9, 800, 1, 50), (0.65, 400, 4, 60), (0.9, 400, 4, 60), (0.8, 400, 4, 250)],
)
def test_intervals_of_groups_and_of_their_gaps_cover(auc, patients, images, positives, shift, attribute):
    rng = np.random.default_rng(0)
    made = [study(rng, auc, patients, images, positives, attribute, shift) for _ in range(STUDIES // AT_ONCE)]
    table, truth = pd.concat([each for each, _ in made]), made[0][1]
    # Of so few images, noise is part of a calibration error: its truth is the mean over studies.
    truth |= {"ece": table["ece"].mean()} | {f"{figure}_gap": 0.0 for figure in FIGURES}
    held = {
        name: float(((table[f"{name}_low"] <= true) & (true <= table[f"{name}_high"])).mean())
        for name, true in truth.items()
    }
    assert len(table) > 1.9 * STUDIES
    # Those of calibration errors err on the wide side.
    assert all(0.925 <= share <= (1.0 if "ece" in name else 0.97) for name, share in held.items()), held
