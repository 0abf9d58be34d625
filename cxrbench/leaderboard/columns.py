"""What a leaderboard can show of a system, and which way is better."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from cxrbench.errors import UsageError


@dataclass(frozen=True, slots=True)
class Metric:
    """A figure that systems can be ranked by.

    Attributes:
        name: in ``metrics`` of a run.
        heading: of its column.
        smaller: whether the smaller is the better.
        finding_figure: its name in a run's ``per_finding`` where it is the mean over findings, else empty.
    """

    name: str
    heading: str
    smaller: bool = False
    finding_figure: str = ""


METRICS = {
    metric.name: metric
    for metric in (
        Metric("macro_auc", "AUC", finding_figure="auc"),
        Metric("macro_ap", "AP", finding_figure="ap"),
        Metric("macro_f1", "F1", finding_figure="f1"),
        Metric("micro_f1", "micro F1"),
        Metric("macro_brier", "Brier", smaller=True, finding_figure="brier"),
        Metric("macro_ece", "ECE", smaller=True, finding_figure="ece"),
        Metric("exact_match", "exact match"),
        Metric("hamming_loss", "Hamming", smaller=True),
        Metric("lrap", "LRAP"),
        Metric("micro_auc", "micro AUC"),
        Metric("weighted_auc", "weighted AUC"),
        Metric("micro_ap", "micro AP"),
        Metric("weighted_ap", "weighted AP"),
        Metric("weighted_f1", "weighted F1"),
        Metric("macro_precision", "precision", finding_figure="precision"),
        Metric("macro_recall", "recall", finding_figure="recall"),
        Metric("macro_specificity", "specificity", finding_figure="specificity"),
        Metric("accuracy", "accuracy"),
        Metric("macro_mcc", "MCC", finding_figure="mcc"),
        Metric("auc_binarized", "balanced accuracy", finding_figure="auc_binarized"),
        Metric("macro_partial_auc", "partial AUC", finding_figure="partial_auc"),
        Metric("macro_sens_at_spec90", "sens. at 90% spec.", finding_figure="sens_at_spec90"),
        Metric("macro_sens_at_spec95", "sens. at 95% spec.", finding_figure="sens_at_spec95"),
        Metric("macro_net_benefit", "net benefit", finding_figure="net_benefit"),
        Metric("macro_ece_adaptive", "adaptive ECE", smaller=True, finding_figure="ece_adaptive"),
        Metric("macro_mce", "MCE", smaller=True, finding_figure="mce"),
        Metric("fnfr", "false no-finding rate", smaller=True),
        Metric("coverage_error", "coverage error", smaller=True),
    )
}
"""By name. A mean over findings is macro."""

COSTS = {
    "parameters": "parameters",
    "flops": "FLOPs",
    "training_seconds": "training",
    "latency_ms": "latency",
    "latency_p99_ms": "latency p99",
}
"""What a system costs, by name, with the heading; undefined where it was not recorded."""

DEFAULT_COLUMNS = ("macro_auc", "macro_ap", "macro_f1", "macro_brier", "macro_ece", *COSTS)
"""Columns of costs that no system of a board has are left out of it."""


def metrics_with(asked: Iterable[Metric]) -> dict[str, Metric]:
    """By name: those that every run has, then those that were asked for."""
    return {**METRICS, **{metric.name: metric for metric in asked}}


def require_columns(names: Iterable[str], sort: str, asked: Sequence[Metric] = ()) -> tuple[str, ...]:
    """The columns asked for, each once, that of the ranking first where it was not among them.

    Metrics that were asked for by themselves come before costs, whether they are named or not.

    Raises:
        UsageError: one is not known, or the ranking's is no metric.
    """
    metrics = metrics_with(asked)
    named = tuple(dict.fromkeys(names))
    for name in named:
        if name not in metrics and name not in COSTS:
            raise UsageError(_unknown("column", name, [*metrics, *COSTS]))
    if sort not in metrics:
        raise UsageError(_unknown("metric to sort by", sort, list(metrics)))
    figures = [name for name in named if name in metrics]
    more = [metric.name for metric in asked if metric.name not in figures]
    columns = tuple([*figures, *more, *(name for name in named if name in COSTS)] if more else named)
    return columns if sort in columns else (sort, *columns)


def _unknown(what: str, name: str, known: Sequence[str]) -> str:
    near = get_close_matches(name, known, n=3)
    return (
        f"There is no {what} '{name}'; {'near it are' if near else 'there are'} {', '.join(near or known)}."
    )
