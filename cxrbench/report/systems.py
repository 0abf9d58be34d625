"""Runs that differ in their seed alone are one system: its figures as mean and spread."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean, stdev
from typing import Any

from cxrbench.canonical import canonical_json

SETTINGS_OF_FILES = ("labels", "exclude", "file", "tune_file")
"""Settings that are paths: what the files hold stands in the passport and in keys."""


def systems_of(records: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The systems among runs, in the order of their first runs.

    Each has what its runs share, ``spec`` (without the seed), their ``seeds`` and ``run_ids``, and for each
    metric ``mean``, ``sd`` (of a sample, ddof 1; NaN for fewer than two) and ``n``, the number of seeds
    where the metric is defined.
    """
    shared = ("dataset", "backbone", "loss", "calibrator", "thresholds", "options", "tune", "passport")
    return [
        {
            **{name: group[0].get(name) for name in shared},
            "source": group[0].get("source", "network"),
            "system": group[0].get("system"),
            "test_dataset": group[0].get("test_dataset"),
            "spec": _spec(group[0]),
            "seeds": [record["seed"] for record in group],
            "run_ids": [record["run_id"] for record in group],
            "metrics": {
                name: _spread([record["metrics"][name] for record in group]) for name in group[0]["metrics"]
            },
        }
        for group in group_runs(records)
    ]


def group_runs(records: Sequence[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    """The runs of each system, in the order of their first runs; one that several cells name counts once."""
    groups: dict[str, dict[str, Mapping[str, Any]]] = {}
    for record in records:
        groups.setdefault(canonical_json(_identity(record)), {})[record["run_id"]] = record
    return [list(group.values()) for group in groups.values()]


def _spec(record: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in record["spec"].items() if name != "seed"}


def _identity(record: Mapping[str, Any]) -> list[Any]:
    """What runs of one system share. Files of labels and exclusions count by what they hold, not by path."""
    passport = record["passport"]
    settings = {name: value for name, value in _spec(record).items() if name not in SETTINGS_OF_FILES}
    # Old records do not say more of the labels trained on than their version.
    labels = (record.get("trained_on") or {}).get("labels", passport["label_version"])
    return [settings, passport["id"], passport.get("roles"), labels]


def _spread(values: Sequence[float | None]) -> dict[str, float | int]:
    defined = [value for value in values if value is not None]
    return {
        "mean": fmean(defined) if defined else math.nan,
        "sd": stdev(defined) if len(defined) > 1 else math.nan,
        "n": len(defined),
    }
