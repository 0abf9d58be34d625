"""``cxrbench latency``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from cxrbench.cli.common import (
    Output,
    common,
    complete_components,
    complete_runs,
    device_option,
    nonconforming_option,
    results_option,
)
from cxrbench.cli.data_options import run_data_options

if TYPE_CHECKING:
    from cxrbench.training.devices import DeviceName

_EPILOG = """
Example: cxrbench latency phantom-densenet_fpn --runtimes auto --batch-size 1,16

Each row is measured in a fresh process. An engine whose outputs on the test images differ from those of eager
fp32 by more than --gate allows is reported and never ranked.
"""


@click.command(epilog=_EPILOG)
@click.argument("runs", nargs=-1, required=True, metavar="RUN...", shell_complete=complete_runs)
@click.option(
    "--runtimes",
    default="auto",
    show_default=True,
    metavar="NAME[:key=value,…],…",
    shell_complete=complete_components("runtime"),
    help="auto: all that this machine can run.",
)
@click.option(
    "--precision",
    default="fp32",
    show_default=True,
    metavar="fp32|tf32|bf16|fp16|int8,…",
    help="Number formats; a runtime without one is skipped for it.",
)
@click.option(
    "--batch-size", "batch_sizes", default="1", show_default=True, metavar="N,…", help="Images a call."
)
@click.option("--image-size", "image_sizes", metavar="PX,…", help="Side of the input.  [default: the run's]")
@click.option(
    "--gate",
    default="auc=0.001,flips=0.002",
    show_default=True,
    metavar="auc=X,flips=X,logit=X",
    help="How far an engine may be from eager fp32 on test: macro AUC, share of decisions, largest logit.",
)
@click.option(
    "--samples", type=click.IntRange(30), default=662, show_default=True, help="Timed calls at most."
)
@click.option(
    "--seconds",
    type=click.FloatRange(0.1),
    default=30.0,
    show_default=True,
    help="Time for them at most, whatever it takes for 30.",
)
@click.option("--no-split", is_flag=True, help="Do not time requests from file to decisions.")
@click.option("--threads", type=click.IntRange(1), help="Of the processor.  [default: as torch finds]")
@run_data_options
@device_option
@nonconforming_option
@results_option
@common
def latency(
    runs: tuple[str, ...],
    runtimes: str,
    precision: str,
    batch_sizes: str,
    image_sizes: str | None,
    gate: str,
    samples: int,
    seconds: float,
    no_split: bool,
    threads: int | None,
    data_root: Path | None,
    test_data_root: Path | None,
    device: DeviceName,
    results: Path,
    output: Output,
) -> None:
    """Measure how fast trained networks are, and whether engines still decide as the network did.

    Records are added to the store; a run itself never changes. Not for clinical use.
    """
    registry = output.components().registry

    from cxrbench.latency.choice import choices
    from cxrbench.latency.gate import Tolerance
    from cxrbench.latency.request import Effort
    from cxrbench.latency.runs import Asked, measure_runs, sizes_of
    from cxrbench.records import read_record
    from cxrbench.report.latency_table import latency_tables
    from cxrbench.store import Store
    from cxrbench.training.devices import device_of
    from cxrbench.workflow import Workflow
    from cxrbench.workflow.trained import roots_of_tests

    where = device_of(device)
    asked = Asked(
        choices(runtimes, [each.strip() for each in precision.split(",")], where.type, registry),  # type: ignore[arg-type]
        sizes_of("--batch-size", batch_sizes),
        sizes_of("--image-size", image_sizes) if image_sizes else (),
        Tolerance.parse(gate),
        Effort(samples, seconds, not no_split),
        threads,
    )
    store = Store(results, output.reporter, create=False)
    roots = roots_of_tests([read_record(store.find_run(run)) for run in runs], test_data_root)
    workflow = Workflow(store, registry, output.reporter, where, data_root, roots)
    answers, failed = measure_runs(workflow, runs, asked)
    output.document([each.document() for each in answers])
    output.show(*latency_tables(answers))
    if failed:
        raise SystemExit(1)
