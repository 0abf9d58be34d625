"""Every recipe on the embedded data as one table by recipe, from a store that the suite has filled.

    cxrbench run --config benchmarks/suites/literature.toml --results DIR
    python benchmarks/literature.py --results DIR --write

What is missing in the store is trained first. ``--write`` makes ``results/reference/literature_phantom.csv``
and ``.md``; without it the table is printed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from itertools import islice
from pathlib import Path
from typing import Any

import pandas as pd

from cxrbench.grid import cells, different
from cxrbench.plugins import installed
from cxrbench.recipes.suite import runs_of
from cxrbench.report.names import apart
from cxrbench.specs import read_config

SUITE = Path(__file__).parent / "suites" / "literature.toml"
REFERENCE = Path(__file__).parent.parent / "results" / "reference"


def cells_of_recipes() -> dict[str, int]:
    """How many runs each recipe of the suite is, in order."""
    suite = read_config(SUITE)
    registry = installed().registry
    return {
        name: len(different(cells(given, {}, (), registry)))
        for name in suite["recipe"]
        for given in runs_of(suite, [name], as_published=False)
    }


def runs_in(results: Path) -> list[dict[str, Any]]:
    """The records of all runs of the suite, in order; one that fails ends the call."""
    line = (sys.executable, "-m", "cxrbench", "run", "--config", SUITE, "--results", results, "--json")
    done = subprocess.run([*map(str, line)], check=True, stdout=subprocess.PIPE, text=True)
    runs: list[dict[str, Any]] = json.loads(done.stdout)["runs"]
    return runs


def rows_of(recipe: str, runs: list[dict[str, Any]]) -> list[dict[str, object]]:
    """A row a cell."""
    _, names = apart(runs)
    rows: list[dict[str, object]] = []
    for run, name in zip(runs, names, strict=True):
        auc = run["intervals"]["metrics"]["macro_auc"]
        rows.append(
            {
                "recipe": recipe,
                "cell": name if len(runs) > 1 else "",
                "task": run["spec"]["task"]["name"],
                "image_size": run["spec"]["image_size"],
                "parameters": run["parameters"],
                "macro_auc": run["metrics"]["macro_auc"],
                "macro_auc_low": auc["low"],
                "macro_auc_high": auc["high"],
                "macro_f1": run["metrics"]["macro_f1"],
                "training_seconds": run["training_seconds"],
                "sanity": " ".join(check["reason"] for check in run["sanity"]),
                "passport": run["passport"]["id"],
                "run_id": run["run_id"],
            }
        )
    return rows


def as_markdown(found: pd.DataFrame) -> str:
    """The table for people."""
    lines = [
        "# Every recipe on the embedded data",
        "",
        "`python benchmarks/literature.py --results DIR --write` after `cxrbench run --config "
        "benchmarks/suites/literature.toml`. Drawn images, random weights, few images and epochs: **it shows "
        "that every recipe runs to its end and nothing else**. Figures in one table are of several test sets "
        "(the tasks differ), and what checks say of a run stands behind it. Not for clinical use.",
        "",
        "| recipe | cell | task | px | parameters | macro AUC [95%] | macro F1 | trained s | ranked |",
        "|---|---|---|---:|---:|---|---:|---:|---|",
    ]
    for row in found.to_dict("records"):
        interval = (
            ""
            if pd.isna(row["macro_auc_low"])
            else f"[{row['macro_auc_low']:.3f}, {row['macro_auc_high']:.3f}]"
        )
        parameters = "" if pd.isna(row["parameters"]) else f"{row['parameters']:,.0f}"
        trained = "" if pd.isna(row["training_seconds"]) else f"{row['training_seconds']:.0f}"
        ranked = f"no: {row['sanity']}" if row["sanity"] else "yes"
        lines.append(
            f"| `{row['recipe']}` | {row['cell']} | {row['task']} | {row['image_size']} | {parameters} "
            f"| {row['macro_auc']:.3f} {interval} | {row['macro_f1']:.3f} | {trained} | {ranked} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Read the store, print or write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--results", type=Path, default=Path("results"), help="the store")
    parser.add_argument("--write", action="store_true", help="write the reference table")
    arguments = parser.parse_args()
    runs = iter(runs_in(arguments.results))
    rows = [
        row for name, count in cells_of_recipes().items() for row in rows_of(name, list(islice(runs, count)))
    ]
    found = pd.DataFrame(rows)
    if not arguments.write:
        print(as_markdown(found))
        return
    found.to_csv(REFERENCE / "literature_phantom.csv", index=False, float_format="%.6g")
    (REFERENCE / "literature_phantom.md").write_text(as_markdown(found), encoding="utf-8")


if __name__ == "__main__":
    main()
