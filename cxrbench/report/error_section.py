"""What pages show of who is wrong where: an error analysis' own page, and a leaderboard's."""

from __future__ import annotations

import math
from typing import Any

from cxrbench.error_analysis.together import Agreement, Together
from cxrbench.report.page.charts import Bar

_OF = {"images": "whole images", "decisions": "all decisions"}


def error_section(found: Together) -> dict[str, Any]:
    """What ``error_section.html.j2`` is given."""
    most = max((each.units for each in found.overlap if each.runs), default=0)
    return {
        "several": len(found.run_ids) > 1,
        "multilabel": found.multilabel,
        "common": found.common,
        "compared": _OF[found.compared],
        "runs": [
            {"letter": letter, "name": name, "run_id": run_id}
            for letter, name, run_id in zip(found.letters, found.names, found.run_ids, strict=True)
        ],
        "questions": [
            {
                "of": question_name(each.of),
                "whole": each.of in _OF,
                **{name: getattr(each, name) for name in each.__slots__ if name not in ("of", "sides")},
                **{f"only_{place}": side.only_wrong for place, side in enumerate(each.sides)},
            }
            for each in found.questions
        ],
        "columns": _columns(found),
        "matrix": _matrix(found),
        "overlap": [
            {
                "dots": [place in each.runs for place in range(len(found.run_ids))],
                "who": ", ".join(found.letters[place] for place in each.runs) or "none",
                "units": each.units,
                # What all get right is mostly far more than what any set gets wrong.
                "bar": Bar(None, 0, round(500 * each.units / most)) if each.runs and most else None,
            }
            for each in found.overlap
        ],
    }


def question_name(of: str) -> str:
    """What a question is called."""
    return _OF.get(of, of.replace("_", " "))


def _columns(found: Together) -> list[tuple[str, str, str | int]]:
    """Of the table of counts."""
    columns: list[tuple[str, str, str | int]] = [("of", "of", "text"), ("counted", "units", "count")]
    if any(each.left_out for each in found.questions):
        columns.append(("left out", "left_out", "count"))
    if len(found.run_ids) == 1:
        return [*columns, ("right", "all_right", "count"), ("wrong", "all_wrong", "count")]
    columns += [("all right", "all_right", "count"), ("all wrong", "all_wrong", "count")]
    columns += [
        (f"only {letter} wrong", f"only_{place}", "count") for place, letter in enumerate(found.letters)
    ]
    columns += [
        ("missed by all", "missed_by_all", "count"),
        ("falsely called by all", "false_by_all", "count"),
    ]
    return [*columns, ("Fleiss’ kappa", "fleiss_kappa", 3)]


def _matrix(found: Together) -> list[dict[str, Any]]:
    """Agreement of each two runs: a row a run, None where it meets itself."""
    pairs = {(each.first, each.second): each for each in found.agreement}
    count = len(found.run_ids)
    return [
        {
            "letter": found.letters[row],
            "name": found.names[row],
            "cells": [
                None if row == column else _cell(pairs[min(row, column), max(row, column)])
                for column in range(count)
            ],
        }
        for row in range(count if count > 1 else 0)
    ]


def _cell(pair: Agreement) -> dict[str, Any]:
    kappa = pair.cohen_kappa
    return {
        "kappa": kappa,
        "differ": pair.disagreement,
        "tenths": 0 if math.isnan(kappa) else min(max(round(10 * kappa), 0), 10),
        "said": f"both wrong {pair.both_wrong:,}; only the one {pair.only_first_wrong:,}, only the other "
        f"{pair.only_second_wrong:,}",
    }
