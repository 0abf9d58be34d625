"""``cxrbench ensemble``."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from cxrbench.cli.common import (
    Output,
    common,
    complete_components,
    complete_runs,
    nonconforming_option,
    results_option,
)
from cxrbench.cli.data_options import NAME


@click.command(
    epilog="Example: cxrbench ensemble RUN RUN RUN --search genetic:restarts=10\n\n"
    "Runs must be tested on the same images and labels, and have tune images in common; everything is fitted "
    "on these."
)
@click.argument("runs", nargs=-1, required=True, metavar="RUN...", shell_complete=complete_runs)
@click.option(
    "--search",
    default="genetic",
    show_default=True,
    metavar=NAME,
    shell_complete=complete_components("ensemble"),
    help="How runs are combined; 'cxrbench list ensemble' names the ways.",
)
@click.option(
    "--fitness",
    metavar=f"macro_f1|macro_auc|macro_ap|accuracy|{NAME}",
    shell_complete=complete_components("metric"),
    help="What the search makes as good as it can, on tune: one of these, thresholds refitted, or a metric "
    "('cxrbench list metric').  [default: macro_f1]",
)
@click.option(
    "--combine",
    type=click.Choice(["probabilities", "logits", "ranks"]),
    help="What is averaged.  [default: probabilities]",
)
@click.option(
    "--folds",
    type=click.IntRange(2, 100),
    help="Parts of tune's patients for cross-fitted scores.  [default: 5]",
)
@click.option("--name", metavar="TEXT", help="Of the system.  [default: SEARCH of N]")
@click.option("--seed", type=click.IntRange(0), help="Of the search.  [default: 0]")
@click.option(
    "--calibrator",
    metavar=NAME,
    shell_complete=complete_components("calibrator"),
    help="What makes probabilities of the ensemble's logits.  [default: none]",
)
@click.option(
    "--thresholds",
    metavar=NAME,
    shell_complete=complete_components("thresholds"),
    help="Strategy for each finding's operating point.  [default: f1]",
)
@click.option(
    "--decision",
    metavar=NAME,
    shell_complete=complete_components("decision"),
    help="Rule for what becomes of decisions then.  [default: none]",
)
@click.option(
    "--min-positives",
    type=click.IntRange(0),
    help="How many positives and negatives each finding needs on tune.  [default: 10]",
)
@nonconforming_option
@results_option
@common
def ensemble(
    runs: tuple[str, ...],
    search: str,
    fitness: str | None,
    combine: str | None,
    folds: int | None,
    name: str | None,
    seed: int | None,
    calibrator: str | None,
    thresholds: str | None,
    decision: str | None,
    min_positives: int | None,
    results: Path,
    output: Output,
) -> None:
    """Combine runs into one, fitted on tune and judged beside the best of them, their average and greedy."""
    registry = output.components().registry

    from cxrbench.options import parse_use
    from cxrbench.records import read_record
    from cxrbench.report.ensemble_table import ensemble_tables
    from cxrbench.store import Store
    from cxrbench.workflow.ensembling import EnsembleRequest, Ensembling

    store = Store(results, output.reporter, create=False)
    settings = {
        "system": name,
        "fitness": fitness,
        "combine": combine,
        "folds": folds,
        "seed": seed,
        "calibrator": None if calibrator is None else parse_use("--calibrator", calibrator),
        "thresholds": None if thresholds is None else parse_use("--thresholds", thresholds),
        "decision": None if decision is None else parse_use("--decision", decision),
        "min_positives": min_positives,
    }
    request = EnsembleRequest(runs, parse_use("--search", search), settings)
    job = Ensembling(store, registry, output.reporter).job(request)
    done_before = job.is_done
    record = read_record(job.do())
    state = "already done, nothing to do" if done_before else "done"
    output.reporter.say(f"{state}: {record['path']}")
    told = record["ensemble"]
    output.document({"run_id": record["run_id"], "search": record["search"], **told})
    output.show(*ensemble_tables(record))
