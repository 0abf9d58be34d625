"""Who is wrong where, of the best systems of a board."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cxrbench.comparing.stored import StoredRun
from cxrbench.error_analysis.counts import together
from cxrbench.error_analysis.panel import panel_of
from cxrbench.error_analysis.together import Together
from cxrbench.leaderboard.board import Board
from cxrbench.store import Store

MOST = 5
"""Of how many of the best systems a run is looked at."""


def errors_of(store: Store, board: Board, records: Mapping[str, Mapping[str, Any]]) -> Together | None:
    """What a run of each of the best systems, that of its first seed, gets right and wrong beside the others.

    Args:
        store: where predictions and labels are; reading test's is logged.
        board: whose systems.
        records: each run's ``run.json``, by id.

    Returns:
        None with fewer than two systems whose predictions can be read in the store.
    """
    runs: list[StoredRun] = []
    for system in board.systems:
        if len(runs) == MOST:
            break
        run = StoredRun(store, records[system.members[0].run_id], "leaderboard")
        if run.record.get("evaluation") is not None and run.is_there():
            runs.append(run)
    return together(panel_of(runs)) if len(runs) > 1 else None
