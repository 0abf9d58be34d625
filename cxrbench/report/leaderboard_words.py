"""What a leaderboard says in words and cells, whether in the terminal, on a page or in a paper."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cxrbench.leaderboard.board import ALPHA, Board, Figure, System
from cxrbench.leaderboard.columns import COSTS

DASH = "–"

READ_SHORT = (
    "Means over seeds with 95% intervals over patients and seeds; systems of one group are not shown to "
    "differ from its first (Holm). Systems of one seed are not placed."
)

READ = (
    "Systems are ranked, not runs: a figure is the mean over a system's seeds. Its 95% interval holds what "
    "other patients and other seeds would change. Systems of one group are not shown to differ from the "
    f"first of the group (paired test on the same patients, Holm, {ALPHA:.0%}), so their order means "
    "nothing. A system of one seed is not placed: nothing says what another seed would give, and its "
    "interval is of patients alone."
)
"""How to read a board."""


@dataclass(frozen=True, slots=True)
class Cell:
    """What stands in a cell: the figure, and its interval, which may be empty."""

    text: str
    interval: str = ""


def cells(board: Board, columns: Sequence[str]) -> tuple[list[str], list[list[Cell]]]:
    """Headings and rows of a board: group, system, seeds, then the columns."""
    heads = ["group", "system", "seeds", *(heading(board, column) for column in columns)]
    rows = [
        [
            Cell(group(system)),
            Cell(named(system)),
            Cell(seeds(system)),
            *(_cell(system, column) for column in columns),
        ]
        for system in board.systems
    ]
    return heads, rows


def shown_columns(board: Board, columns: Sequence[str]) -> list[str]:
    """The columns less those of which no system of the board has anything, the ranking's excepted."""
    return [
        name
        for name in columns
        if name == board.metric or any(_value(system, name) is not None for system in board.systems)
    ]


def heading(board: Board, column: str) -> str:
    """Of a column, with an arrow where the smaller is the better."""
    if column in COSTS:
        return COSTS[column]
    metric = board.metrics[column]
    return f"{metric.heading} ↓" if metric.smaller else metric.heading


def group(system: System) -> str:
    """The group, or a dash where a system is not placed."""
    return DASH if system.group is None else str(system.group)


def seeds(system: System) -> str:
    """Such as ``0, 1, 2``, or how many there are."""
    known = [member.seed for member in system.members]
    if None in known or len(known) > 3:
        return str(len(known))
    return ", ".join(map(str, known))


def named(system: System) -> str:
    """A system's name, with what must be known of it."""
    marks = [mark for mark in (system.unplaced, *system.marks) if mark and mark not in system.name]
    return f"{system.name} ({'; '.join(marks)})" if marks else system.name


def figure(value: float, digits: int = 3) -> str:
    """A figure, a dash where it is undefined."""
    return DASH if math.isnan(value) else f"{value:z.{digits}f}"


def interval(found: Figure, digits: int = 3) -> str:
    """Such as ``.812–.845`` in brackets; empty where there is none."""
    if math.isnan(found.low):
        return ""
    return f"[{found.low:.{digits}f}, {found.high:.{digits}f}]"


def cost(name: str, value: float | None) -> str:
    """A cost with its unit; a dash where it was not recorded."""
    if value is None:
        return DASH
    if name == "training_seconds":
        return _duration(value)
    if name in ("latency_ms", "latency_p99_ms"):
        return f"{value:.3g} ms"
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value:.0f}"


def counted(count: int, one: str, many: str = "") -> str:
    """Such as ``1 run`` and ``2 runs``."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def tested(board: Board) -> str:
    """What systems of a board were tested on."""
    return (
        f"test: {board.images:,} images of {board.patients:,} patients; labels {board.label_version}; "
        f"passport {board.passport}"
    )


def seed_sentences(board: Board) -> list[str]:
    """Where seeds of one system differ by more than the patients of the test set explain."""
    heading_ = board.ranked_by.heading
    found = []
    for gap in board.seed_gaps:
        if gap.beyond_sampling:
            system = board.systems[gap.system]
            names = {member.run_id: seed_name(member.seed, member.run_id) for member in system.members}
            found.append(
                f"{system.name}: {names[gap.first]} less {names[gap.second]} is "
                f"{signed(gap.value)} {heading_} [{signed(gap.low)}, {signed(gap.high)}] on the same patients"
            )
    return found


def every_pair(board: Board) -> str:
    """Which systems are better than which in every pair of seeds, yet not shown to be; empty where none."""
    over: dict[int, list[str]] = {}
    for pair in board.pairs:
        if pair.every and pair.with_seeds and not pair.shown:
            better, worse = (pair.first, pair.second) if pair.better else (pair.second, pair.first)
            over.setdefault(better, []).append(board.systems[worse].name)
    if not over:
        return ""
    told = "; ".join(f"{board.systems[k].name} over {' and '.join(names)}" for k, names in over.items())
    return (
        f"In every pair of seeds one is better beyond test sampling: {told}. So few seeds do not show that "
        "another seed would be."
    )


def remarks(board: Board) -> list[str]:
    """What must be known of all systems of a board."""
    common = [f"All: {board.common}."] if board.common else []
    return [*common, *(f"All systems: {mark}." for mark in board.marks)]


def seed_name(seed: int | None, run_id: str) -> str:
    """How one run of a system is called."""
    return run_id[-8:] if seed is None else f"seed {seed}"


def signed(value: float, digits: int = 4) -> str:
    """A difference with its sign."""
    return DASH if math.isnan(value) else f"{value:+.{digits}f}".replace("-", "−")


def _cell(system: System, column: str) -> Cell:
    if column in COSTS:
        return Cell(cost(column, system.costs[column]))
    found = system.figures[column]
    return Cell(figure(found.value), interval(found))


def _value(system: System, column: str) -> float | None:
    if column in COSTS:
        return system.costs[column]
    value = system.figures[column].value
    return None if math.isnan(value) else value


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def prior_shift_told(record: Mapping[str, Any]) -> str:
    """What correcting a run's probabilities for test's prevalence would do; empty where it is not known."""
    shift = record.get("prior_shift")
    if not shift or not shift["findings"]:
        return ""
    told = (
        f"{shift['macro_ece' + end]:.3f} {name}"
        for end, name in (("", "as it is"), ("_estimated", "estimated"), ("_known", "known"))
    )
    return (
        f"ECE with the prevalence of test, over {shift['findings']} findings: {', '.join(told)}. "
        "Transductive (it reads all of test's scores): shown only, no decision uses it."
    )
