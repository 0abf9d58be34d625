"""Ensemble: members' predictions on tune → how they are combined, and what that is worth; then on test."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cxrbench.ensembling.goal import Goal, refitted
from cxrbench.ensembling.scales import Scale, to_logits, to_probabilities, to_scale
from cxrbench.files import read_json, write_json
from cxrbench.interfaces import EnsembleSearch, Fitness, FoundEnsemble, Members
from cxrbench.predictions import Predictions
from cxrbench.roles import patient_folds
from cxrbench.statistics.decisions import confusion, f1
from cxrbench.statistics.ranking import auc, average_precision
from cxrbench.statistics.undefined import mean_defined
from cxrbench.task import Task

if TYPE_CHECKING:
    from cxrbench.interfaces import FloatArray

VERSION = "1"
"""Changes when the same predictions and labels give another ensemble."""


@dataclass(frozen=True)
class Tune:
    """What is searched on.

    Attributes:
        task: whose classes the columns are.
        logits: ``[m, n, c]`` of the members.
        labels: ``[n, c]``.
        patients: the patient of each image, by image id.
        scale: what is averaged.
        costs: of each member ``[m]``, by name.
    """

    task: Task
    logits: FloatArray
    labels: FloatArray
    patients: pd.Series[str]
    scale: Scale
    costs: Mapping[str, FloatArray]

    def scores(self, logits: FloatArray) -> FloatArray:
        """Scores ``[m, n, c]`` of members' logits of any images."""
        return scaled(self.task, self.scale, logits, self.logits)


def scaled(task: Task, scale: Scale, logits: FloatArray, tune: FloatArray) -> FloatArray:
    """Members' scores ``[m, n, c]`` of logits, beside those of tune."""
    pairs = zip(logits, tune, strict=True)
    return np.stack([to_scale(task, scale, each, own) for each, own in pairs])


def run(
    folder: Path,
    search: EnsembleSearch,
    goal: Goal,
    tune: Tune,
    folds: int,
    seed: int,
    advance: Callable[[float], None],
) -> None:
    """Search on all of tune, and in turns without each part of its patients.

    Args:
        folder: gets ``ensemble.json`` and, of the tune images, ``predictions.parquet``: each image's from
            an ensemble that was found without its patient.
        search: what searches.
        goal: what for.
        tune: what is searched on.
        folds: how many parts.
        seed: of the search.
        advance: called after each round of a search; there are ``folds + 1`` searches.
    """
    scores = tune.scores(tune.logits)
    started = time.perf_counter()
    everyone = np.ones(len(tune.labels), bool)
    found, fit = _search(search, goal, tune, scores, everyone, seed, advance)
    seconds = time.perf_counter() - started
    fold_of = patient_folds(tune.patients, folds)
    crossed, decided = np.zeros(scores.shape[1:]), np.zeros(scores.shape[1:])
    for fold in np.unique(fold_of):
        held = fold_of == fold
        state = found.state
        if not held.all():
            state = _search(search, goal, tune, scores, ~held, seed, advance)[0].state
        crossed[held] = search.combine(scores[:, held], state)
        fitted = search.combine(scores[:, ~held], state) if not held.all() else crossed
        thresholds = refitted(tune.task, fitted, tune.labels[~held if not held.all() else held])
        decided[held] = tune.task.decide(crossed[held], thresholds)
    whole = search.combine(scores, found.state)
    own = tune.task.decide(whole, refitted(tune.task, whole, tune.labels))
    alone = np.eye(len(scores))
    write_json(
        folder / "ensemble.json",
        {
            "scale": tune.scale,
            "fitness": goal.name,
            "turned": goal.turned,
            "state": dict(found.state),
            "weights": found.weights.tolist(),
            "restarts": found.restarts.tolist(),
            "trace": [asdict(row) for row in found.trace],
            "front": [
                {"weights": point.weights.tolist(), "fitness": point.fitness, "cost": point.cost}
                for point in found.front
            ],
            "tune": _figures(tune, goal, whole, own),
            "cross_fitted": _figures(tune, goal, crossed, decided),
            "members": {"fitness": fit.whole(alone).tolist(), "constant": _constant(tune.logits)},
            "left_out": [
                mean - _value(tune, goal, left_out(search, scores, found.state, found.weights, place))
                for mean in [_value(tune, goal, whole)]
                for place in range(len(scores))
            ],
            "notes": _notes(found),
            "seconds": seconds,
        },
    )
    table = pd.DataFrame(
        to_logits(tune.task, tune.scale, crossed), index=tune.patients.index, columns=list(tune.task.classes)
    )
    Predictions(tune.task, table.astype("float32")).write(folder / "predictions.parquet")


