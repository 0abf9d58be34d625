"""Whether an engine is still the same network: its logits on test against those of eager fp32."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cxrbench.errors import UsageError
from cxrbench.statistics.bootstrap import Replicates, bootstrap
from cxrbench.statistics.comparison import paired_difference
from cxrbench.statistics.delong import auc_covariance
from cxrbench.statistics.resamples import Resamples
from cxrbench.statistics.weighted import Ranking
from cxrbench.task import Task
from cxrbench.workflow.deployed import Deployed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cxrbench.interfaces import FloatArray

REPLICATES = 1000


@dataclass(frozen=True)
class Tolerance:
    """How far an engine may be from eager fp32.

    Attributes:
        auc: of the macro AUC, either way.
        flips: the share of decisions that may differ.
        logit: the largest difference of any logit; infinite where that is not asked.
    """

    auc: float = 0.001
    flips: float = 0.002
    logit: float = math.inf

    @classmethod
    def parse(cls, text: str) -> Tolerance:
        """Read ``auc=0.001,flips=0.002``; what is not given stays as it is.

        Raises:
            UsageError: a name is unknown, or a value no number from 0 on.
        """
        given: dict[str, float] = {}
        for piece in text.split(","):
            name, _, value = (part.strip() for part in piece.partition("="))
            try:
                number = float(value)
            except ValueError:
                number = math.nan
            if name not in ("auc", "flips", "logit") or not number >= 0:
                raise UsageError(
                    f"--gate takes auc, flips and logit with a number from 0 on, such as "
                    f"auc=0.001,flips=0.002; '{piece.strip()}' is not that."
                )
            given[name] = number
        return cls(**given)


@dataclass(frozen=True)
class OfFinding:
    """How far an engine is from eager fp32 for one finding, on the test images.

    Attributes:
        finding: its name.
        max_abs_logit: the largest difference of a logit.
        mean_abs_logit: the mean of the absolute differences.
        delta_auc: AUC of the engine less that of eager fp32; NaN where undefined.
        low: lower end of its paired 95% interval (DeLong, or Obuchowski for patients with several images).
        high: upper end.
        flips: the share of images whose decision differs.
    """

    finding: str
    max_abs_logit: float
    mean_abs_logit: float
    delta_auc: float
    low: float
    high: float
    flips: float


@dataclass(frozen=True)
class Gate:
    """An engine compared with eager fp32, over all findings and for each.

    Attributes:
        passed: whether it may be ranked.
        reasons: why it may not; empty where it may.
        images: how many were compared.
        max_abs_logit: the largest difference of any logit.
        mean_abs_logit: the mean of the absolute differences.
        delta_auc: macro AUC of the engine less that of eager fp32; NaN where no finding has one.
        low: lower end of its paired 95% interval, over resampled patients.
        high: upper end.
        flips: the share of decisions that differ, of all images and findings.
        tolerance: what was allowed.
        findings: of each finding.
    """

    passed: bool
    reasons: tuple[str, ...]
    images: int
    max_abs_logit: float
    mean_abs_logit: float
    delta_auc: float
    low: float
    high: float
    flips: float
    tolerance: Tolerance
    findings: tuple[OfFinding, ...]

    def record(self) -> dict[str, Any]:
        """As JSON; an infinite tolerance, which no JSON has, as None."""
        told = asdict(self)
        told["tolerance"] = {k: None if math.isinf(v) else v for k, v in told["tolerance"].items()}
        return told


def compare(
    behind: Deployed,
    reference: FloatArray,
    engine: FloatArray,
    tested: Sequence[int],
    labels: FloatArray,
    patients: NDArray[np.str_],
    passport: str,
    tolerance: Tolerance,
) -> Gate:
    """Compare an engine's logits with those of eager fp32 on the same images.

    Args:
        behind: what decides.
        reference: logits ``[n, c]`` of eager fp32.
        engine: logits ``[n, c]`` of the engine.
        tested: which classes of the network are tested, by place.
        labels: ``[n, tested]``, 1, 0 or NaN.
        patients: ``[n]``.
        passport: names the resamples.
        tolerance: how far they may differ.
    """
    columns = list(tested)
    names = [behind.task.classes[column] for column in columns]
    gaps = np.abs(engine - reference)[:, columns]
    if not np.isfinite(engine).all():
        return _not_finite(names, len(engine), tolerance)
    decided = [behind.decisions(behind.probabilities(each))[:, columns] for each in (reference, engine)]
    either = ~(np.isnan(decided[0]) & np.isnan(decided[1]))
    flipped = either & (decided[0] != decided[1])
    scores = np.stack([behind.task.log_odds(each)[:, columns] for each in (reference, engine)])
    several = len(np.unique(patients)) < len(patients)
    covariance = auc_covariance(scores, labels, patients if several else None)
    findings = []
    for column, name in enumerate(names):
        delta, interval, _ = covariance.difference(1, 0, column)
        findings.append(
            OfFinding(
                name,
                float(gaps[:, column].max()),
                float(gaps[:, column].mean()),
                delta,
                interval.low,
                interval.high,
                _share(flipped[:, column], either[:, column]),
            )
        )
    resamples = Resamples(patients, passport, REPLICATES)
    task = Task(behind.task.kind, tuple(names))
    before, now = (_ranked(task, each, labels, resamples).macro("auc") for each in scores)
    gap = paired_difference(now, before)
    flips, largest = _share(flipped, either), float(gaps.max())
    reasons = _reasons(gap.value, flips, largest, tolerance)
    return Gate(
        not reasons,
        tuple(reasons),
        len(engine),
        largest,
        float(gaps.mean()),
        gap.value,
        gap.interval.low,
        gap.interval.high,
        flips,
        tolerance,
        tuple(findings),
    )


def _ranked(task: Task, scores: FloatArray, labels: FloatArray, resamples: Resamples) -> Replicates:
    return bootstrap(task.classes, resamples, [Ranking(scores, labels, resamples)], resamples.units(labels))


def _reasons(delta_auc: float, flips: float, logit: float, tolerance: Tolerance) -> list[str]:
    """What is beyond the tolerance; an undefined AUC is not."""
    reasons = []
    if abs(delta_auc) > tolerance.auc:
        reasons.append(f"macro AUC {delta_auc:+.4f}, {tolerance.auc:g} allowed")
    if flips > tolerance.flips:
        reasons.append(f"{flips:.2%} of decisions flipped, {tolerance.flips:.2%} allowed")
    if logit > tolerance.logit:
        reasons.append(f"a logit is {logit:.3g} off, {tolerance.logit:g} allowed")
    return reasons


def _not_finite(names: Sequence[str], images: int, tolerance: Tolerance) -> Gate:
    nan = math.nan
    findings = tuple(OfFinding(name, nan, nan, nan, nan, nan, nan) for name in names)
    reason = "a logit is not finite"
    return Gate(False, (reason,), images, nan, nan, nan, nan, nan, nan, tolerance, findings)


def _share(flipped: NDArray[np.bool_], either: NDArray[np.bool_]) -> float:
    """NaN where nothing is decided."""
    return float(flipped.sum() / either.sum()) if either.any() else math.nan
