"""``cxrbench tune``."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from cxrbench.cli.common import (
    Output,
    common,
    complete_recipes,
    device_option,
    nonconforming_option,
    results_option,
)
from cxrbench.cli.data_options import data_options

if TYPE_CHECKING:
    from cxrbench.training.devices import DeviceName

_EPILOG = """
Example: cxrbench tune scratch_cnn_tuned --dataset nih --data-root ~/ChestX-ray14

The recipe's [search.space] says what may vary, [search] how: budget (epochs of a trial at most), eta, metric,
trials, sampler (random or tpe). Trials read train and val alone. Killed, the same line goes on where it was.
What is found is under tuning/NAME in --results: best.toml (for cxrbench run --config), trials.csv, figures.
"""


@click.command(epilog=_EPILOG)
@click.argument("recipe", shell_complete=complete_recipes)
@click.option("--name", help="What the search is called.  [default: the recipe's name]")
@click.option(
    "--trials", type=click.IntRange(1), metavar="N", help="How many in all, those of before included."
)
@click.option("--budget", type=click.IntRange(1), metavar="EPOCHS", help="Epochs of a trial at most.")
@click.option("--sampler", "draws", type=click.Choice(["random", "tpe"]), help="How values are drawn.")
@click.option(
    "--timeout", type=click.FloatRange(min=0), metavar="SECONDS", help="Begin no trial after so long."
)
@data_options
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="NAME.key=value",
    help="Option of a component, the training or the run, for all trials.",
)
@device_option
@nonconforming_option
@results_option
@common
def tune(
    recipe: str,
    name: str | None,
    trials: int | None,
    budget: int | None,
    draws: str | None,
    timeout: float | None,
    dataset: str | None,
    data_root: Path | None,
    exclude: str | None,
    labels: str | None,
    settings: tuple[str, ...],
    device: DeviceName,
    results: Path,
    output: Output,
) -> None:
    """Search for the settings that a recipe leaves open, with Hyperband.

    RECIPE is the name of one that comes along, or a TOML file.
    """
    registry = output.components().registry

    from cxrbench.grid import with_settings
    from cxrbench.recipes import read
    from cxrbench.recipes.suite import RECIPE, SEARCH
    from cxrbench.specs import read_config
    from cxrbench.store import Store
    from cxrbench.tuning.search import search_of

    if recipe.endswith(".toml"):
        # A file of one's own need not say where it comes from.
        given = read_config(Path(recipe))
        table = given.get(SEARCH)
    else:
        known = read(recipe)
        given, table = dict(known.given), known.search
    search = search_of(table, recipe)
    asked = {"trials": trials, "budget": budget, "sampler": draws}
    search = search.model_copy(update={key: value for key, value in asked.items() if value is not None})
    shared = {"dataset": dataset, "exclude": exclude, "labels": labels}
    given = {key: value for key, value in given.items() if key not in (RECIPE, SEARCH)}
    given |= {key: value for key, value in shared.items() if value is not None}

    from cxrbench.report.search_figures import draw_search
    from cxrbench.report.search_table import search_table
    from cxrbench.training.devices import device_of
    from cxrbench.tuning.results import trial_record
    from cxrbench.tuning.trials import best_of, plan_of, tune

    plan = plan_of(name or Path(recipe).stem, with_settings(given, settings), search, registry)

    from cxrbench.workflow import Workflow

    store = Store(results, output.reporter)
    workflow = Workflow(store, registry, output.reporter, device_of(device), data_root)
    folder = results / "tuning" / plan.name
    found = tune(plan, folder, workflow, math.inf if timeout is None else timeout)
    draw_search(folder, found, plan)
    best = best_of(found, plan.metric)
    output.document(
        {
            "search": plan.name,
            "folder": str(folder),
            "trials": [trial_record(trial) for trial in found],
            "planned": plan.trials,
            "metric": plan.metric,
            "budget": plan.budget,
            "eta": plan.search.eta,
            "trainings": workflow.trainings,
            "best": trial_record(best) if best else None,
            "recipe": str(folder / "best.toml") if best else None,
        }
    )
    output.show(*search_table(found, plan, folder))
    if best is None and len(found) >= plan.trials:
        output.reporter.error(f"No trial came to its end; {folder / 'trials.csv'} has the reasons.")
        raise SystemExit(1)
