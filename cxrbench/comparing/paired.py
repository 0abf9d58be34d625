"""Paired differences of two systems, seeds or networks on one test set, and what may be said of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np

from cxrbench.comparing.stored import StoredRun
from cxrbench.errors import UsageError
from cxrbench.report.names import apart
from cxrbench.report.systems import group_runs
from cxrbench.statistics.bootstrap import Estimate
from cxrbench.statistics.comparison import Difference, holm, paired_difference
from cxrbench.statistics.delong import AucCovariance, auc_covariance
from cxrbench.statistics.systems import compare_systems

LEVEL, ALPHA = 0.95, 0.05

FIGURES = {
    "macro_auc": ("AUC", True),
    "macro_ap": ("AP", True),
    "macro_f1": ("F1", True),
    "exact_match": ("exact match", True),
    "accuracy": ("accuracy", True),
    "hamming_loss": ("Hamming loss", False),
    "lrap": ("LRAP", True),
    "fnfr": ("FNFR", False),
    "macro_brier": ("Brier", False),
    "macro_ece": ("ECE", False),
}
"""Figures over all findings: what a table calls them, and whether larger is better."""

Kind = Literal["systems", "networks", "seeds"]


@dataclass(frozen=True)
class Side:
    """What stands on one side of a comparison: the runs of a system, or one of them.

    Attributes:
        name: what sets it apart from the other sides.
        runs: its seeds.
    """

    name: str
    runs: tuple[StoredRun, ...]


@dataclass(frozen=True)
class Row:
    """One figure of both sides.

    Attributes:
        figure: its name, or a finding's for its AUC.
        head: what a table calls it.
        larger_is_better: whether it is.
        first: of the first side, mean over seeds; NaN where undefined.
        second: of the second.
        value: the second less the first.
        low: lower end of the difference's interval.
        high: upper end.
        p: of no difference, adjusted where several are tested together; NaN where it cannot be told.
        delong: ``(low, high, p)`` of DeLong's interval, of findings; None where it is not for these.
    """

    figure: str
    head: str
    larger_is_better: bool
    first: float
    second: float
    value: float
    low: float
    high: float
    p: float
    delong: tuple[float, float, float] | None = None

    @property
    def direction(self) -> int:
        """1 where the second is shown to be better, -1 for worse, 0 where neither is shown.

        Shown is what the interval and, where there is one, the adjusted p agree on.
        """
        if math.isnan(self.low) or self.low <= 0 <= self.high or self.p > ALPHA:
            return 0
        return 1 if (self.value > 0) == self.larger_is_better else -1


@dataclass(frozen=True)
class Comparison:
    """The second side against the first.

    Attributes:
        kind: ``systems`` where both have several seeds, so that intervals hold their variance; ``seeds`` of
            one system, or ``networks``, where intervals are of test sampling alone.
        first: what is compared with.
        second: what is compared.
        common: what both have in common, in words.
        overall: a row a figure over all findings.
        findings: a row a finding, its AUC; p adjusted by Holm over findings.
        verdict: in words.
    """

    kind: Kind
    first: Side
    second: Side
    common: str
    overall: tuple[Row, ...]
    findings: tuple[Row, ...]
    verdict: str

    def record(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "kind": self.kind,
            "first": {"name": self.first.name, "runs": [run.run_id for run in self.first.runs]},
            "second": {"name": self.second.name, "runs": [run.run_id for run in self.second.runs]},
            "verdict": self.verdict,
            "level": LEVEL,
            "overall": [_row_record(row) for row in self.overall],
            "findings": [_row_record(row) for row in self.findings],
        }


def compare(runs: Sequence[StoredRun]) -> list[Comparison]:
    """Each system named against the first; of one system, each of its seeds against the first.

    Raises:
        UsageError: there are fewer than two runs, one is named twice, or they are of different test sets.
    """
    ids = [run.run_id for run in runs]
    if len(set(ids)) < max(len(ids), 2):
        raise UsageError("A comparison needs two different runs; name them by id, or its beginning or end.")
    _require_one_test_set(runs)
    by_id = {run.run_id: run for run in runs}
    groups = [[by_id[record["run_id"]] for record in group] for group in group_runs([r.record for r in runs])]
    seeds = len(groups) == 1
    if seeds:
        groups = [[run] for run in runs]
    common, names = apart([group[0].record for group in groups], seeds=seeds)
    sides = [Side(name or group[0].run_id, tuple(group)) for name, group in zip(names, groups, strict=True)]
    if len({side.name for side in sides}) < len(sides):
        sides = [Side(side.runs[0].run_id, side.runs) for side in sides]
    return [_comparison(sides[0], other, common, seeds) for other in sides[1:]]


def _require_one_test_set(runs: Sequence[StoredRun]) -> None:
    first = runs[0].record["passport"]
    for run in runs[1:]:
        other = run.record["passport"]
        if other["id"] == first["id"]:
            continue
        if other["test_ids"] != first["test_ids"]:
            why = (
                f"one is tested on {first['images']['test']:,} images of {first['dataset']}, the other on "
                f"{other['images']['test']:,} of {other['dataset']}, which are not the same images"
            )
        else:
            why = (
                f"the test images are the same, their labels are not ({first['label_version']} and "
                f"{other['label_version']}), or not of the same findings"
            )
        raise UsageError(
            f"{runs[0].run_id} and {run.run_id} have different passports ({first['id']}, {other['id']}): "
            f"{why}. Score both on one test set."
        )


def _comparison(first: Side, second: Side, common: str, seeds: bool) -> Comparison:
    several = min(len(first.runs), len(second.runs)) > 1
    kind: Kind = "systems" if several else "seeds" if seeds else "networks"
    overall = [
        row
        for figure, (head, larger) in FIGURES.items()
        if (row := _row(first, second, figure, head, larger)) is not None
    ]
    names = [each["finding"] for each in first.runs[0].record["per_finding"]]
    check = _delong(first, second)
    findings = []
    for column, name in enumerate(names):
        row = _row(first, second, f"auc:{name}", name, True)
        if row is not None:
            findings.append(row if check is None else _checked(row, check, column))
    adjusted = holm(np.array([row.p for row in findings]))
    findings = [replace(row, p=p) for row, p in zip(findings, adjusted.tolist(), strict=True)]
    return Comparison(
        kind=kind,
        first=first,
        second=second,
        common=common,
        overall=tuple(overall),
        findings=tuple(findings),
        verdict=_verdict(kind, first, second, overall, findings),
    )


def _row(first: Side, second: Side, figure: str, head: str, larger: bool) -> Row | None:
    """A figure of both sides; None where a run has none of it."""
    ours, theirs = ([run.estimate(figure) for run in side.runs] for side in (first, second))
    a, b = ([each for each in side if each is not None] for side in (ours, theirs))
    if len(a) < len(ours) or len(b) < len(theirs):
        return None
    before, after = (float(np.mean([each.value for each in side])) for side in (a, b))
    # Where one is undefined, or averages are over different findings, there is no difference to be told.
    told = not (math.isnan(before) or math.isnan(after)) and len({each.findings for each in (*a, *b)}) == 1
    found = _difference(b, a) if told else None
    return Row(
        figure=figure.removeprefix("auc:"),
        head=head,
        larger_is_better=larger,
        first=before,
        second=after,
        value=found.value if found else math.nan,
        low=found.interval.low if found else math.nan,
        high=found.interval.high if found else math.nan,
        p=found.p if found else math.nan,
    )


def _difference(second: Sequence[Estimate], first: Sequence[Estimate]) -> Difference:
    if len(second) == len(first) == 1:
        return paired_difference(second[0], first[0], LEVEL)
    return compare_systems(second, first, LEVEL)


def _delong(first: Side, second: Side) -> AucCovariance | None:
    """DeLong's covariance of two networks; of means over seeds it says nothing."""
    if len(first.runs) > 1 or len(second.runs) > 1:
        return None
    (ours,), (theirs,) = first.runs, second.runs
    scores = np.stack(
        [each.probabilities.loc[ours.probabilities.index].to_numpy() for each in (ours, theirs)]
    )
    patients = ours.patients.to_numpy(str) if ours.patients.duplicated().any() else None
    return auc_covariance(scores, ours.labels, patients)


