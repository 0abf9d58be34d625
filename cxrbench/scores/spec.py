"""What a run of scores that others made is."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from cxrbench.judged_spec import JUDGING, described, label, resolved
from cxrbench.options import Use
from cxrbench.registry import Registry
from cxrbench.specs import OneUse

TuneFrom = Literal["none", "file", "roles", "test_patients"]


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
        """See :func:`cxrbench.judged_spec.resolved`."""
        return resolved(self, JUDGING, registry)

    def described(self, registry: Registry) -> dict[str, Any]:
        """See :func:`cxrbench.judged_spec.described`."""
        return described(self, "scored", JUDGING, registry)

    def label(self) -> str:
        """See :func:`cxrbench.judged_spec.label`."""
        return label(self, "scored")
