"""Quality against latency: the systems of a board that were measured, and those that no other one beats."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cxrbench.leaderboard.board import Board, Figure, System
from cxrbench.report.leaderboard_words import counted
from cxrbench.report.page.paths import Scale, scale_of, tick

COST = "latency_p99_ms"


@dataclass(frozen=True, slots=True)
class Measured:
    """A system with a latency.

    Attributes:
        place: on the board, from 1.
        system: the system.
        latency: p99 of one image, in ms.
        figure: that ranks.
        on_front: whether no other system is both faster and at least as good.
    """

    place: int
    system: System
    latency: float
    figure: Figure
    on_front: bool


def measured(board: Board) -> list[Measured]:
    """The systems of a board whose latency is known and whose figure is defined, in the board's order."""
    sign = -1 if board.ranked_by.smaller else 1
    found = [
        (place, system, latency, system.figures[board.metric])
        for place, system in enumerate(board.systems, start=1)
        if (latency := system.costs[COST]) is not None and not math.isnan(system.figures[board.metric].value)
    ]
    best = on_front([(latency, sign * figure.value) for _, _, latency, figure in found])
    return [
        Measured(place, system, latency, figure, row in best)
        for row, (place, system, latency, figure) in enumerate(found)
    ]


def on_front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Places of the points (cost, value) of which no other costs less and is worth as much, by cost."""
    order = sorted(range(len(points)), key=lambda place: (points[place][0], -points[place][1]))
    front: list[int] = []
    for place in order:
        if not front or points[place][1] > points[front[-1]][1]:
            front.append(place)
    return front


def pareto_chart(board: Board) -> dict[str, Any] | None:
    """What the macro ``pareto`` draws in 500 × 250; None with fewer than two systems."""
    points = measured(board)
    if len(points) < 2:
        return None
    across = scale_of([math.log10(each.latency) for each in points], least=0.2)
    ends = [end for each in points for end in (each.figure.value, each.figure.low, each.figure.high)]
    up = scale_of(ends, least=0.01)
    front = sorted((each for each in points if each.on_front), key=lambda each: each.latency)
    return {
        "label": f"{board.ranked_by.heading} against p99 latency of {counted(len(points), 'system')}; "
        f"{counted(len(front), 'system')} no other one beats in both: "
        + ", ".join(f"{each.place} ({each.latency:.3g} ms)" for each in front),
        "points": [
            {
                "place": each.place,
                "name": each.system.name,
                "latency": f"{each.latency:.3g} ms",
                "x": _across(across, each.latency),
                "y": _up(up, each.figure.value),
                "low": None if math.isnan(each.figure.low) else _up(up, each.figure.low),
                "high": None if math.isnan(each.figure.high) else _up(up, each.figure.high),
                "best": each.on_front,
            }
            for each in points
        ],
        "front": " ".join(
            f"{'ML'[row > 0]}{_across(across, each.latency)} {_up(up, each.figure.value)}"
            for row, each in enumerate(front)
        ),
        "x": [{"at": _across(across, value), "text": f"{value:g}"} for value in _rounds(across)],
        "y": [
            {"at": _up(up, value), "text": tick(value)} for value in (up.low, (up.low + up.high) / 2, up.high)
        ],
    }


def _across(scale: Scale, latency: float) -> int:
    return scale.place(math.log10(latency))


def _up(scale: Scale, value: float) -> int:
    """Half as high as wide, and downwards, as SVG counts."""
    return 250 - scale.place(value) // 2


def _rounds(scale: Scale) -> list[float]:
    """1, 2 and 5 of each power of ten within the scale; its ends where there are fewer than two of them."""
    powers = range(math.floor(scale.low), math.ceil(scale.high) + 1)
    found = [part * 10.0**power for power in powers for part in (1, 2, 5)]
    inside = [value for value in found if scale.low - 1e-9 <= math.log10(value) <= scale.high + 1e-9]
    return inside if len(inside) > 1 else [float(f"{10**end:.3g}") for end in (scale.low, scale.high)]
