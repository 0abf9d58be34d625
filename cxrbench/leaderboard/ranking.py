"""Boards of entries: one for each test set, systems ranked as far as the data tell them apart.

A system is all runs that differ in their seed alone. What is compared is the mean over its seeds, with both
sources of variance (:mod:`cxrbench.statistics.systems`); a system of one seed says nothing of the second, so
it is shown and not placed. Where a difference is not shown, systems share a group
(:func:`cxrbench.statistics.comparison.tie_groups`).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from cxrbench.leaderboard.board import (
    ALPHA,
    LEVEL,
    Apart,
    Board,
    Figure,
    Member,
    Null,
    Pair,
    SeedGap,
    System,
)
from cxrbench.leaderboard.columns import COSTS, Metric, metrics_with
from cxrbench.leaderboard.entries import Entry, defined, latest, on_same_resamples
from cxrbench.report.names import apart, system, title
from cxrbench.report.systems import group_runs
from cxrbench.statistics.bootstrap import Estimate
from cxrbench.statistics.comparison import Difference, holm, paired_difference, tie_groups
from cxrbench.statistics.intervals import percentile_bounds
from cxrbench.statistics.systems import combine_seeds, compare_systems

if TYPE_CHECKING:
    from cxrbench.interfaces import FloatArray

NULL_NAMES = {
    "prevalence": "always the prevalence",
    "always_negative": "always negative",
    "most_frequent": "always the most frequent class",
}

PAIRED = 40
"""Of how many of the best systems each pair is compared; a larger table could not be read."""

ONE_SEED = "seed variance unknown"
_NO_REPLICATES = "no interval"
_UNDEFINED = "undefined"
_OTHER_FINDINGS = "mean over other findings"


def boards_of(entries: Iterable[Entry], sort: str, asked: Sequence[Metric] = ()) -> tuple[Board, ...]:
    """A board for each test set, that with the most systems first.

    Args:
        entries: runs, in any order.
        sort: the metric that ranks.
        asked: metrics that entries have beside those of every run.
    """
    by_test_set: dict[str, list[Entry]] = {}
    for entry in entries:
        by_test_set.setdefault(entry.record["passport"]["id"], []).append(entry)
    metrics = metrics_with(asked)
    boards = [_board(same, metrics[sort], metrics) for same in by_test_set.values()]
    boards = [replace(board, asked=tuple(asked)) for board in boards]
    return tuple(sorted(boards, key=lambda board: (-len(board.systems), board.passport)))


def _board(entries: Sequence[Entry], metric: Metric, metrics: Mapping[str, Metric]) -> Board:
    sound = [entry for entry in entries if not entry.record.get("sanity")]
    failed = [entry for entry in entries if entry.record.get("sanity")]
    by_id = {entry.run_id: entry for entry in on_same_resamples(sound)}
    groups = group_runs([entry.record for entry in sound])
    systems = [latest(by_id[record["run_id"]] for record in group) for group in groups]
    systems = sorted(systems, key=lambda runs: _order(runs, metric))
    estimates = [_estimates(runs, metric) for runs in systems]
    unplaced = _unplaced(systems, estimates, metric)
    common, names = apart([runs[0].record for runs in systems], seeds=False) if systems else ("", [])
    differences = _differences(estimates, unplaced)
    means = [_mean(runs, metric.name) for runs in systems]
    sign = -1 if metric.smaller else 1
    placed = tie_groups(
        np.array([math.nan if why else sign * mean for why, mean in zip(unplaced, means, strict=True)]),
        _p_values(differences, unplaced),
        ALPHA,
    )
    marks = [tuple(_marks(runs)) for runs in systems]
    shared = tuple(mark for mark in (marks[0] if marks else ()) if all(mark in each for each in marks))
    record = entries[0].record
    passport = record["passport"]
    return Board(
        passport=passport["id"],
        data=title(passport["dataset"], passport.get("drawn")),
        label_version=passport["label_version"],
        images=passport["images"]["test"],
        patients=passport["patients"]["test"],
        metric=metric.name,
        common=common,
        marks=shared,
        systems=tuple(
            _system(
                runs,
                name or "these settings",
                group,
                why,
                tuple(mark for mark in each if mark not in shared),
                metric,
                metrics,
            )
            for runs, name, group, why, each in zip(systems, names, placed, unplaced, marks, strict=True)
        ),
        pairs=tuple(_pairs(estimates, differences, metric)),
        paired=min(PAIRED, len(systems)),
        seed_gaps=tuple(_seed_gaps(systems, estimates)),
        apart=tuple(
            Apart(
                entry.run_id,
                system(entry.record),
                entry.value(metric.name),
                (
                    *(check["reason"] for check in entry.record["sanity"]),
                    *(f"Not conforming: {each}." for each in entry.record.get("nonconforming", ())),
                ),
            )
            for entry in failed
        ),
        nulls=tuple(
            Null(
                NULL_NAMES.get(null["name"], null["name"]),
                {each.name: defined(null["metrics"].get(each.name)) for each in metrics.values()},
            )
            for null in record["null"]
        ),
        notes=tuple(_notes(sound, systems, unplaced)),
    )


def _order(runs: Sequence[Entry], metric: Metric) -> tuple[bool, float, str]:
    """The best first, undefined ones last."""
    mean = _mean(runs, metric.name)
    return math.isnan(mean), mean if metric.smaller else -mean, runs[0].run_id


def _mean(runs: Sequence[Entry], metric: str) -> float:
    """Over seeds; NaN where it is undefined for any: a mean over the others would be of another system."""
    return sum(entry.value(metric) for entry in runs) / len(runs)


def _estimates(runs: Sequence[Entry], metric: Metric) -> list[Estimate]:
    """Of each seed; none where any of them has none."""
    found = [estimate for entry in runs if (estimate := entry.estimate(metric.name)) is not None]
    return found if len(found) == len(runs) and len({each.findings for each in found}) == 1 else []


def _unplaced(
    systems: Sequence[Sequence[Entry]], estimates: Sequence[Sequence[Estimate]], metric: Metric
) -> list[str]:
    """Why each system cannot be placed; empty where it can."""
    covered = Counter(each[0].findings for each in estimates if len(each) > 1)
    most = covered.most_common(1)[0][0] if covered else ()
    return [
        _UNDEFINED
        if math.isnan(_mean(runs, metric.name))
        else ONE_SEED
        if len(runs) == 1
        else _NO_REPLICATES
        if not seeds
        else _OTHER_FINDINGS
        if seeds[0].findings != most
        else ""
        for runs, seeds in zip(systems, estimates, strict=True)
    ]


def _differences(
    estimates: Sequence[Sequence[Estimate]], unplaced: Sequence[str]
) -> dict[tuple[int, int], Difference]:
    """Of each pair of placed systems, and of each pair of the best whose means are over the same findings."""
    return {
        (first, second): compare_systems(estimates[first], estimates[second], LEVEL)
        for first, second in combinations(range(len(estimates)), 2)
        if estimates[first]
        and estimates[second]
        and estimates[first][0].findings == estimates[second][0].findings
        and (second < PAIRED or not (unplaced[first] or unplaced[second]))
    }


def _p_values(differences: Mapping[tuple[int, int], Difference], unplaced: Sequence[str]) -> FloatArray:
    """Of each pair ``[k, k]`` of placed systems, symmetric; NaN elsewhere."""
    p_values = np.full((len(unplaced), len(unplaced)), math.nan)
    for (first, second), difference in differences.items():
        if not (unplaced[first] or unplaced[second]):
            p_values[first, second] = p_values[second, first] = difference.p
    return p_values


def _pairs(
    estimates: Sequence[Sequence[Estimate]],
    differences: Mapping[tuple[int, int], Difference],
    metric: Metric,
) -> Iterable[Pair]:
    """Each pair of the best systems."""
    sign = -1 if metric.smaller else 1
    of_best = {places: found for places, found in differences.items() if max(places) < PAIRED}
    adjusted = holm(np.array([difference.p for difference in of_best.values()]))
    for ((first, second), difference), p in zip(of_best.items(), adjusted.tolist(), strict=True):
        low, high = sorted((sign * difference.interval.low, sign * difference.interval.high))
        a, b = (np.stack([each.replicates for each in estimates[k]]) for k in (first, second))
        # A single pair of runs is compared over patients alone, as paired_difference does.
        units = min(each.units for k in (first, second) for each in estimates[k])
        lows, highs = percentile_bounds(sign * (a[:, None] - b[None]), LEVEL, units)
        yield Pair(
            first=first,
            second=second,
            value=sign * difference.value,
            low=low,
            high=high,
            p=p,
            better=int((lows > 0).sum()),
            worse=int((highs < 0).sum()),
            runs=lows.size,
        )


def _seed_gaps(
    systems: Sequence[Sequence[Entry]], estimates: Sequence[Sequence[Estimate]]
) -> Iterable[SeedGap]:
    for place, (runs, seeds) in enumerate(zip(systems, estimates, strict=True)):
        for (run_a, a), (run_b, b) in combinations(zip(runs, seeds, strict=False), 2):
            gap = paired_difference(a, b, LEVEL)
            yield SeedGap(place, run_a.run_id, run_b.run_id, gap.value, gap.interval.low, gap.interval.high)


def _system(
    runs: Sequence[Entry],
    name: str,
    group: int | None,
    unplaced: str,
    marks: tuple[str, ...],
    metric: Metric,
    metrics: Mapping[str, Metric],
) -> System:
    figure = metric.finding_figure or "auc"
    return System(
        name=name,
        group=group,
        unplaced=unplaced,
        members=tuple(
            Member(entry.run_id, entry.record.get("seed"), entry.value(metric.name)) for entry in runs
        ),
        figures={
            each.name: _figure([entry.value(each.name) for entry in runs], _estimates(runs, each))
            for each in metrics.values()
        },
        findings={finding: _finding(runs, figure, finding) for finding in runs[0].finding_values(figure)},
        costs={cost: _cost(runs, cost) for cost in COSTS},
        marks=marks,
    )


def _finding(runs: Sequence[Entry], figure: str, finding: str) -> Figure:
    estimates = [entry.estimate(f"{figure}:{finding}") for entry in runs]
    values = [entry.finding_values(figure)[finding] for entry in runs]
    return _figure(values, [each for each in estimates if each is not None])


def _figure(values: Sequence[float], estimates: Sequence[Estimate]) -> Figure:
    """Mean, interval and spread; without an interval where not each seed has replicates."""
    value = sum(values) / len(values)
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else math.nan
    if len(estimates) < len(values):
        return Figure(value, math.nan, math.nan, deviation)
    interval = combine_seeds(estimates, LEVEL).interval
    return Figure(value, interval.low, interval.high, deviation)


def _cost(runs: Sequence[Entry], name: str) -> float | None:
    """The mean over seeds of what was recorded; None where nothing was."""
    recorded = [entry.record[name] for entry in runs if entry.record.get(name) is not None]
    return sum(recorded) / len(recorded) if recorded else None


def _marks(runs: Sequence[Entry]) -> Iterable[str]:
    """What readers of the figures must know of a system."""
    record: Mapping[str, Any] = runs[0].record
    passport = record["passport"]
    if record.get("test_dataset"):
        yield f"trained on {title(record['trained_on']['dataset'], record['trained_on'].get('drawn'))}"
    if record["tune"] == "val":
        yield "fitted on val"
    if "tune from test" in record["passport"].get("split", ""):
        yield "fitted on half of the test patients, which are no test any more"
    for pair, count in passport["shared_patients"].items():
        if count:
            yield f"{count:,} patients are in both {pair.replace('/', ' and ')}"
    if None in passport["shared_patients"].values():
        yield "not known whether it was trained on patients of test"
    for clause in dict.fromkeys(each for run in runs for each in run.record.get("nonconforming", ())):
        yield f"not conforming: {clause}"


def _notes(
    entries: Sequence[Entry], systems: Sequence[Sequence[Entry]], unplaced: Sequence[str]
) -> Iterable[str]:
    old = sum(1 for runs in systems for entry in runs if not entry.estimates)
    if old:
        yield (
            f"{old} run{'s' if old > 1 else ''} without replicates: evaluated by an older cxrbench, so there "
            "are no intervals; the same 'cxrbench run' again evaluates anew and trains nothing."
        )
    unchecked = sum(1 for runs in systems for entry in runs if "sanity" not in entry.record)
    if unchecked:
        yield f"{unchecked} run{'s' if unchecked > 1 else ''} without sanity checks, for the same reason."
    left = len(entries) - sum(map(len, systems))
    if left:
        yield (
            f"{left} run{'s' if left > 1 else ''} left out that a later run of the same settings and seed "
            "replaces."
        )
    if _OTHER_FINDINGS in unplaced:
        yield "Systems whose mean is over other findings than most systems' are not placed."
