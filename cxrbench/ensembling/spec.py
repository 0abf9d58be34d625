"""What a run of an ensemble is."""

from __future__ import annotations

import re
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from cxrbench.ensembling.fitness import FitnessName
from cxrbench.ensembling.scales import Scale
from cxrbench.options import Use, bind
from cxrbench.registry import RUN_KINDS, Kind, Registry
from cxrbench.scores.spec import JUDGING
from cxrbench.specs import OneUse, keyed

KINDS_OF_ENSEMBLES: tuple[tuple[str, Kind], ...] = (
    ("search", "ensemble"),
    *((kind, kind) for kind in JUDGING),
)
"""The components that such a run has, by the name of the setting."""


class EnsembleSpec(BaseModel):
    """A run that combines other runs' predictions (:class:`cxrbench.steps.Judged`).

    Attributes:
        system: its name; ensembles of one name and one set of members are its seeds.
        members: ids of the runs, sorted.
        search: how they are combined.
        fitness: what a search makes as high as it can, on tune.
        combine: what is averaged.
        folds: into how many parts tune is divided, by patient, for scores that their own patient did not
            help to find: calibration and thresholds are fitted on these.
        seed: of the search.
        calibrator: what turns logits into the probabilities that decisions use.
        thresholds: the strategy for each finding's operating point.
        decision: the rule for what becomes of decisions then.
        tune: the role that everything is fitted on.
        min_positives: how many positives (and negatives) each finding needs on tune.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    system: str = Field(min_length=1)
    members: tuple[str, ...] = Field(min_length=1)
    search: OneUse = Use(name="genetic")
    fitness: FitnessName = "macro_f1"
    combine: Scale = "probabilities"
    folds: int = Field(5, ge=2, le=100)
    seed: int = Field(0, ge=0)
    calibrator: OneUse = Use(name="none")
    thresholds: OneUse = Use(name="f1")
    decision: OneUse = Use(name="none")
    tune: Literal["tune"] = "tune"
    min_positives: int = Field(10, ge=0)

    def resolved(self, registry: Registry) -> EnsembleSpec:
        """With every option of its components at its value.

        Raises:
            UsageError: an unknown name or option, or a value out of range.
        """
        uses: dict[str, Use] = {}
        for name, kind in KINDS_OF_ENSEMBLES:
            use: Use = getattr(self, name)
            uses[name] = Use(name=use.name, options=bind(registry.find(kind, use.name), use.options))
        return self.model_copy(update=uses)

    def described(self, registry: Registry) -> dict[str, Any]:
        """As JSON, with the same names that a run has; what only networks have is None."""
        return {
            "source": "ensemble",
            "system": self.system,
            **dict.fromkeys(RUN_KINDS),
            **{name: getattr(self, name).name for name, _ in KINDS_OF_ENSEMBLES},
            "options": {
                name: keyed(getattr(self, name), kind, registry)["options"]
                for name, kind in KINDS_OF_ENSEMBLES
            },
            "seed": self.seed,
            "tune": self.tune,
            "spec": self.model_dump(mode="json"),
        }

    def label(self) -> str:
        """What names of the run's files start with, so that a person can tell runs apart."""
        names = ("ensemble", self.system, self.calibrator.name, self.thresholds.name)
        return "-".join([*(re.sub(r"[^\w.]+", "_", name) for name in names), f"s{self.seed}"])
