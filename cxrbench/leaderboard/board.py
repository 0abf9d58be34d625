"""What a leaderboard says: plain values, without arrays."""

from __future__ import annotations

import math
from dataclasses import dataclass

from cxrbench.error_analysis.together import Together
from cxrbench.leaderboard.columns import Metric, metrics_with


@dataclass(frozen=True, slots=True)
class Figure:
    """The mean of a figure over a system's seeds; NaN where undefined.

    Attributes:
        value: the mean.
        low: lower end of its 95% interval; NaN where there is none.
        high: upper end.
        seed_deviation: standard deviation over seeds; NaN with one.
    """

    value: float
    low: float
    high: float
    seed_deviation: float


@dataclass(frozen=True, slots=True)
class Member:
    """One run of a system.

    Attributes:
        run_id: its id.
        seed: what it was trained from; None where nothing says.
        value: of the metric that ranks.
    """

    run_id: str
    seed: int | None
    value: float


@dataclass(frozen=True, slots=True)
class System:
    """What runs share that differ in their seed alone.

    Attributes:
        name: what sets it apart from the others of its board.
        group: 1 for the best and all that are not shown to differ from it, and so on; None where the system
            cannot be placed.
        unplaced: why it cannot be; empty where it is.
        members: its runs.
        figures: by metric.
        findings: by finding, of the figure that the metric is the mean of.
        costs: by name, see :data:`cxrbench.leaderboard.columns.COSTS`; None where not recorded.
        marks: what whoever reads its figures must know, such as that it was fitted on val, where that does
            not hold for all of its board.
    """

    name: str
    group: int | None
    unplaced: str
    members: tuple[Member, ...]
    figures: dict[str, Figure]
    findings: dict[str, Figure]
    costs: dict[str, float | None]
    marks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pair:
    """One system's figure less another's, in the way that above 0 the first is the better.

    Attributes:
        first: place of the first system on the board.
        second: place of the second.
        value: the difference.
        low: lower end of its 95% interval.
        high: upper end.
        p: adjusted by Holm over all pairs of the board; NaN where either system has one seed.
        better: in how many pairs of runs, one of each system, the first is better beyond test sampling.
        worse: in how many it is worse.
        runs: how many pairs of runs there are.
    """

    first: int
    second: int
    value: float
    low: float
    high: float
    p: float
    better: int
    worse: int
    runs: int

    @property
    def with_seeds(self) -> bool:
        """Whether the interval holds the variance between seeds; without, nothing is shown of systems."""
        return not math.isnan(self.p)

    @property
    def shown(self) -> bool:
        """Whether the systems are shown to differ."""
        return self.p <= ALPHA

    @property
    def every(self) -> bool:
        """Whether each run of the one is better than each of the other, beyond test sampling."""
        return self.runs > 0 and self.runs in (self.better, self.worse)


@dataclass(frozen=True, slots=True)
class SeedGap:
    """The figure of one seed of a system less that of another, on the same patients.

    Attributes:
        system: place of the system on the board.
        first: run id of the first.
        second: run id of the second.
        value: the difference, not turned over.
        low: lower end of its 95% interval, over resampled patients.
        high: upper end.
    """

    system: int
    first: str
    second: str
    value: float
    low: float
    high: float

    @property
    def beyond_sampling(self) -> bool:
        """Whether the two differ by more than the patients of the test set explain."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True, slots=True)
class Apart:
    """A run that is not ranked, as it fails checks that any sound system passes."""

    run_id: str
    name: str
    value: float
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Null:
    """What a system must beat."""

    name: str
    values: dict[str, float]


@dataclass(frozen=True, slots=True)
class Board:
    """Systems on one test set.

    Attributes:
        passport: its id.
        data: the name of the data.
        label_version: which labels.
        images: of test.
        patients: of test.
        metric: what systems are ranked by.
        common: what all systems share, in words.
        marks: what must be known of all of them, as :attr:`System.marks` of one.
        systems: the best first.
        pairs: of the best systems, each with each below it.
        paired: how many systems ``pairs`` covers.
        seed_gaps: of each system of several seeds.
        apart: runs that are not ranked.
        nulls: what systems must beat.
        notes: sentences on what is missing or special.
        asked: metrics that were asked for beside those of every run.
        errors: who of the best systems is wrong where; None where that cannot be told.
    """

    passport: str
    data: str
    label_version: str
    images: int
    patients: int
    metric: str
    common: str
    marks: tuple[str, ...]
    systems: tuple[System, ...]
    pairs: tuple[Pair, ...]
    paired: int
    seed_gaps: tuple[SeedGap, ...]
    apart: tuple[Apart, ...]
    nulls: tuple[Null, ...]
    notes: tuple[str, ...]
    asked: tuple[Metric, ...] = ()
    errors: Together | None = None

    @property
    def metrics(self) -> dict[str, Metric]:
        """What systems have figures of, by name."""
        return metrics_with(self.asked)

    @property
    def ranked_by(self) -> Metric:
        """What systems are ranked by."""
        return self.metrics[self.metric]


LEVEL = 0.95
"""Of every interval."""

ALPHA = 0.05
"""Above this adjusted p, systems are not shown to differ."""
