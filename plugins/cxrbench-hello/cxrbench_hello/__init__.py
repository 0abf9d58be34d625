"""The smallest plugin of cxrbench; what is heavy is imported where it is used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cxrbench.hookspecs import Register, hookimpl
from cxrbench.sections import Section, Table


@hookimpl
def register_thresholds(register: Register) -> None:
    """Register the strategy."""
    register("top", "cxrbench_hello.top:Top", version="1", summary="Calls the share that scores highest")


@hookimpl
def report_sections(record: Mapping[str, Any]) -> Sequence[Section]:
    """How much each run calls, beside how much there is."""
    rows = []
    for row in record["per_finding"]:
        images = row["n_pos"] + row["n_neg"]
        called = (row["tp"] + row["fp"]) / images if images else None
        rows.append((row["finding"], row["n_pos"], called, row["n_pos"] / images if images else None))
    columns = ("finding", "positives", "share called", "share positive")
    return [Section("Hello", ["How much is called of each finding.", Table("On test", columns, rows)])]
