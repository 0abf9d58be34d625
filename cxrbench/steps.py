"""The steps of a run, and what each one's key is made of: all that its result depends on, and no more."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from cxrbench.canonical import digest
from cxrbench.data import Data, as_dict
from cxrbench.options import Use
from cxrbench.registry import Registry
from cxrbench.roles import Role
from cxrbench.specs import keyed
from cxrbench.stages import (
    calibrate,
    evaluate,
    publish,
    threshold,
)
from cxrbench.store import RUN_STAGE, Step


class Judged(Protocol):
    """How predictions are judged: the settings of a run from its predictions on."""

    @property
    def calibrator(self) -> Use:
        """What turns logits into the probabilities that decisions use."""

    @property
    def thresholds(self) -> Use:
        """The strategy for each class's operating point."""

    @property
    def decision(self) -> Use:
        """The rule for what becomes of decisions then."""

    @property
    def tune(self) -> Literal["tune", "val"]:
        """The role that calibration and thresholds are fitted on."""

    @property
    def min_positives(self) -> int:
        """How many positives (and negatives) a class needs on tune for its own calibration and threshold."""


@dataclass(frozen=True)
class Steps:
    """The steps of one run from its predictions on, each addressed by its inputs."""

    predictions: dict[Role, Step]
    calibrations: dict[str, Step]
    threshold: Step
    evaluation: Step
    run: Step

    def in_order(self) -> list[Step]:
        """As they are done."""
        return [
            *self.predictions.values(),
            *self.calibrations.values(),
            self.threshold,
            self.evaluation,
            self.run,
        ]


class Hashes:
    """Hashes of what keys are made of, of a data set's roles; each is worked out once for all runs on it."""

    def __init__(self, data: Data) -> None:
        self.data = data
        self._known: dict[tuple[str, Role], str] = {}

    def ids(self, role: Role) -> str:
        """Of image ids."""
        return self._once("ids", role, lambda: self.data.image_ids(role).tolist())

    def patients(self, role: Role) -> str:
        """Of the patient of each image."""
        return self._once("patients", role, lambda: as_dict(self.data.patients(role)))

    def facts(self, role: Role) -> str:
        """Of what subgroups are made of."""
        return self._once(
            "facts",
            role,
            lambda: {str(name): column.tolist() for name, column in self.data.facts(role).items()},
        )

    def patient_vectors(self, role: Role) -> str:
        """Of what networks see of patients."""
        return self._once("vectors", role, lambda: self.data.patient_vectors(self.data.image_ids(role)))

    def _once(self, what: str, role: Role, make: Callable[[], Any]) -> str:
        if (what, role) not in self._known:
            self._known[what, role] = digest(make())
        return self._known[what, role]


def evidence_steps(
    spec: Judged,
    hashes: Hashes,
    registry: Registry,
    calibrators: Mapping[str, Use],
    test: Hashes,
    predictions: dict[Role, Step],
    identity: Mapping[str, Any],
    label: str,
) -> Steps:
    """The steps from predictions on, whoever made them.

    Args:
        spec: how predictions are judged.
        hashes: of the data set whose tune role calibration and thresholds are fitted on.
        registry: where versions and defaults of components are looked up.
        calibrators: those that are fitted, the chosen one among them, by name.
        test: of the data set that is tested on: ``hashes`` themselves, or another's.
        predictions: on tune and test.
        identity: what tells runs apart whose figures would be the same, such as passport and data sets.
        label: what names of the run's files start with.
    """
    tune, data = spec.tune, hashes.data
    calibrations = {
        name: Step(
            "calibrate",
            {
                "version": calibrate.VERSION,
                "calibrator": keyed(use, "calibrator", registry),
                "min_positives": spec.min_positives,
                "patients": hashes.patients(tune),
            },
            (predictions[tune], data.label_step(tune)),
        )
        for name, use in calibrators.items()
    }
    thresholds = Step(
        "threshold",
        {
            "version": threshold.VERSION,
            "thresholds": keyed(spec.thresholds, "thresholds", registry),
            "min_positives": spec.min_positives,
        },
        (calibrations[spec.calibrator.name], data.label_step(tune)),
    )
    evaluation = Step(
        "evaluate",
        {
            "version": evaluate.VERSION,
            "calibrator": spec.calibrator.name,
            "patients": test.patients("test"),
            "facts": test.facts("test"),
            **(
                {}
                if spec.decision.name == "none"
                else {"decision": keyed(spec.decision, "decision", registry)}
            ),
        },
        (thresholds, predictions["test"], test.data.label_step("test"), *calibrations.values()),
    )
    run = Step(
        RUN_STAGE,
        {"version": publish.VERSION, **identity},
        (evaluation, data.manifest_step, *((test.data.manifest_step,) if test.data is not data else ())),
        label=label,
    )
    return Steps(predictions, calibrations, thresholds, evaluation, run)
