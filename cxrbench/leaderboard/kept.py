"""The leaderboard of a store, made once and kept until a run or a latency is added or removed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pydantic import ConfigDict, TypeAdapter, ValidationError

from cxrbench import __version__
from cxrbench.canonical import digest
from cxrbench.files import write_bytes
from cxrbench.leaderboard.board import Board
from cxrbench.store import Store

if TYPE_CHECKING:
    from cxrbench.leaderboard.asked import Asked

VERSION = "3"
"""Changes when the same runs give another leaderboard."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """Boards, and a digest of what they were made from."""

    made_from: str
    boards: tuple[Board, ...]


# A list, as only what is no dataclass itself takes a configuration: NaN is written as such.
_FORM = TypeAdapter(list[_Kept], config=ConfigDict(ser_json_inf_nan="constants"))


def boards_in(store: Store, sort: str, asked: Sequence[Asked] = ()) -> tuple[Board, ...]:
    """The boards of a store, from ``leaderboard/SORT.json`` in it where that is of these runs and latencies.

    Runs do not change and are named by what they are made from, so their names stand for them. A file that is
    damaged or of another cxrbench counts for nothing.

    Args:
        store: whose runs.
        sort: the metric that ranks.
        asked: metrics that are worked out beside those of every run, where that was not done before.
    """
    names = store.run_names()
    marks = [clause for each in asked for clause in each.nonconforming]
    more = [*(dict(each.keyed) for each in asked), *marks]
    made_from = digest([VERSION, __version__, names, _measured(store), *([more] if more else [])])
    # A metric's name may have a slash in it.
    label = "-".join([sort.replace("/", "_"), *([digest(more)[:8]] if more else [])])
    file = store.root / "leaderboard" / f"{label}.json"
    try:
        (kept,) = _FORM.validate_json(file.read_bytes())
    except (FileNotFoundError, ValidationError, ValueError):
        pass
    else:
        if kept.made_from == made_from:
            return kept.boards
    # Imported only here: what is kept is shown without NumPy or SciPy.
    from cxrbench.leaderboard.columns import METRICS, metrics_with
    from cxrbench.leaderboard.entries import read_entry, with_asked
    from cxrbench.leaderboard.errors import errors_of
    from cxrbench.leaderboard.latencies import latencies
    from cxrbench.leaderboard.ranking import boards_of
    from cxrbench.records import read_record

    columns = [each.column for each in asked]
    figure = metrics_with(columns)[sort].finding_figure or "auc"
    records = [read_record(run) for run in store.runs()]
    fast = latencies(store, records)
    entries = [read_entry(store.root, fast.added_to(record), METRICS, figure) for record in records]
    if asked:
        from cxrbench.leaderboard.asked import figures_of

        entries = [with_asked(entry, figures_of(store, entry.record, asked)) for entry in entries]
    by_id = {record["run_id"]: record for record in records}
    boards = tuple(
        replace(
            board,
            notes=(*board.notes, *(f"Not conforming: {clause}." for clause in marks)),
            errors=errors_of(store, board, by_id),
        )
        for board in map(fast.noted_on, boards_of(entries, sort, columns))
    )
    if len(entries) == len(names):
        # A run whose record is damaged was warned of, and is to be warned of again.
        file.parent.mkdir(exist_ok=True)
        write_bytes(file, _FORM.dump_json([_Kept(made_from, boards)]))
    return boards


def _measured(store: Store) -> list[str]:
    """What stands for all measurements of latency of a store: they are added, and never change."""
    return sorted(path.parent.name for path in store.root.glob("latency/*/[!.]*/record.json"))
