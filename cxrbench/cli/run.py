"""``cxrbench run``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from cxrbench.cli.common import F, Output, common, complete_components, results_option

if TYPE_CHECKING:
    from cxrbench.grid import Failure
    from cxrbench.training.devices import DeviceName
    from cxrbench.workflow import Job, Workflow

_EPILOG = """
Example: cxrbench run --backbone densenet_fpn --thresholds youden,dynamic:min_precision=0.4 --seed 0,1,2

Options of a component follow its name, NAME:key=value,key=value; 'cxrbench list' names components.
Repeated or comma-separated values give one run each. What a run shares with an earlier one is not done
again.
"""


def _component(kind: str, text: str) -> Callable[[F], F]:
    return click.option(
        f"--{kind}",
        multiple=True,
        metavar="NAME[:key=value,…]",
        shell_complete=complete_components(kind),
        help=text,
    )


@click.command(epilog=_EPILOG)
@click.option(
    "--dataset",
    metavar="NAME[:key=value,…]",
    shell_complete=complete_components("dataset"),
    help="Data set.  [default: phantom]",
)
@click.option(
    "--data-root", type=click.Path(file_okay=False, path_type=Path), help="Folder of the data set's files."
)
@_component("backbone", "Network.  [default: densenet_fpn]")
@_component("loss", "Training loss.  [default: weighted_bce]")
@_component("calibrator", "What makes probabilities of logits.  [default: none]")
@_component("thresholds", "Strategy for each finding's operating point.  [default: dynamic]")
@click.option(
    "--seed",
    "seeds",
    multiple=True,
    metavar="N,…",
    help="Seed of weights, order, augmentation.  [default: 0]",
)
@click.option("--weights", metavar="none|imagenet|FILE", help="Initial weights; a data set recommends some.")
@click.option(
    "--image-size", type=int, metavar="PX", help="Side of the network's input; recommended by the data set."
)
@click.option("--epochs", type=int, help="Passes over the training images; recommended by the data set.")
@click.option("--batch-size", type=int, help="Images a step; recommended by the data set.")
@click.option("--learning-rate", "--lr", type=float, help="At the start; recommended by the data set.")
@click.option(
    "--precision", type=click.Choice(["auto", "fp32", "bf16", "fp16"]), help="Of training.  [default: auto]"
)
@click.option(
    "--tune",
    type=click.Choice(["tune", "val"]),
    help="Role that calibration and thresholds are fitted on.  [default: tune]",
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="NAME.key=value",
    help="Option of a component, the training (training.schedule=plateau) or the run (min_positives=5).",
)
@click.option(
    "--config", type=click.Path(dir_okay=False, path_type=Path), help="TOML file; other options override it."
)
@click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="Where to compute.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be trained, reused and written, and stop.")
@results_option
@common
def run(
    dataset: str | None,
    data_root: Path | None,
    backbone: tuple[str, ...],
    loss: tuple[str, ...],
    calibrator: tuple[str, ...],
    thresholds: tuple[str, ...],
    seeds: tuple[str, ...],
    settings: tuple[str, ...],
    config: Path | None,
    device: DeviceName,
    dry_run: bool,
    results: Path,
    output: Output,
    **numbers: Any,
) -> None:
    """Train, calibrate, fit thresholds and evaluate: one run for each combination.

    A data set recommends settings that suit it; what you give comes first.
    """
    registry = output.components().registry

    from cxrbench.errors import UsageError
    from cxrbench.grid import cells
    from cxrbench.options import parse_uses
    from cxrbench.specs import read_config
    from cxrbench.store import Store

    given = read_config(config) if config else {}
    if dataset:
        given["dataset"] = dataset
    own = {k: v for k, v in numbers.items() if v is not None}
    training = {k: own.pop(k) for k in ("epochs", "batch_size", "learning_rate", "precision") if k in own}
    given |= own
    given["training"] = {**given.get("training", {}), **training}
    try:
        seed_axis = [int(part) for text in seeds for part in text.split(",")]
    except ValueError as error:
        raise UsageError(f"--seed takes whole numbers, not '{','.join(seeds)}'.") from error
    axes = {
        kind: [use for text in texts for use in parse_uses(text)]
        for kind, texts in (
            ("backbone", backbone),
            ("loss", loss),
            ("calibrator", calibrator),
            ("thresholds", thresholds),
        )
    }
    specs = cells(given, {**axes, "seed": seed_axis}, settings, registry)

    from cxrbench.training.devices import device_of
    from cxrbench.workflow import Workflow

    chosen = device_of(device)
    workflow = Workflow(Store(results, output.reporter), registry, output.reporter, chosen, data_root)
    jobs = [workflow.job(spec) for spec in specs]
    if dry_run:
        _plan(workflow, jobs, output)
    else:
        _do(workflow, jobs, output)


def _do(workflow: Workflow, jobs: list[Job], output: Output) -> None:
    from cxrbench.grid import run_cells
    from cxrbench.report.tables import run_details, runs_table
    from cxrbench.stages.publish import read_record

    records: list[dict[str, Any]] = []
    failures: list[Failure] = []

    def do(job: Job) -> None:
        done_before = job.is_done
        artifact = job.do()
        records.append(read_record(artifact))
        state = "already done, nothing to do" if done_before else "done"
        output.reporter.say(f"{state}: {artifact.folder}")

    def failed(failure: Failure) -> None:
        failures.append(failure)
        output.reporter.error(failure.trace if output.debug else failure.reason)

    run_cells(jobs, do, failed)
    output.document(
        {"trainings": workflow.trainings, "runs": records, "failed": [f.record() for f in failures]}
    )
    if len(records) == 1:
        output.show(*run_details(records[0]))
    elif records:
        output.show(*runs_table(records))
    if failures:
        raise SystemExit(1)


def _plan(workflow: Workflow, jobs: list[Job], output: Output) -> None:
    from cxrbench.plan import disk_bytes
    from cxrbench.report.tables import plan_table

    plans = [job.plan() for job in jobs]
    trainings = {plan.train for plan in plans if plan.trains}
    disk = disk_bytes(plans)
    document = {"trainings": len(trainings), "disk_bytes": disk, "runs": [plan.record() for plan in plans]}
    output.document(document)
    output.show(*plan_table(plans, len(trainings), disk))
