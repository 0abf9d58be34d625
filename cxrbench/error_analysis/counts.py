"""Who is wrong where: counts, agreement, overlap of errors, and findings taken for others."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, compress
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cxrbench.error_analysis.panel import DECISIONS, IMAGES, Panel, Question
from cxrbench.error_analysis.together import Agreement, Answered, Overlap, Side, Together
from cxrbench.statistics.agreement import cohen_kappa, disagreement, fleiss_kappa
from cxrbench.statistics.cooccurrence import false_calls_where_present
from cxrbench.statistics.undefined import ratio

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_SETS = 16
"""How many sets of runs that err together are told of."""


def counts_table(panel: Panel) -> pd.DataFrame:
    """How many units all runs get right, all get wrong, and the rest; a row a question.

    Columns: ``of``, ``units``, ``left_out``, ``all_right``, ``all_wrong``, ``some_wrong``; of findings
    ``missed_by_all`` and ``false_by_all``; ``fleiss_kappa`` of what they call (NaN of one run).
    """
    return pd.DataFrame(
        [
            {
                "of": each.name,
                "units": each.wrong.shape[1],
                "left_out": each.left_out,
                "all_right": int((~each.wrong).all(axis=0).sum()),
                "all_wrong": int(each.wrong.all(axis=0).sum()),
                "some_wrong": int((each.wrong.any(axis=0) & ~each.wrong.all(axis=0)).sum()),
                **_by_all(panel, each),
                "fleiss_kappa": fleiss_kappa(each.called),
            }
            for each in panel.questions
        ]
    )


def _by_all(panel: Panel, question: Question) -> dict[str, float]:
    missed, falsely = _errors(panel, question.name)
    return {
        "missed_by_all": float(missed.all(axis=0).sum()) if missed is not None else np.nan,
        "false_by_all": float(falsely.all(axis=0).sum()) if falsely is not None else np.nan,
    }


def _errors(panel: Panel, of: str) -> tuple[NDArray[np.bool_] | None, NDArray[np.bool_] | None]:
    """False negatives and false positives ``[m, n, …]`` of a question; None where an image has neither."""
    if of == IMAGES:
        return None, None
    where = slice(None) if of == DECISIONS else [panel.classes.index(of)]
    wrong, present = panel.wrong[:, :, where], (panel.cohort.labels == 1)[:, where]
    return wrong & present, wrong & ~present


def runs_table(panel: Panel) -> pd.DataFrame:
    """What each run gets right and wrong, and what only it does; a row a question and run.

    Columns: ``of``, ``run``, ``units``, ``right``, ``wrong``, ``error_rate``, ``only_wrong``, ``only_right``
    (NaN of one run); of findings ``missed`` (false negatives), ``false`` (false positives) and, of those that
    could be, ``miss_rate`` and ``false_rate``.
    """
    rows: list[dict[str, Any]] = []
    for each in panel.questions:
        missed, falsely = _errors(panel, each.name)
        wrongs = each.wrong.sum(axis=0)
        for place, member in enumerate(panel.members):
            wrong, alone = each.wrong[place], len(panel.members) > 1
            row = {
                "of": each.name,
                "run": member.run_id,
                "units": wrong.size,
                "right": int((~wrong).sum()),
                "wrong": int(wrong.sum()),
                "error_rate": float(ratio(wrong.sum(), wrong.size)),
                "only_wrong": float((wrong & (wrongs == 1)).sum()) if alone else np.nan,
                "only_right": float((~wrong & (wrongs == len(each.wrong) - 1)).sum()) if alone else np.nan,
            }
            if missed is not None and falsely is not None:
                positives, negatives = _sides(panel, each.name)
                row |= {"missed": int(missed[place].sum()), "false": int(falsely[place].sum())}
                row["miss_rate"] = float(ratio(row["missed"], positives))
                row["false_rate"] = float(ratio(row["false"], negatives))
            rows.append(row)
    return pd.DataFrame(rows)


def _sides(panel: Panel, of: str) -> tuple[int, int]:
    """How many counted labels of a question are positive, and how many negative."""
    where = slice(None) if of == DECISIONS else panel.classes.index(of)
    counted, present = panel.counted[:, where], panel.cohort.labels[:, where] == 1
    return int((counted & present).sum()), int((counted & ~present).sum())


def agreement_table(panel: Panel, questions: Sequence[Question] | None = None) -> pd.DataFrame:
    """How far each two runs agree; a row a question (by default each) and pair, none of one run.

    Columns: ``of``, ``first``, ``second``, ``units``, ``disagreement`` (share that they call differently),
    ``cohen_kappa``, ``both_wrong``, ``only_first_wrong``, ``only_second_wrong``.
    """
    rows = []
    for each in panel.questions if questions is None else questions:
        apart, kappa = disagreement(each.called), cohen_kappa(each.called)
        for a, b in combinations(range(len(panel.members)), 2):
            rows.append(
                {
                    "of": each.name,
                    "first": panel.members[a].run_id,
                    "second": panel.members[b].run_id,
                    "units": each.wrong.shape[1],
                    "disagreement": apart[a, b],
                    "cohen_kappa": kappa[a, b],
                    "both_wrong": int((each.wrong[a] & each.wrong[b]).sum()),
                    "only_first_wrong": int((each.wrong[a] & ~each.wrong[b]).sum()),
                    "only_second_wrong": int((each.wrong[b] & ~each.wrong[a]).sum()),
                }
            )
    return pd.DataFrame(rows, columns=_AGREEMENT)


_AGREEMENT = (
    *("of", "first", "second", "units", "disagreement", "cohen_kappa"),
    *("both_wrong", "only_first_wrong", "only_second_wrong"),
)


def overlaps(question: Question) -> list[tuple[tuple[bool, ...], int]]:
    """How many units exactly these runs, and no others, get wrong; the most frequent set first."""
    # A set as a number, the first run's bit the highest; bytes of eight runs each, since there may be many.
    packed = np.packbits(question.wrong, axis=0)
    codes = packed[0].astype(np.int64)
    for more in packed[1:]:
        codes = np.unique(codes, return_inverse=True)[1] * 256 + more
    _, first, counts = np.unique(codes, return_index=True, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return [(tuple(question.wrong[:, first[place]].tolist()), int(counts[place])) for place in order]


def overlap_table(panel: Panel) -> pd.DataFrame:
    """The overlap of errors; a row a question and set of runs, the most frequent first.

    Columns: ``of``, ``runs`` (ids between blanks; empty: none is wrong), ``number`` of them, ``units``.
    """
    ids = [member.run_id for member in panel.members]
    rows = [
        (each.name, " ".join(compress(ids, chosen)), sum(chosen), units)
        for each in panel.questions
        for chosen, units in overlaps(each)
    ]
    return pd.DataFrame(rows, columns=["of", "runs", "number", "units"])


def confusions_table(panel: Panel) -> pd.DataFrame:
    """Findings that are taken for others; a row a run and ordered pair, the most excess first.

    Multi-label: ``false_calls`` are images with ``present`` on which ``called`` is called though absent, of
    ``among`` that could be; ``expected`` as many as its false positive rate over all images would give;
    ``swapped`` those on which ``present`` was missed besides. Of one right class, ``false_calls`` are the
    images of ``present`` that are called ``called``, ``expected`` as many as the rate over the images of all
    other classes would give, and each of them is swapped. ``excess`` is ``false_calls`` less ``expected``.
    """
    names, labels = np.array(panel.classes), np.where(panel.counted, panel.cohort.labels, np.nan)
    tables = []
    for member, wrong in zip(panel.members, panel.wrong, strict=True):
        decisions = np.where(panel.counted, member.decisions, np.nan)
        pairs = false_calls_where_present(decisions, labels)
        absent = labels == 0
        rate = ratio((absent & (decisions == 1)).sum(axis=0), absent.sum(axis=0))
        missed = wrong & (labels == 1)
        swapped = missed.T.astype(np.float64) @ (wrong & absent).astype(np.float64)
        expected = pairs.among * rate
        first, second = np.nonzero(~np.eye(len(names), dtype=bool))
        tables.append(
            pd.DataFrame(
                {
                    "run": member.run_id,
                    "present": names[first],
                    "called": names[second],
                    "among": pairs.among[first, second],
                    "false_calls": pairs.both[first, second],
                    "rate": pairs.rate[first, second],
                    "rate_of_all": rate[second],
                    "expected": expected[first, second],
                    "excess": (pairs.both - expected)[first, second],
                    "swapped": swapped[first, second].astype(np.int64),
                }
            )
        )
    return pd.concat(tables, ignore_index=True).sort_values("excess", ascending=False, kind="stable")


def together(panel: Panel) -> Together:
    """What a panel's runs get right and wrong, as plain values; :data:`MOST_SETS` sets of runs at most."""
    ids = [member.run_id for member in panel.members]
    by_run = runs_table(panel).groupby("of", sort=False)
    whole = [each for each in panel.questions if each.name in (IMAGES, DECISIONS)][-1]
    pairs = agreement_table(panel, [whole])
    sides = {
        str(of): tuple(
            Side(*(row.get(name, np.nan) for name in Side.__slots__)) for row in rows.to_dict("records")
        )
        for of, rows in by_run
    }
    return Together(
        run_ids=tuple(ids),
        letters=tuple(member.letter for member in panel.members),
        names=tuple(member.name for member in panel.members),
        common=panel.common,
        multilabel=panel.multilabel,
        questions=tuple(
            Answered(**{str(name): value for name, value in row.items()}, sides=sides[str(row["of"])])
            for row in counts_table(panel).to_dict("records")
        ),
        compared=whole.name,
        agreement=tuple(
            Agreement(
                ids.index(row["first"]),
                ids.index(row["second"]),
                *(row[name] for name in Agreement.__slots__[2:]),
            )
            for row in pairs.to_dict("records")
        ),
        overlap=tuple(
            Overlap(tuple(compress(range(len(ids)), chosen)), units)
            for chosen, units in overlaps(whole)[:MOST_SETS]
        ),
    )
