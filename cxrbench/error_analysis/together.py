"""Who is wrong where, as plain values: what is kept of a panel, and what pages show of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Side:
    """One run's part of a question.

    Attributes:
        wrong: what it gets wrong.
        only_wrong: what only it gets wrong; NaN of one run.
        only_right: what only it gets right; NaN of one run.
        missed: false negatives; NaN where there are none to speak of.
        false: false positives, likewise.
    """

    wrong: int
    only_wrong: float
    only_right: float
    missed: float
    false: float


@dataclass(frozen=True, slots=True)
class Answered:
    """A question, and how often runs answer it rightly.

    Attributes:
        of: ``images``, ``decisions`` or a finding.
        units: counted.
        left_out: not counted.
        all_right: what all runs get right.
        all_wrong: what all get wrong.
        some_wrong: the rest.
        missed_by_all: positives that no run calls; NaN of whole images.
        false_by_all: negatives that every run calls; NaN of whole images.
        fleiss_kappa: agreement of what they call; NaN of one run.
        sides: of each run.
    """

    of: str
    units: int
    left_out: int
    all_right: int
    all_wrong: int
    some_wrong: int
    missed_by_all: float
    false_by_all: float
    fleiss_kappa: float
    sides: tuple[Side, ...]


@dataclass(frozen=True, slots=True)
class Agreement:
    """Two runs, by their places.

    Attributes:
        first: place of the one.
        second: place of the other, after it.
        disagreement: share that they call differently.
        cohen_kappa: agreement beyond chance.
        both_wrong: what both get wrong.
        only_first_wrong: what the first alone of the two gets wrong.
        only_second_wrong: what the second alone does.
    """

    first: int
    second: int
    disagreement: float
    cohen_kappa: float
    both_wrong: int
    only_first_wrong: int
    only_second_wrong: int


@dataclass(frozen=True, slots=True)
class Overlap:
    """What exactly these runs get wrong, and no others.

    Attributes:
        runs: their places; none: what all get right.
        units: how much.
    """

    runs: tuple[int, ...]
    units: int


@dataclass(frozen=True, slots=True)
class Together:
    """Runs side by side on one test set.

    Attributes:
        run_ids: of the runs.
        letters: that stand for them.
        names: what sets each apart.
        common: what all have in common, in words.
        multilabel: whether each class is a question of its own.
        questions: images, all decisions (multi-label), and each finding.
        compared: what ``agreement`` and ``overlap`` are of: all decisions, or whole images.
        agreement: of each two.
        overlap: the most frequent sets of runs that err together.
    """

    run_ids: tuple[str, ...]
    letters: tuple[str, ...]
    names: tuple[str, ...]
    common: str
    multilabel: bool
    questions: tuple[Answered, ...]
    compared: str
    agreement: tuple[Agreement, ...]
    overlap: tuple[Overlap, ...]
