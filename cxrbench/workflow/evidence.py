"""From predictions to evidence, whoever made them: calibrate, threshold, decide, evaluate, publish."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cxrbench.conformance.marks import nonconforming
from cxrbench.data import Data
from cxrbench.evaluation.cohort import Cohort
from cxrbench.external import unmapped
from cxrbench.interfaces import Calibrator, DecisionRule, ThresholdStrategy
from cxrbench.options import Use, make
from cxrbench.predictions import Predictions
from cxrbench.registry import Registry
from cxrbench.report.figures import Example
from cxrbench.roles import Role
from cxrbench.stages import calibrate, evaluate, publish, threshold
from cxrbench.steps import Judged, Steps, evidence_steps
from cxrbench.store import Step, Store
from cxrbench.workflow.opened import OpenedData

if TYPE_CHECKING:
    from cxrbench.interfaces import FloatArray

CALIBRATORS_SHOWN = ("none", "temperature", "platt", "isotonic", "beta", "softmax_temperature", "vector")
"""Every run shows what those that fit its task would do to ECE and Brier score, whichever decisions use."""


class Evidence:
    """The way of predictions on tune and test to a published run.

    It reads predictions and labels alone: nothing here knows of networks or images but the examples shown.
    """

    def __init__(
        self, store: Store, registry: Registry, spec: Judged, opened: OpenedData, tested: OpenedData
    ) -> None:
        """Make and check what judges; nothing is read.

        Args:
            store: where artifacts are.
            registry: where components are found.
            spec: how predictions are judged.
            opened: the data set whose tune role calibration and thresholds are fitted on.
            tested: the data set that is tested on: the same, or another.

        Raises:
            UsageError: a component does not fit the task.
        """
        self._store, self._registry, self._spec = store, registry, spec
        self._opened, self._data = opened, opened.data
        self._tested, self._test = tested, tested.data
        task = self._data.task
        self._uses: dict[str, Use] = {}
        self._calibrators: dict[str, Calibrator] = {}
        for use in (*(Use(name=name) for name in CALIBRATORS_SHOWN), spec.calibrator):
            calibrator: Calibrator = make(use, "calibrator", registry)
            if task.kind in calibrator.tasks or use is spec.calibrator:
                self._uses[use.name], self._calibrators[use.name] = use, calibrator
        self._strategy: ThresholdStrategy = make(spec.thresholds, "thresholds", registry)
        self._rule: DecisionRule = make(spec.decision, "decision", registry)
        task.require_fit("calibrator", spec.calibrator.name, self._calibrators[spec.calibrator.name].tasks)
        task.require_fit("thresholds", spec.thresholds.name, self._strategy.tasks)
        task.require_fit("decision", spec.decision.name, self._rule.tasks)
        nothing = np.empty((0, len(self._test.task.classes)))
        self._rule.decide(nothing, nothing, self._test.task.classes)
        self._nonconforming = nonconforming(registry, spec)

    def steps(self, predictions: dict[Role, Step], identity: Mapping[str, Any], label: str) -> Steps:
        """The steps from these predictions on; see :func:`cxrbench.steps.evidence_steps`."""
        if self._nonconforming:
            # A run that was made before its component was known to fail does not stand for one that says so.
            identity = {**identity, "nonconforming": self._nonconforming}
        return evidence_steps(
            self._spec,
            self._opened.hashes,
            self._registry,
            self._uses,
            self._tested.hashes,
            predictions,
            identity,
            label,
        )

    def do(self, steps: Steps) -> None:
        """Calibrate, fit thresholds and evaluate, where that is not done; predictions are in the store."""
        for name, step in steps.calibrations.items():
            self._store.ensure(step, partial(self._calibrate, steps, name))
        self._store.ensure(steps.threshold, partial(self._threshold, steps))
        self._store.ensure(steps.evaluation, partial(self._evaluate, steps))

    def publish(
        self,
        folder: Path,
        steps: Steps,
        origin: publish.Origin,
        data: Mapping[str, Any],
        notes: Sequence[str] = (),
    ) -> None:
        """Write the run's folder; ``data`` is what the record says of it, ``notes`` are this run's own."""
        publish.run(
            folder,
            run_id=steps.run.name,
            origin=origin,
            data=data,
            nonconforming=self._nonconforming,
            listed=self._test.listed,
            notes=tuple(dict.fromkeys([*self._data.notes, *self._test.notes, *notes])),
            not_in_test=unmapped(self._data.task.classes, self._test.task.classes),
            not_trained=unmapped(self._test.classes, self._data.task.classes),
            prediction=self._store.read(steps.predictions["test"].id),
            threshold=self._store.read(steps.threshold.id),
            evaluation=self._store.read(steps.evaluation.id),
            artifacts=[step.id for step in steps.in_order()[:-1]],
            examples=self._examples(steps) if self._test.has_images else [],
        )

    def _examples(self, steps: Steps) -> list[Example]:
        return publish.examples_of(
            self._test,
            self._tested.example,
            self._test.labels("test", steps.run.id, "evaluate"),
            evaluate.read_probabilities(self._store.read(steps.evaluation.id).folder),
            evaluate.read_decisions(self._store.read(steps.evaluation.id).folder),
            threshold.read_points(self._store.read(steps.threshold.id).folder),
        )

    def _data_of(self, role: Role) -> Data:
        return self._test if role == "test" else self._data

    def _logits(self, steps: Steps, role: Role) -> FloatArray:
        folder = self._store.read(steps.predictions[role].id).folder
        return Predictions.read(folder / "predictions.parquet").matrix(self._data_of(role).image_ids(role))

    def _calibrate(self, steps: Steps, name: str, folder: Path) -> None:
        tune: Role = self._spec.tune
        calibrate.run(
            folder,
            self._calibrators[name],
            self._data.task,
            self._logits(steps, tune),
            self._data.labels(tune, steps.calibrations[name].id, "fit"),
            self._data.patients(tune),
            self._spec.min_positives,
        )

    def _threshold(self, steps: Steps, folder: Path) -> None:
        name = self._spec.calibrator.name
        threshold.run(
            folder,
            self._strategy,
            self._data.task,
            calibrate.read_tune(self._store.read(steps.calibrations[name].id).folder),
            self._data.labels(self._spec.tune, steps.threshold.id, "fit"),
            self._data.patients(self._spec.tune),
            self._spec.min_positives,
            role=self._spec.tune,
            calibrated=name != "none",
        )

    def _evaluate(self, steps: Steps, folder: Path) -> None:
        reader, task, tested = steps.evaluation.id, self._data.task, self._test.task
        # All calibrated columns, then those that are tested: calibrators may look at several.
        columns = [task.classes.index(name) for name in tested.classes]
        logits = self._logits(steps, "test")
        states = {
            name: calibrate.read_state(self._store.read(step.id).folder)
            for name, step in steps.calibrations.items()
        }
        chosen, tune = self._spec.calibrator.name, self._spec.tune
        evaluate.run(
            folder,
            Cohort(
                tested,
                self._tested.passport(tune).id,
                self._test.labels("test", reader, "evaluate"),
                self._test.patients("test"),
                self._test.facts("test"),
            ),
            self._rule,
            threshold.read_points(self._store.read(steps.threshold.id).folder),
            logits[:, columns],
            {
                name: calibrate.apply(self._calibrators[name], state, task, logits)[:, columns]
                for name, state in states.items()
            },
            chosen,
            {name: sum(state["fitted"][column] for column in columns) for name, state in states.items()},
            self._data.labels(tune, reader, "evaluate")[:, columns],
            calibrate.read_tune(self._store.read(steps.calibrations[chosen].id).folder)[:, columns],
            self._spec.min_positives,
        )
