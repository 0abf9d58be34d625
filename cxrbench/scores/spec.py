"""What a run of scores that others made is."""

from __future__ import annotations

import re
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from cxrbench.options import Use, bind
from cxrbench.registry import RUN_KINDS, Kind, Registry
from cxrbench.specs import OneUse, keyed

TuneFrom = Literal["none", "file", "roles", "test_patients"]

JUDGING: tuple[Kind, ...] = ("calibrator", "thresholds", "decision")
"""The components that such a run has."""


class ScoreSpec(BaseModel):
    """A run that begins with predictions in a file (:class:`cxrbench.steps.Judged`).

    Attributes:
        system: the name of what made the predictions; files of one name are its seeds.
        seed: that the network was trained from.
        file: the predictions.
        labels: the table of labels; empty where the file has its own.
        tune_file: predictions of other images, that calibration and thresholds are fitted on; or empty.
        tune_from: where the tune images come from: a ``file`` of their own, the ``roles`` of the labels'
            table or of official lists, half of the test file's patients (``test_patients``), or nowhere
            (``none``).
        calibrator: what turns logits into the probabilities that decisions use.
        thresholds: the strategy for each finding's operating point.
        decision: the rule for what becomes of decisions then.
        tune: the role that calibration and thresholds are fitted on.
        min_positives: a finding with fewer positives (or negatives) on tune keeps its raw probabilities and
            gets a prevalence-matching threshold; 0 leaves every finding to its strategy.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    system: str = Field(min_length=1)
    seed: int = Field(0, ge=0)
    file: str
    labels: str = ""
    tune_file: str = ""
    tune_from: TuneFrom = "none"
    calibrator: OneUse = Use(name="none")
    thresholds: OneUse = Use(name="fixed")
    decision: OneUse = Use(name="none")
    tune: Literal["tune"] = "tune"
    min_positives: int = Field(10, ge=0)

    def resolved(self, registry: Registry) -> ScoreSpec:
        """With every option of its components at its value.

        Raises:
            UsageError: an unknown name or option, or a value out of range.
        """
        uses: dict[str, Use] = {}
        for kind in JUDGING:
            use: Use = getattr(self, kind)
            uses[kind] = Use(name=use.name, options=bind(registry.find(kind, use.name), use.options))
        return self.model_copy(update=uses)

    def described(self, registry: Registry) -> dict[str, Any]:
        """As JSON, with the same names that a run has; what only networks have is None."""
        return {
            "source": "scored",
            "system": self.system,
            **dict.fromkeys(RUN_KINDS),
            **{kind: getattr(self, kind).name for kind in JUDGING},
            "options": {kind: keyed(getattr(self, kind), kind, registry)["options"] for kind in JUDGING},
            "seed": self.seed,
            "tune": self.tune,
            "spec": self.model_dump(mode="json"),
        }

    def label(self) -> str:
        """What names of the run's files start with, so that a person can tell runs apart."""
        names = ("scored", self.system, self.calibrator.name, self.thresholds.name)
        return "-".join([*(re.sub(r"[^\w.]+", "_", name) for name in names), f"s{self.seed}"])
