"""Which images to look at: the hardest, and by class those that all or only one run get wrong or right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cxrbench.error_analysis.panel import Member, Panel

if TYPE_CHECKING:
    from numpy.typing import NDArray

HARDEST = 24
"""How many of the hardest images are told."""


@dataclass(frozen=True)
class Group:
    """Images of one class that have an outcome in common.

    Attributes:
        name: the outcome, such as ``missed by all``.
        finding: the class.
        rows: ``[k]``, the images, the most telling first.
    """

    name: str
    finding: str
    rows: NDArray[np.int64]


def groups(panel: Panel) -> list[Group]:
    """Images by class and outcome; those without an image are left out.

    Of each class: where it is present, found or missed by all runs or by one alone; where it is absent,
    called by all or by one alone. Of two runs, what one alone finds is what the other alone misses. First
    come images on which the runs in question are most sure.
    """
    found = []
    for column, finding in enumerate(panel.classes):
        counted, labels = panel.counted[:, column], panel.cohort.labels[:, column]
        wrong = panel.wrong[:, :, column]
        error = np.abs(panel.probabilities[:, :, column] - labels)
        for present, (erred, right) in ((True, ("missed", "found")), (False, ("falsely called", ""))):
            there = counted & ((labels == 1) == present)
            for name, having in ((erred, wrong), *([(right, ~wrong)] if right else [])):
                sure = error if name == erred else -error
                for title, rows, who in _by_whom(panel.members, name, having & there):
                    order = np.argsort(-sure[who][:, rows].mean(axis=0), kind="stable")
                    found.append(Group(title, finding, rows[order]))
    return [group for group in found if len(group.rows)]


def _by_whom(
    members: tuple[Member, ...], outcome: str, having: NDArray[np.bool_]
) -> list[tuple[str, NDArray[np.int64], list[int]]]:
    """The images with an outcome of all runs, and of one alone: its name, the images, which runs."""
    everyone = list(range(len(members)))
    if len(members) == 1:
        return [(outcome, np.flatnonzero(having[0]), everyone)]
    sets = [(f"{outcome} by all", np.flatnonzero(having.all(axis=0)), everyone)]
    if len(members) == 2 and outcome == "found":
        return sets
    alone = having.sum(axis=0) == 1
    for place, member in enumerate(members):
        sets.append((f"{outcome} by {member.letter} only", np.flatnonzero(having[place] & alone), [place]))
    return sets


def hardest(panel: Panel) -> NDArray[np.int64]:
    """The images ``[k]`` with the largest Brier score, mean over runs, of those with a counted label."""
    order = np.argsort(-panel.hardness, kind="stable")
    return order[panel.counted[order].any(axis=1)][:HARDEST]


def hardest_table(panel: Panel) -> pd.DataFrame:
    """The hardest images with every run's score; a row an image and class.

    Columns: ``rank``, ``image_id``, ``patient_id``, ``hardness``, ``wrong_runs`` (that are wrong about the
    image), ``finding``, ``label``, then for each run its probability (``RUN``) and ``RUN:called``.
    """
    rows = hardest(panel)
    count = len(panel.classes)
    at = np.repeat(rows, count), np.tile(np.arange(count), len(rows))
    facts = {
        "rank": np.repeat(np.arange(1, len(rows) + 1), count),
        **_of_images(panel, at[0]),
        "hardness": panel.hardness[at[0]].round(6),
        "wrong_runs": panel.wrong.any(axis=2).sum(axis=0)[at[0]],
    }
    return pd.DataFrame({**facts, **_scores(panel, at)})


def errors_table(panel: Panel) -> pd.DataFrame:
    """Every false negative and false positive at the deployed thresholds; a row an image and class.

    Columns: ``image_id``, ``patient_id``, ``finding``, ``label``, ``error`` (``missed`` or ``false``),
    ``wrong_runs``, then for each run its probability (``RUN``) and ``RUN:called``. By class, errors of most
    runs first.
    """
    wrongs = panel.wrong.sum(axis=0)
    rows, columns = np.nonzero(wrongs)
    labels, number = panel.cohort.labels[rows, columns], wrongs[rows, columns]
    order = np.lexsort((rows, -number, -labels, columns))
    at, labels, number = (rows[order], columns[order]), labels[order], number[order]
    return pd.DataFrame(
        {
            **_of_images(panel, at[0]),
            "error": np.where(labels == 1, "missed", "false"),
            "wrong_runs": number,
            **_scores(panel, at),
        }
    )


def _of_images(panel: Panel, rows: NDArray[np.int64]) -> dict[str, Any]:
    return {
        "image_id": panel.cohort.image_ids.to_numpy()[rows],
        "patient_id": panel.cohort.patients.to_numpy()[rows],
    }


def _scores(panel: Panel, at: tuple[NDArray[np.int64], NDArray[np.int64]]) -> dict[str, Any]:
    """Label and every run's score of some images and classes."""
    columns: dict[str, Any] = {
        "finding": np.array(panel.classes, dtype=object)[at[1]],
        "label": panel.cohort.labels[at],
    }
    for member in panel.members:
        columns[member.run_id] = member.probabilities[at].round(4)
        columns[f"{member.run_id}:called"] = member.decisions[at]
    return columns
