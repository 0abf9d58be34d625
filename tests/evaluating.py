"""A test set for the parts of an evaluation."""

from __future__ import annotations

import numpy as np
import pandas as pd

from cxrbench.evaluation.cohort import Cohort
from cxrbench.task import Task

CLASSES = ("A", "B", "C", "D", "E")
TASK = Task("multilabel", CLASSES)


def cohort_of(labels, patients=None, facts=None, passport="passport", task=TASK):
    """Of labels ``[n, c]``; without more, each image is a patient's only one and nothing is known of it."""
    ids = pd.Index([f"i{row:04d}" for row in range(len(labels))], name="image_id")
    names = [f"p{row}" for row in range(len(labels))] if patients is None else list(patients)
    known = {"age": np.nan, "sex": None, "view": None} | (facts or {})
    return Cohort(task, passport, labels, pd.Series(names, index=ids), pd.DataFrame(known, index=ids))


def draw(seed, n=400, images_a_patient=2, gap=1.0, prevalence=(0.5, 0.3, 0.2, 0.15, 0.6)):
    """Labels, logits (``gap`` apart) and patients; a patient's images are alike."""
    rng = np.random.default_rng(seed)
    labels = (rng.random((n, len(prevalence))) < prevalence).astype(float)
    patients = np.arange(n) // images_a_patient
    own = rng.normal(size=(patients.max() + 1, len(prevalence)))[patients]
    logits = rng.normal(size=labels.shape) + gap * labels + 0.7 * own - 1
    return labels, logits, patients
