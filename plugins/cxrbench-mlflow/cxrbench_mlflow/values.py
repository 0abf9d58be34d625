"""What MLflow is told of a run, as its params, metrics and tags."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

_OF_A_FINDING = ("auc", "ap", "f1", "precision", "recall", "specificity", "threshold", "brier", "ece")
_NO_FIGURES = ("epoch", "cycle", "best")


def params(settings: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Settings as text, those of tables behind a dot: ``training.epochs``."""
    found: dict[str, str] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            found |= params(value, f"{prefix}{name}.")
        else:
            found[named(f"{prefix}{name}")] = value if isinstance(value, str) else json.dumps(value)
    return found


def epoch_figures(epoch: Mapping[str, Any]) -> dict[str, float]:
    """The figures of a row of the log."""
    return _defined({name: value for name, value in epoch.items() if name not in _NO_FIGURES})


def test_figures(record: Mapping[str, Any]) -> dict[str, float]:
    """The figures of ``run.json``: ``test/macro_auc``, its interval's ends, ``test/auc/Effusion``, costs."""
    figures = {f"test/{name}": value for name, value in record["metrics"].items()}
    for name, ends in (record.get("intervals") or {}).get("metrics", {}).items():
        figures |= {f"test/{name}/{end}": ends.get(end) for end in ("low", "high")}
    for row in record["per_finding"]:
        figures |= {f"test/{name}/{row['finding']}": row.get(name) for name in _OF_A_FINDING}
    figures |= {name: record.get(name) for name in ("parameters", "flops", "training_seconds")}
    return _defined(figures)


def tags(record: Mapping[str, Any], made_with: Mapping[str, str]) -> dict[str, str]:
    """What a run is of: its test set's passport, its components' names, the versions it was made with."""
    passport = record["passport"]
    return {
        "cxrbench.run": record["run_id"],
        "cxrbench.passport": passport["id"],
        "cxrbench.dataset": passport["dataset"],
        "cxrbench.label_version": passport["label_version"],
        "cxrbench.source": record.get("source", "network"),
        "cxrbench.path": record["path"],
        **{f"version.{name}": version for name, version in made_with.items()},
    }


def named(text: str) -> str:
    """A name that MLflow takes."""
    return re.sub(r"[^\w.\-/ ]", "_", text, flags=re.ASCII)


def _defined(figures: Mapping[str, Any]) -> dict[str, float]:
    """Those that are defined: MLflow has no place for others."""
    return {
        named(name): float(value)
        for name, value in figures.items()
        if isinstance(value, int | float) and math.isfinite(value)
    }
