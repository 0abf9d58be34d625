"""The figures of a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from io import BytesIO, StringIO
from pathlib import Path

import pandas as pd

from cxrbench.report.calibration_figure import calibration_figure
from cxrbench.report.examples_figure import Example, examples_figure
from cxrbench.report.findings_figures import class_confusion_figure, confusion_figure, roc_figure
from cxrbench.report.sheet import Sheet, house_style
from cxrbench.report.training_figure import training_figure

__all__ = ["Example", "draw_run"]


def draw_run(
    folder: Path,
    *,
    title: str,
    network: str,
    epochs: pd.DataFrame | None,
    roc: pd.DataFrame,
    per_finding: pd.DataFrame,
    calibration: pd.DataFrame,
    examples: Sequence[Example],
    confusion_matrix: pd.DataFrame | None = None,
) -> None:
    """Draw a run's figures: training, ROC curves, confusion matrices, calibration and examples.

    What is undefined (NaN) is left out of a figure or said to be undefined, never drawn as 0.

    Args:
        folder: gets ``training.png``, ``roc.png``, ``confusion.png``, ``calibration.png`` and, where there
            are examples, ``examples.png``.
        title: stands above the figures of the run's decisions; names the run and, plainly, its data set.
        network: stands above those of training and calibration, which all runs of a network share; names the
            network and the data set.
        epochs: one row an epoch, columns :data:`cxrbench.training.log.EPOCH_COLUMNS`; None where nothing was
            trained, and there is no ``training.png`` then.
        roc: the points of each finding's ROC curve; columns finding, fpr, tpr.
        per_finding: one row a finding; columns finding, auc, recall, specificity, threshold, feasible, n_pos,
            tp, fp, tn, fn.
        calibration: one row a calibrator and finding; columns calibrator, finding, ece, brier.
        examples: images to show, the first eight of them.
        confusion_matrix: images by class (rows) and by the class that is called (columns), where exactly one
            class is right; ``confusion.png`` shows it instead of each finding's decisions.
    """
    with house_style():
        if epochs is not None:
            drawn = _shared(training_figure, epochs.to_csv(index=False), network)
            (folder / "training.png").write_bytes(drawn)
        roc_figure(roc, per_finding, title).save(folder / "roc.png")
        if confusion_matrix is None:
            confusion_figure(per_finding, title).save(folder / "confusion.png")
        else:
            class_confusion_figure(confusion_matrix, title).save(folder / "confusion.png")
        (folder / "calibration.png").write_bytes(
            _shared(calibration_figure, calibration.to_csv(index=False), network)
        )
        if examples:
            examples_figure(examples, title).save(folder / "examples.png")


@lru_cache(maxsize=64)
def _shared(figure: Callable[[pd.DataFrame, str], Sheet], table: str, title: str) -> bytes:
    """A figure of a table (CSV) as PNG: drawn once a process, however many runs have the same."""
    file = BytesIO()
    figure(pd.read_csv(StringIO(table)), title).save(file)
    return file.getvalue()
