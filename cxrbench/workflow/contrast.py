"""An ensemble beside what it must beat: values on tune, cross-fitted and on test, and paired differences."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cxrbench.ensembling.goal import Goal
from cxrbench.ensembling.members import JoinedMembers
from cxrbench.evaluation.asked import estimate_asked
from cxrbench.evaluation.cohort import Cohort
from cxrbench.evaluation.replicates import REPLICATES
from cxrbench.evaluation.stored import Evaluation
from cxrbench.files import read_json
from cxrbench.interfaces import EnsembleSearch
from cxrbench.stages import ensemble, evaluate
from cxrbench.statistics.bootstrap import Estimate, Replicates, bootstrap
from cxrbench.statistics.comparison import paired_difference
from cxrbench.statistics.resamples import Resamples
from cxrbench.statistics.weighted import Ranking

if TYPE_CHECKING:
    from cxrbench.interfaces import FloatArray

FIGURES = ("macro_f1", "macro_auc", "macro_ap", "exact_match", "accuracy", "fnfr")
"""What is told of ensembles on test, where it is defined."""

LEVEL = 0.95


def contrast(
    joined: JoinedMembers,
    found: Mapping[str, Mapping[str, Any]],
    evaluations: Mapping[str, Path],
    goal: Goal,
    cohort: Cohort,
) -> dict[str, Any]:
    """What is told of an ensemble, as JSON.

    Args:
        joined: its members.
        found: what each search found (:func:`cxrbench.stages.ensemble.read`): the ensemble's own under an
            empty name, baselines under theirs.
        evaluations: the folder of each evaluation, likewise.
        goal: what was searched for; a metric's value on test is told too.
        cohort: the test images.
    """
    own = found[""]
    ids = [member.run_id for member in joined.members]
    read = {name: _figures(_evaluation(folder), goal, cohort) for name, folder in evaluations.items()}
    notes = list(own["notes"])
    for run_id, constant in zip(ids, own["members"]["constant"], strict=True):
        if constant:
            notes.append(f"{run_id} scores every tune image alike, so that its weight says nothing.")
    classes = joined.task.classes
    return {
        "fitness": own["fitness"],
        "turned": own.get("turned", False),
        "combine": own["scale"],
        "weights": _named(ids, classes, own["weights"]),
        "front": [{**point, "weights": _named(ids, classes, point["weights"])} for point in own["front"]],
        "tune": own["tune"],
        "cross_fitted": own["cross_fitted"],
        "test": _values(read[""]),
        "baselines": {
            name: {
                "weights": _named(ids, classes, each["weights"]),
                "tune": each["tune"],
                "cross_fitted": each["cross_fitted"],
                "test": _values(read[name]),
                "difference": (
                    {} if evaluations[name] == evaluations[""] else _differences(read[""], read[name])
                ),
            }
            for name, each in found.items()
            if name
        },
        "notes": notes,
        "seconds": own["seconds"],
    }


def member_values(
    joined: JoinedMembers,
    search: EnsembleSearch,
    found: Mapping[str, Any],
    tune: ensemble.Tune,
    cohort: Cohort,
    costs: Mapping[str, list[float]],
) -> list[dict[str, Any]]:
    """A row a member: weight, fitness alone on tune, and what the ensemble loses without it.

    On tune that is fitness; on test macro AUC, which needs no thresholds, with a paired interval.
    """
    weights = np.array(found["weights"], np.float64)
    shares = weights if weights.ndim == 1 else weights.mean(axis=1)
    restarts = np.array(found["restarts"], np.float64)
    spread = restarts if restarts.ndim == 2 else restarts.mean(axis=2)
    ids = cohort.image_ids
    scores = tune.scores(joined.logits("test", ids))
    resamples = Resamples(cohort.patients.to_numpy(), cohort.passport, REPLICATES)

    def resampled(combined: FloatArray) -> Replicates:
        statistics = [Ranking(combined, cohort.labels, resamples)]
        return bootstrap(cohort.task.classes, resamples, statistics, resamples.units(cohort.labels))

    whole = resampled(search.combine(scores, found["state"])).macro("auc")
    rows = []
    for place, member in enumerate(joined.members):
        row = {
            "run_id": member.run_id,
            "name": str(member.record.get("system") or member.record.get("backbone")),
            "seed": member.record.get("seed"),
            "weight": float(shares[place]),
            "lowest": float(spread[:, place].min()),
            "highest": float(spread[:, place].max()),
            "fitness": found["members"]["fitness"][place],
            "lost_on_tune": found["left_out"][place],
            "costs": {name: values[place] for name, values in costs.items()},
            "lost_auc": None,
        }
        if len(joined.members) > 1:
            without = ensemble.left_out(search, scores, found["state"], weights, place)
            row["lost_auc"] = _difference(whole, resampled(without).macro("auc"))
        rows.append(row)
    return rows


def _evaluation(folder: Path) -> Evaluation:
    return Evaluation(folder, read_json(folder / "metrics.json"))


def _figures(evaluation: Evaluation, goal: Goal, cohort: Cohort) -> dict[str, Estimate]:
    """What is told of test, where it is defined; without replicates, where none were kept."""
    metrics = evaluation.record["metrics"]
    defined = [name for name in FIGURES if metrics.get(name) is not None]
    found = {
        name: (
            evaluation.estimate(name)
            if name in evaluation.replicates
            else Estimate(metrics[name], np.empty(0), "", ())
        )
        for name in defined
    }
    if goal.metric is not None:
        probabilities = evaluate.read_probabilities(evaluation.folder)
        decisions = evaluate.read_decisions(evaluation.folder)
        found[goal.name] = estimate_asked(goal.metric, cohort, probabilities, decisions)
    return found


def _values(figures: Mapping[str, Estimate]) -> dict[str, Any]:
    return {
        name: {"value": estimate.value, **_ends(estimate)}
        for name, estimate in figures.items()
        if not math.isnan(estimate.value)
    }


def _ends(estimate: Estimate) -> dict[str, float | None]:
    if not estimate.replicates.size:
        return {"low": None, "high": None}
    interval = estimate.interval(LEVEL)
    return {"low": interval.low, "high": interval.high}


def _differences(own: Mapping[str, Estimate], other: Mapping[str, Estimate]) -> dict[str, Any]:
    """The ensemble's figures less a baseline's."""
    return {
        name: _difference(estimate, other[name])
        for name, estimate in own.items()
        if name in other and estimate.replicates.size and other[name].replicates.size
    }


def _difference(a: Any, b: Any) -> dict[str, float]:
    gap = paired_difference(a, b, LEVEL)
    return {"value": gap.value, "low": gap.interval.low, "high": gap.interval.high, "p": gap.p}


def _named(ids: list[str], classes: tuple[str, ...], weights: Any) -> dict[str, Any]:
    """Weights by run, and by finding where each has its own."""
    return {
        run_id: dict(zip(classes, of_run, strict=True)) if isinstance(of_run, list) else of_run
        for run_id, of_run in zip(ids, weights, strict=True)
    }
