"""What ``cxrbench run --dry-run`` answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cxrbench.plan import feature_bytes
from cxrbench.report.names import apart
from cxrbench.report.tables import heading, plain_table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from cxrbench.plan import Plan


def plan_table(plans: Sequence[Plan], trainings: int, disk: int) -> list[RenderableType]:
    """What each run would do, the runs of a network together, and all of them in sum."""
    table = plain_table()
    for column in ("run", "network", "reused", "to do"):
        table.add_column(column, overflow="fold")
    common, names = apart([plan.record() for plan in plans])
    networks: dict[str, list[tuple[Plan, str]]] = {}
    for plan, name in zip(plans, names, strict=True):
        networks.setdefault(plan.trainings[-1], []).append((plan, name))
    for group, runs in enumerate(networks.values()):
        if group and len(plans) > len(networks):
            table.add_row()
        for place, (plan, name) in enumerate(runs):
            reused = [stage for stage, _, done in plan.steps if done]
            waiting = [stage for stage, _, done in plan.steps if not done] if plan.steps else ["everything"]
            network = "reused" if not plan.trains else "trained" if place == 0 else "the same"
            table.add_row(name, network, _stages(reused), _stages(waiting))
    data = " and ".join(dict.fromkeys(plan.data for plan in plans))
    lines = [
        f"{_count(len(plans), 'run')}: {_count(trainings, 'network')} to train; "
        f"up to {disk / 1e6:,.0f} MB of disk"
    ]
    if features := feature_bytes(plans):
        lines.append(
            f"frozen networks are run once, their features stored: up to {features / 1e6:,.0f} MB of that"
        )
    unread = max((plan.unread for plan in plans), default=0)
    if unread:
        lines.append(f"{unread:,} image files would be read first; what they hold decides what can be reused")
    if any(plan.spec.training.batch_size == "auto" for plan in plans):
        lines.append("batch size auto is found by steps on the GPU; what it is decides what can be reused")
    shared = [f"all: {common}"] if common else []
    return [heading(f"{data}: what would be done"), *shared, table, *lines]


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _stages(stages: Sequence[str]) -> str:
    return ", ".join(dict.fromkeys(stages)) or "–"
