"""What a run makes of logits: calibrated probabilities and decisions, as it would be deployed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cxrbench.interfaces import Calibrator, DecisionRule
from cxrbench.options import Use, make
from cxrbench.registry import Registry
from cxrbench.stages import calibrate
from cxrbench.stages.threshold import read_points
from cxrbench.store import Store
from cxrbench.task import Task

if TYPE_CHECKING:
    from cxrbench.interfaces import FloatArray


@dataclass(frozen=True)
class Deployed:
    """The fitted part of a run behind its predictions.

    Attributes:
        task: the classes of the logits.
        calibrator: what makes probabilities of logits.
        state: its state, fitted on tune.
        thresholds: ``[c]``, of each class; NaN where undecided.
        rule: what becomes of decisions.
    """

    task: Task
    calibrator: Calibrator
    state: Mapping[str, Any]
    thresholds: FloatArray
    rule: DecisionRule

    def probabilities(self, logits: FloatArray) -> FloatArray:
        """Calibrated probabilities ``[n, c]`` of logits ``[n, c]``."""
        return calibrate.apply(self.calibrator, self.state, self.task, logits)

    def decisions(self, probabilities: FloatArray) -> FloatArray:
        """Decisions ``[n, c]``, 1, 0 or NaN (undecided), of probabilities ``[n, c]``."""
        called = self.task.decide(probabilities, self.thresholds)
        return self.rule.decide(called, probabilities, self.task.classes)


def deployed(store: Store, registry: Registry, record: Mapping[str, Any], task: Task) -> Deployed:
    """What stands behind the predictions of a run, read from its artifacts.

    Args:
        store: where the run is.
        registry: where its components are found.
        record: its ``run.json``.
        task: the classes of its logits.

    Raises:
        CxrbenchError: an artifact is missing or damaged.
    """
    spec = record["spec"]
    artifacts = [store.read(each) for each in record["artifacts"]]
    chosen = spec["calibrator"]["name"]
    state = next(
        calibrate.read_state(each.folder)
        for each in artifacts
        if each.record["stage"] == "calibrate" and each.record["inputs"]["calibrator"]["name"] == chosen
    )
    points = next(read_points(each.folder) for each in artifacts if each.record["stage"] == "threshold")
    # An older record has no rule.
    rule = Use.model_validate(spec.get("decision", {"name": "none"}))
    return Deployed(
        task,
        make(Use.model_validate(spec["calibrator"]), "calibrator", registry),
        state,
        np.array([points[name].threshold for name in task.classes]),
        make(rule, "decision", registry),
    )
