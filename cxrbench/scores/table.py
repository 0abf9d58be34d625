"""Scores as a file has them, and what the user allows to be wrong with them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import pandas as pd

    from cxrbench.interfaces import FloatArray

Values = Literal["logits", "probabilities"]


@dataclass(frozen=True)
class ScoreTable:
    """One file's scores, a row an image.

    Attributes:
        path: of the file.
        ids: ``[n]`` image ids as the file spells them, not always unique; None where it has none.
        classes: names ``[c]`` of the columns.
        scores: float64 ``[n, c]`` as the file has them; NaN where there is none.
        hint: what the file says its values are; None where it does not.
        notes: sentences on how it was read.
        labels: ``[n, c]`` where the file has them too.
        patients: ``[n]`` where the file has them too.
    """

    path: Path
    ids: pd.Index[str] | None
    classes: tuple[str, ...]
    scores: FloatArray
    hint: Values | None = None
    notes: tuple[str, ...] = ()
    labels: FloatArray | None = None
    patients: pd.Index[str] | None = None


@dataclass(frozen=True)
class Allowed:
    """What may be wrong with scores. What is not allowed is refused; what is, is counted in the run's notes.

    Attributes:
        keep_first_duplicate: an image has several rows; the first is kept.
        allow_missing: an image has a score or a label (or a place in the official lists), but not both.
        drop_nan: a score is missing or not finite; the image is left out.
        clip: a probability lies outside 0..1; it becomes 0 or 1.
        common_findings: the file lacks findings of the labels, or has others; those that both have are used.
    """

    keep_first_duplicate: bool = False
    allow_missing: bool = False
    drop_nan: bool = False
    clip: bool = False
    common_findings: bool = False
