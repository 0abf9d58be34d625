"""What a run of an ensemble is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from cxrbench.ensembling.fitness import FitnessName
from cxrbench.ensembling.scales import Scale
from cxrbench.judged_spec import JUDGING, described, label, resolved
from cxrbench.options import Use
from cxrbench.registry import Kind, Registry
from cxrbench.specs import OneUse

KINDS_OF_ENSEMBLES: Mapping[str, Kind] = {"search": "ensemble", **JUDGING}
"""The components that such a run has, by the name of the setting."""

_SOUGHT: Mapping[str, Kind] = {"fitness": "metric"}


class EnsembleSpec(BaseModel):
    """A run that combines other runs' predictions (:class:`cxrbench.steps.Judged`).

    Attributes:
        system: its name; ensembles of one name and one set of members are its seeds.
        members: ids of the runs, sorted.
        search: how they are combined.
        fitness: what a search makes as high as it can, on tune: a figure that comes along, or a metric, as
            low as it can where the smaller is the better.
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
    fitness: FitnessName | OneUse = "macro_f1"
    combine: Scale = "probabilities"
    folds: int = Field(5, ge=2, le=100)
    seed: int = Field(0, ge=0)
    calibrator: OneUse = Use(name="none")
    thresholds: OneUse = Use(name="f1")
    decision: OneUse = Use(name="none")
    tune: Literal["tune"] = "tune"
    min_positives: int = Field(10, ge=0)

    def resolved(self, registry: Registry) -> EnsembleSpec:
        """See :func:`cxrbench.judged_spec.resolved`."""
        return resolved(self, self._kinds, registry)

    def described(self, registry: Registry) -> dict[str, Any]:
        """See :func:`cxrbench.judged_spec.described`."""
        return described(self, "ensemble", self._kinds, registry)

    def label(self) -> str:
        """See :func:`cxrbench.judged_spec.label`."""
        return label(self, "ensemble")

    @property
    def _kinds(self) -> Mapping[str, Kind]:
        """Its components: a metric among them where one is searched for."""
        return KINDS_OF_ENSEMBLES if isinstance(self.fitness, str) else {**KINDS_OF_ENSEMBLES, **_SOUGHT}
