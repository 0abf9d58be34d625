"""How the training went, epoch by epoch."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from cxrbench.report.sheet import BLUE, GREEN, GREY, ORANGE, RULE, VERMILION, Sheet, number, say_undefined


def training_figure(epochs: pd.DataFrame, title: str) -> Sheet:
    """Losses on the left, macro AUC and macro-F1 on val on the right; the kept epoch is marked.

    Args:
        epochs: one row an epoch, columns :data:`cxrbench.training.log.EPOCH_COLUMNS`.
        title: of the sheet.
    """
    sheet = Sheet(9.5, 3.45, title=title, heading="Training by epoch")
    # "best" says that an epoch was the best so far; the last such epoch is the one that was kept.
    best = epochs[epochs["best"].eq(True)].tail(1)
    loss, score = sheet.panel(0.75, 0.6, 3.75, 2.75), sheet.panel(5.4, 0.6, 3.75, 2.75)
    _lines(loss, epochs, best, {"train_loss": ("train", BLUE, "o"), "val_loss": ("val", ORANGE, "s")})
    _lines(
        score,
        epochs,
        best,
        {"macro_auc": ("macro AUC", GREEN, "o"), "macro_f1": ("macro-F1", VERMILION, "s")},
    )
    loss.set_ylabel("loss")
    score.set(ylabel="score on val", ylim=(0, 1.02))
    return sheet


def _lines(
    axes: Axes, epochs: pd.DataFrame, best: pd.DataFrame, columns: dict[str, tuple[str, str, str]]
) -> None:
    """One line a column, whose legend gives the value at the kept epoch."""
    at = epochs["epoch"].to_numpy(np.float64)
    size = 4 if len(at) <= 40 else 0
    drawn = False
    for column, (name, color, marker) in columns.items():
        values = pd.to_numeric(epochs[column]).to_numpy(np.float64, na_value=np.nan)
        values = np.where(np.isfinite(values), values, np.nan)
        drawn = drawn or bool(np.isfinite(values).any())
        label = f"{name}  {number(float(best[column].iloc[0]), 3)}" if len(best) else name
        axes.plot(at, values, color=color, marker=marker, markersize=size, linewidth=1.6, label=label)
    if not drawn:
        say_undefined(axes)
    axes.set(xlabel="epoch", xlim=(min(at, default=1) - 0.5, max(at, default=1) + 0.5))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.grid(axis="y", color=RULE, linewidth=0.7)
    heading = None
    if len(best):
        epoch = int(best["epoch"].iloc[0])
        axes.axvline(epoch, color=GREY, linewidth=1, linestyle=(0, (4, 3)), zorder=0)
        heading = f"at the best epoch, {epoch}"
    axes.legend(loc="best", title=heading, title_fontsize=8, frameon=True, framealpha=0.85, edgecolor="none")
