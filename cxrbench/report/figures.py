"""The figures of a run."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import lru_cache
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import pandas as pd

from cxrbench.report.calibration_figure import calibration_figure
from cxrbench.report.curve_figures import decision_figure, pr_figure, reliability_figure, threshold_figure
from cxrbench.report.examples_figure import Example, examples_figure
from cxrbench.report.findings_figures import class_confusion_figure, confusion_figure, roc_figure
from cxrbench.report.sheet import Sheet, house_style
from cxrbench.report.subgroups_figure import subgroups_figure
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
    curves: str,
    subgroups: pd.DataFrame,
    examples: Sequence[Example],
    confusion_matrix: pd.DataFrame | None = None,
) -> None:
    """Draw a run's figures: of its training, of each finding's curves and decisions, of groups, and examples.

    What is undefined (NaN) is left out of a figure or said to be undefined, never drawn as 0.

    Args:
        folder: gets ``training.png``, ``roc.png``, ``pr.png``, ``reliability.png``, ``thresholds.png``,
            ``decision.png``, ``confusion.png``, ``calibration.png``, ``subgroups.png`` and, where there are
            examples, ``examples.png``.
        title: stands above the figures of the run's decisions; names the run and, plainly, its data set.
        network: stands above those that do not depend on thresholds, which all runs of a network share; names
            the network and the data set.
        epochs: one row an epoch, columns :data:`cxrbench.training.log.EPOCH_COLUMNS`; None where nothing was
            trained, and there is no ``training.png`` then.
        roc: the points of each finding's ROC curve; columns finding, fpr, tpr.
        per_finding: one row a finding; columns finding, auc, recall, specificity, threshold, threshold_low,
            threshold_high, feasible, n_pos, tp, fp, tn, fn.
        calibration: one row a calibrator and finding; columns calibrator, finding, ece, brier.
        curves: as JSON, see :func:`cxrbench.evaluation.curves.curves`.
        subgroups: see :func:`cxrbench.evaluation.subgroups.subgroups_table`.
        examples: images to show, the first eight of them.
        confusion_matrix: images by class (rows) and by the class that is called (columns), where exactly one
            class is right; ``confusion.png`` shows it instead of each finding's decisions.
    """
    with house_style():
        if epochs is not None:
            drawn = _shared(training_figure, pd.read_csv, epochs.to_csv(index=False), network)
            (folder / "training.png").write_bytes(drawn)
        roc_figure(roc, per_finding, title).save(folder / "roc.png")
        if confusion_matrix is None:
            confusion_figure(per_finding, title).save(folder / "confusion.png")
        else:
            class_confusion_figure(confusion_matrix, title).save(folder / "confusion.png")
        (folder / "calibration.png").write_bytes(
            _shared(calibration_figure, pd.read_csv, calibration.to_csv(index=False), network)
        )
        for name, figure in (
            ("pr", pr_figure),
            ("reliability", reliability_figure),
            ("decision", decision_figure),
        ):
            (folder / f"{name}.png").write_bytes(_shared(figure, json.load, curves, network))
        threshold_figure(json.loads(curves), per_finding, title).save(folder / "thresholds.png")
        groups = subgroups[subgroups["finding"].isna()]
        if len(groups):
            subgroups_figure(groups, len(per_finding), title).save(folder / "subgroups.png")
        if examples:
            examples_figure(examples, title).save(folder / "examples.png")


@lru_cache(maxsize=64)
def _shared(
    figure: Callable[[Any, str], Sheet], read: Callable[[StringIO], Any], text: str, title: str
) -> bytes:
    """A figure of what a text holds as PNG: drawn once a process, however many runs have the same."""
    file = BytesIO()
    figure(read(StringIO(text)), title).save(file)
    return file.getvalue()