def combine(
    folder: Path,
    search: EnsembleSearch,
    found: Mapping[str, Any],
    tune: Tune,
    test: FloatArray,
    ids: pd.Index[str],
) -> None:
    """Write ``predictions.parquet`` of test images, of members' logits ``[m, n, c]``."""
    logits = combined(search, found, tune.task, test, tune.logits)
    table = pd.DataFrame(logits, index=ids, columns=list(tune.task.classes))
    Predictions(tune.task, table.astype("float32")).write(folder / "predictions.parquet")


def combined(
    search: EnsembleSearch, found: Mapping[str, Any], task: Task, logits: FloatArray, tune: FloatArray
) -> FloatArray:
    """The ensemble's logits ``[n, c]`` of any images.

    Args:
        search: what found it.
        found: what :func:`read` gives.
        task: whose classes the columns are.
        logits: ``[m, n, c]`` of the members.
        tune: ``[m, t, c]``, theirs of the images that were searched on.
    """
    scores = scaled(task, found["scale"], logits, tune)
    return to_logits(task, found["scale"], search.combine(scores, found["state"]))


def read(folder: Path) -> dict[str, Any]:
    """What :func:`run` left in ``ensemble.json``."""
    found: dict[str, Any] = read_json(folder / "ensemble.json")
    return found


def left_out(
    search: EnsembleSearch, scores: FloatArray, state: Mapping[str, Any], weights: FloatArray, place: int
) -> FloatArray:
    """The ensemble's scores ``[n, c]`` without a member, whose scores the others' average stands in for.

    They are averaged with their weights, so that of a weighted average this is the same with the others'
    weights alone. NaN where there is no other member.
    """
    if len(scores) == 1:
        return np.full(scores.shape[1:], np.nan)
    others = np.array(weights, np.float64)
    others[place] = 0
    total = others.sum(axis=0)
    even = np.full_like(others, 1 / (len(scores) - 1))
    even[place] = 0
    others = np.where(total > 0, np.divide(others, total, out=even.copy(), where=total > 0), even)
    form = "m,mnc->nc" if others.ndim == 1 else "mc,mnc->nc"
    without = scores.copy()
    without[place] = np.einsum(form, others, scores)
    return search.combine(without, state)


def _search(
    search: EnsembleSearch,
    goal: Goal,
    tune: Tune,
    scores: FloatArray,
    rows: Any,
    seed: int,
    advance: Callable[[float], None],
) -> tuple[FoundEnsemble, Fitness]:
    labels = tune.labels[rows]
    judge = goal.fitness(tune.task, tune.scale, scores[:, rows], labels)
    members = Members(scores[:, rows], labels, tune.patients.to_numpy()[rows], tune.scale, tune.costs)
    return search.search(members, judge, seed, advance), judge


def _figures(tune: Tune, goal: Goal, scores: FloatArray, decisions: FloatArray) -> dict[str, float]:
    """Means over findings, decisions at thresholds of best F1; the share of right calls, or of images.

    Where a metric is searched for, its value too.
    """
    labels = tune.labels
    right = np.where(np.isnan(labels) | np.isnan(decisions), np.nan, decisions == labels)
    if tune.task.kind == "singlelabel":
        right = right.min(axis=1, initial=1)
    return {
        "macro_f1": mean_defined(f1(confusion(decisions, labels))),
        "macro_auc": mean_defined(auc(scores, labels)),
        "macro_ap": mean_defined(average_precision(scores, labels)),
        "accuracy": mean_defined(right.ravel()),
        **(
            {}
            if goal.metric is None
            else {
                goal.name: goal.metric.value(
                    labels, to_probabilities(tune.task, tune.scale, scores), decisions
                )
            }
        ),
    }


def _value(tune: Tune, goal: Goal, scores: FloatArray) -> float:
    """The fitness of combined scores ``[n, c]``."""
    if np.isnan(scores).all():
        return math.nan
    judge = goal.fitness(tune.task, tune.scale, scores[None], tune.labels)
    return float(judge.whole(np.ones((1, 1)))[0])


def _constant(logits: FloatArray) -> list[bool]:
    """Which members score every image alike, finding by finding."""
    spread = logits.max(axis=1) - logits.min(axis=1)
    return [bool((each == 0).all()) for each in spread]


def _notes(found: FoundEnsemble) -> list[str]:
    """What is odd about a search."""
    first = {row.restart: row.best for row in reversed(found.trace)}
    last = {row.restart: row.best for row in found.trace}
    if first and len(found.trace) > len(first) and all(last[each] <= first[each] for each in first):
        return ["The search never improved on what it began with."]
    return []
