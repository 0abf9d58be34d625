"""``cxrbench score``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from cxrbench.cli.common import (
    F,
    Output,
    common,
    complete_components,
    nonconforming_option,
    results_option,
)
from cxrbench.cli.data_options import NAME

if TYPE_CHECKING:
    from cxrbench.scores.table import Values

_FILE = click.Path(dir_okay=False, path_type=Path)

_EPILOG = """
Example: cxrbench score preds.csv --labels Data_Entry_2017_v2020.csv --tune-file val_preds.csv

FILE is CSV or Parquet, wide (a column a finding) or long (a row an image and finding), or npz with arrays
logits or probabilities. What is odd about it is refused, with its count and the first example, unless an
option allows it; it is then counted in the run's notes. Several files, calibrators or thresholds give a run
for each combination.
"""

_ALLOWED = {
    "--keep-first-duplicate": "Of several rows of an image, keep the first.",
    "--allow-missing": "Leave out images that lack a label, or test images that lack a score.",
    "--drop-nan": "Leave out images with a score that is missing or not finite.",
    "--clip": "Take probabilities outside 0..1 for 0 or 1.",
    "--common-findings": "Judge the findings that both scores and labels have.",
}


def _allowed_options(function: F) -> F:
    for name, text in reversed(_ALLOWED.items()):
        function = click.option(name, is_flag=True, help=text)(function)
    return function


@click.command(epilog=_EPILOG)
@click.argument("files", nargs=-1, required=True, type=_FILE, metavar="FILE...")
@click.option("--labels", type=_FILE, help="Table of labels: NIH's, any CSV of images, or a TOML on one.")
@click.option(
    "--data-root",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of NIH's official lists, which then say what is test.",
)
@click.option(
    "--tune-file",
    "tune_files",
    multiple=True,
    type=_FILE,
    help="Scores of the images to fit on; one for each FILE.",
)
@click.option(
    "--tune-from-test",
    type=click.Choice(["patients"]),
    help="Fit on half of the test patients, and test on the others.",
)
@click.option("--name", metavar="NAME,…", help="Of the system.  [default: the file's, less _seedN]")
@click.option("--seed", metavar="N,…", help="Of the system.  [default: N of the file's name, else 0]")
@click.option(
    "--calibrator",
    multiple=True,
    metavar=NAME,
    shell_complete=complete_components("calibrator"),
    help="What makes probabilities of logits.  [default: none]",
)
@click.option(
    "--thresholds",
    multiple=True,
    metavar=NAME,
    shell_complete=complete_components("thresholds"),
    help="Strategy for each finding's operating point.  [default: dynamic; fixed where nothing is fitted]",
)
@click.option(
    "--decision",
    multiple=True,
    metavar=NAME,
    shell_complete=complete_components("decision"),
    help="Rule for what becomes of decisions then.  [default: none]",
)
@click.option(
    "--min-positives",
    type=click.IntRange(0),
    default=10,
    show_default=True,
    help="How many positives a finding needs on tune for its own threshold.",
)
@click.option(
    "--values",
    type=click.Choice(["logits", "probabilities"]),
    help="What the scores are.  [default: found out]",
)
@click.option("--prefix", metavar="TEXT", help="What the scores' columns start with.  [default: found out]")
@click.option("--classes", metavar="NAME,…", help="Findings of an npz file's columns, in order.")
@click.option("--rows-as-ids", is_flag=True, help="Take rows of files without image ids by their place.")
@_allowed_options
@nonconforming_option
@results_option
@common
def score(
    files: tuple[Path, ...],
    labels: Path | None,
    data_root: Path | None,
    tune_files: tuple[Path, ...],
    tune_from_test: str | None,
    name: str | None,
    seed: str | None,
    calibrator: tuple[str, ...],
    thresholds: tuple[str, ...],
    decision: tuple[str, ...],
    min_positives: int,
    values: Values | None,
    prefix: str | None,
    classes: str | None,
    rows_as_ids: bool,
    results: Path,
    output: Output,
    **allowed: bool,
) -> None:
    """Judge predictions from anywhere as those of a run: calibrate, fit thresholds, evaluate."""
    registry = output.components().registry

    from cxrbench.cli.cells import do_cells
    from cxrbench.grid import parse_axis
    from cxrbench.scores.table import Allowed
    from cxrbench.store import Store
    from cxrbench.workflow.scoring import ScoreRequest, Scoring

    request = ScoreRequest(
        files=files,
        tune_files=tune_files,
        labels=labels,
        root=data_root,
        systems=_parts(name),
        seeds=_seeds(seed),
        tune_from_test=tune_from_test is not None,
        rows_as_ids=rows_as_ids,
        values=values,
        classes=_parts(classes) or None,
        prefix=prefix,
        allowed=Allowed(**allowed),
    )
    given = {"calibrator": calibrator, "thresholds": thresholds, "decision": decision}
    axes = {kind: parse_axis(kind, texts) for kind, texts in given.items()}
    scoring = Scoring(Store(results, output.reporter), registry, output.reporter)
    do_cells(scoring, scoring.specs(request, axes, min_positives), output)


def _parts(text: str | None) -> list[str]:
    return [part.strip() for part in text.split(",")] if text else []


def _seeds(text: str | None) -> list[int]:
    from cxrbench.errors import UsageError

    wrong = [part for part in _parts(text) if not part.isdecimal()]
    if wrong:
        raise UsageError(f"--seed takes numbers, not '{wrong[0]}'.")
    return [int(part) for part in _parts(text)]
