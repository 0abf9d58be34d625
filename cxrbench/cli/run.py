"""``cxrbench run``."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from cxrbench.cli.cells import do_cells
from cxrbench.cli.common import (
    F,
    Output,
    common,
    complete_components,
    complete_recipes,
    device_option,
    nonconforming_option,
    results_option,
)
from cxrbench.cli.data_options import NAME, data_options

if TYPE_CHECKING:
    from rich.console import RenderableType

    from cxrbench.cli.cells import After
    from cxrbench.grid import Failure
    from cxrbench.plan import Plan
    from cxrbench.specs import RunSpec
    from cxrbench.training.devices import DeviceName
    from cxrbench.workflow import Workflow

_EPILOG = """
Example: cxrbench run --backbone densenet_fpn --thresholds youden,dynamic:min_precision=0.4 --seed 0,1,2

Options of a component follow its name, NAME:key=value,key=value; 'cxrbench list' names components.
Repeated or comma-separated values give one run each, the last axis varying fastest; a --config file has
several values as a list, such as seed = [0, 1, 2] or loss = ["bce", "weighted_bce"]; a suite names several
recipes, as recipe = ["wang_vgg16", "fused_cnn"]. What a run shares with an earlier one is not done again.
"""

_AXES = {
    "backbone": (NAME, "Network.  [default: densenet_fpn]"),
    "loss": (NAME, "Training loss.  [default: weighted_bce]"),
    "task": (NAME, "What is to be predicted, made of the data set's labels.  [default: findings]"),
    "sampler": (NAME, "Which images are used, and how often training sees each.  [default: none]"),
    "preprocessing": (NAME, "What is done to each whole image.  [default: none]"),
    "augmentation": (NAME, "What training sees of an image.  [default: affine]"),
    "calibrator": (NAME, "What makes probabilities of logits.  [default: none]"),
    "thresholds": (NAME, "Strategy for each finding's operating point.  [default: dynamic]"),
    "decision": (NAME, "Rule for what becomes of decisions then.  [default: none]"),
    "test-dataset": (
        NAME,
        "Evaluate on other data's test images, with the findings that both have; none: on its own.",
    ),
    "seed": ("N,…", "Seed of weights, order, augmentation.  [default: 0]"),
    "split": ("official|patient|image", "How roles are given; image leaks patients.  [default: official]"),
    "image-size": ("PX,…", "Side of the network's input; recommended by the data set."),
    "crop": ("SHARE,…", "Share of an image's side that the network sees.  [default: 0.9]"),
    "weights": ("none|imagenet|FILE", "Initial weights; a data set recommends some."),
    "epochs": ("N,…", "Passes over the training images; 0 takes --weights FILE as it is; recommended."),
    "batch-size": ("N|auto", "Images a step; recommended by the data set."),
    "learning-rate": ("X,…", "At the start; recommended by the data set."),
    "precision": ("auto|fp32|bf16|fp16", "Of training.  [default: auto]"),
    "tune": ("tune|val", "Role that calibration and thresholds are fitted on.  [default: tune]"),
}
"""Each may have several values; how a value looks, and help."""


def _axes(function: F) -> F:
    """Add an option for each axis."""
    for name, (metavar, text) in reversed(_AXES.items()):
        names = [f"--{name}", *(["--lr"] if name == "learning-rate" else [])]
        kind = "dataset" if name == "test-dataset" else name
        complete = complete_components(kind) if metavar == NAME else None
        option = click.option(*names, multiple=True, metavar=metavar, shell_complete=complete, help=text)
        function = option(function)
    return function


@click.command(epilog=_EPILOG)
@data_options
@_axes
@click.option(
    "--test-data-root",
    "test_data_roots",
    multiple=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the files of --test-dataset; of several, one for all or one each in their order.",
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="NAME.key=value",
    help="Option of a component, the training (training.schedule=plateau) or the run (min_positives=5).",
)
@click.option(
    "--config",
    type=click.Path(dir_okay=False, path_type=Path),
    help="TOML file of a run, or of several (a list is an axis); other options override it.",
)
@device_option
@click.option(
    "--recipe",
    "recipes",
    multiple=True,
    metavar="NAME|FILE,…",
    shell_complete=complete_recipes,
    help="Published systems, by name, or files of one's own; other options override them.",
)
@click.option("--smoke", is_flag=True, help="Few images of the embedded data, one epoch: see that it runs.")
@click.option(
    "--full-size", is_flag=True, help="A suite's recipes as they are, without what the suite overrides."
)
@click.option(
    "--runtimes",
    metavar="auto|NAME,…",
    shell_complete=complete_components("runtime"),
    help="Then measure the latency of one image in fp32 by these, as 'cxrbench latency' does.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be trained, reused and written, and stop.")
@nonconforming_option
@results_option
@common
def run(
    dataset: str | None,
    data_root: Path | None,
    test_data_roots: tuple[Path, ...],
    exclude: str | None,
    labels: str | None,
    settings: tuple[str, ...],
    config: Path | None,
    device: DeviceName,
    recipes: tuple[str, ...],
    smoke: bool,
    full_size: bool,
    runtimes: str | None,
    dry_run: bool,
    results: Path,
    output: Output,
    **axes: tuple[str, ...],
) -> None:
    """Train, calibrate, fit thresholds and evaluate: one run for each combination.

    A data set recommends settings that suit it; what you give comes first.
    """
    registry = output.components().registry

    from cxrbench.grid import cells, different, parse_axis, roots_of
    from cxrbench.recipes.suite import runs_of
    from cxrbench.specs import read_config
    from cxrbench.store import Store

    chosen = [name.strip() for text in recipes for name in text.split(",")]
    runs = runs_of(read_config(config) if config else {}, chosen, as_published=full_size)
    if smoke:
        from cxrbench.recipes.smoke import smaller

        runs = [smaller(given) for given in runs]
    shared = {"dataset": dataset, "exclude": exclude, "labels": labels}
    shared = {name: value for name, value in shared.items() if value is not None}
    values = {name: parse_axis(name, texts) for name, texts in axes.items()}
    specs = different(spec for given in runs for spec in cells(given | shared, values, settings, registry))
    if smoke and not axes["image_size"]:
        from cxrbench.recipes.smoke import with_small_images

        specs = different(with_small_images(spec, registry) for spec in specs)
    roots = roots_of(specs, test_data_roots)

    from cxrbench.training.devices import device_of
    from cxrbench.workflow import Workflow

    store = Store(results, output.reporter)
    workflow = Workflow(store, registry, output.reporter, device_of(device), data_root, roots)
    # Runtimes that cannot be had should stop the call before anything is trained.
    after = _measuring(workflow, runtimes, specs) if runtimes else None
    if dry_run:
        _plan(workflow, specs, output)
    else:
        do_cells(workflow, specs, output, after)


def _measuring(workflow: Workflow, runtimes: str, specs: Sequence[RunSpec]) -> After:
    """What measures the latency of runs, where it was not measured before."""
    from cxrbench.errors import UsageError
    from cxrbench.latency.choice import choices
    from cxrbench.latency.gate import Tolerance
    from cxrbench.latency.request import Effort
    from cxrbench.latency.runs import Asked, measure_runs
    from cxrbench.report.latency_table import latency_tables

    if several := next((spec for spec in specs if spec.averaged > 1), None):
        raise UsageError(
            f"--runtimes measures single networks, and {several.label()} averages {several.averaged}; leave "
            "it out, or run one of them (averaged=1)."
        )
    device = workflow.device.type
    found = choices(runtimes, ["fp32"], device, workflow.registry)  # type: ignore[arg-type]
    asked = Asked(found, (1,), (), Tolerance(), Effort(), again=False)

    def measure(runs: Sequence[str]) -> tuple[dict[str, Any], Sequence[RenderableType], bool]:
        answers, failed = measure_runs(workflow, runs, asked)
        return {"latency": [each.document() for each in answers]}, latency_tables(answers), failed

    return measure


def _plan(workflow: Workflow, specs: list[RunSpec], output: Output) -> None:
    from cxrbench.grid import run_cells
    from cxrbench.plan import disk_bytes
    from cxrbench.report.plan_table import plan_table

    plans: list[Plan] = []
    failures: list[Failure] = []

    def failed(failure: Failure) -> None:
        failures.append(failure)
        output.reporter.error(failure.trace if output.debug else failure.reason)

    make = partial(workflow.job, planned=True)
    run_cells(specs, workflow.registry, make, lambda place, spec, job: plans.append(job.plan()), failed)
    trainings = {id_ for plan in plans for id_ in plan.new_trainings}
    disk = disk_bytes(plans)
    document: dict[str, Any] = {
        "trainings": len(trainings),
        "disk_bytes": disk,
        "runs": [plan.record() for plan in plans],
    }
    if failures:
        document["failed"] = [failure.record() for failure in failures]
    output.document(document)
    if plans:
        output.show(*plan_table(plans, len(trainings), disk))
    if failures:
        raise SystemExit(1)