def _checked(row: Row, check: AucCovariance, column: int) -> Row:
    _, interval, p = check.difference(1, 0, column, LEVEL)
    return replace(row, delong=(interval.low, interval.high, p))


def _row_record(row: Row) -> dict[str, Any]:
    low, high, p = row.delong or (None, None, None)
    record = {**asdict(row), "better": {1: "second", -1: "first", 0: None}[row.direction]}
    del record["delong"]
    return {**record, "delong_low": low, "delong_high": high, "delong_p": p}


def _verdict(kind: Kind, first: Side, second: Side, overall: Sequence[Row], findings: Sequence[Row]) -> str:
    """What may be said of AUC, and no more."""
    row = next((each for each in overall if each.figure == "macro_auc"), None)
    if row is None or math.isnan(row.value):
        return "AUC cannot be compared: it is undefined for one of them, or over other findings."
    interval = "without an interval" if math.isnan(row.low) else f"[{row.low:+.4f}, {row.high:+.4f}]"
    gap = f"macro AUC {row.value:+.4f} {interval}"
    telling = [each for each in findings if each.p <= ALPHA]
    each = f"{len(telling)} of {len(findings)} findings differ after Holm's adjustment"
    if telling and len(telling) <= 5:
        each += f" ({', '.join(finding.head for finding in telling)})"
    if kind == "systems":
        if row.p <= ALPHA:
            told = f"{second.name} is {'better' if row.direction > 0 else 'worse'} than {first.name}"
        else:
            told = f"{second.name} and {first.name} are not shown to differ"
        return f"{told}: {gap}, seeds and test sampling together; {each}."
    if kind == "seeds":
        beyond = "differ beyond test sampling" if row.direction else "do not differ beyond test sampling"
        return (
            f"Two seeds of one system {beyond}: {gap}. "
            f"{'What one seed gives says little of the system: train more.' if row.direction else ''}"
        ).strip()
    lone = [side.name for side in (first, second) if len(side.runs) == 1]
    which = "these networks differ" if row.direction else "these networks are not shown to differ"
    return (
        f"On this test set {which}: {gap}, of test sampling alone. Seed variance unknown "
        f"({' and '.join(lone)}: one seed), so neither system is called better."
    )


def as_table(comparisons: Sequence[Comparison]) -> list[Mapping[str, Any]]:
    """Every row of every comparison, flat, as a CSV file has them."""
    return [
        {
            "first": each.first.name,
            "second": each.second.name,
            "kind": each.kind,
            "of": of,
            **_row_record(row),
        }
        for each in comparisons
        for of, rows in (("all findings", each.overall), ("finding", each.findings))
        for row in rows
    ]
