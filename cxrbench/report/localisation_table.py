"""The localisation table for the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cxrbench.localisation.scoring import ALL, FIXED_CUTOFF, LEAST
from cxrbench.localisation.table import CEILING, CONTROLS, NETWORK, Localisation
from cxrbench.report.page.page import fixed
from cxrbench.report.tables import marks

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from cxrbench.workflow.explanations import Explanation, OfRun

SHOWN = {
    "iobb_0.1": "IoBB > .1",
    "iobb_0.25": "IoBB > .25",
    "iobb_0.5": "IoBB > .5",
    "iou_0.1": "IoU > .1",
    "iou_0.3": "IoU > .3",
    "iou_0.5": "IoU > .5",
    "mean_iou": "mean IoU",
    "pointing": "pointing game",
    "energy": "energy in box",
}
"""What tables for people show of the metrics, and how it is called; files have all of them."""

KINDS = {
    NETWORK: "network",
    "random": "random map",
    "centre": "centre prior",
    "place": "place on tune",
    CEILING: "ceiling of the grid",
}
"""How kinds of map are called."""


def localisation_tables(explanation: Explanation) -> list[RenderableType]:
    """A table of each run that was scored, then the sanity check of all."""
    tables: list[RenderableType] = []
    for run in explanation.runs:
        if run.localisation is not None:
            tables += [
                _means(run, run.localisation),
                _findings(run.localisation),
                _sentence(run.localisation),
                cutoff_sentence(run.localisation),
            ]
        tables += [sanity_sentence(run), *marks(run.nonconforming)]
    return tables


def _means(run: OfRun, found: Localisation) -> Table:
    from rich.table import Table

    height, width = run.grid
    table = Table(
        box=None,
        pad_edge=False,
        header_style="bold",
        title=f"{run.run_id}: layer {run.layer} ({height} × {width}), {len(found.pairs)} annotated findings "
        "of test",
        title_justify="left",
    )
    table.add_column(ALL)
    for name in SHOWN.values():
        table.add_column(name, justify="right")
    rows = found.table[found.table["finding"] == ALL].set_index(["maps", "metric"])
    for kind, name in KINDS.items():
        table.add_row(
            name,
            *(
                f"{fixed(rows['value'][kind, metric])} [{fixed(rows['low'][kind, metric], 2)}, "
                f"{fixed(rows['high'][kind, metric], 2)}]"
                for metric in SHOWN
            ),
        )
    return table


def _findings(found: Localisation) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("IoBB > .25")
    for name in ("boxes", "cut-off", *KINDS.values()):
        table.add_column(name, justify="right")
    rows = found.table[found.table["metric"] == "iobb_0.25"].set_index(["maps", "finding"])
    for finding in found.pairs.names:
        values = (fixed(rows["value"][kind, finding]) for kind in KINDS)
        pairs, cutoff = (rows[name][NETWORK, finding] for name in ("pairs", "cutoff"))
        table.add_row(finding, str(pairs), fixed(cutoff, 2), *values)
    return table


def _sentence(found: Localisation) -> str:
    controls = CONTROLS[:2]
    above, surely = found.better("iobb_0.25", controls), found.surely_better("iobb_0.25", controls)
    return (
        f"At T(IoBB) .25 above random and centre in {len(above)} of {len(found.pairs.names)} findings, in "
        f"{len(surely)} of them with both intervals of the difference above 0."
        + (f" {found.empty} maps are 0 everywhere and count as misses." if found.empty else "")
    )


def cutoff_sentence(found: Localisation) -> str:
    """What cut-offs, and the layer, were chosen on."""
    boxes = sum(found.fitted.values())
    if boxes >= LEAST:
        told = f"Cut-offs were chosen on {boxes:,} annotated findings of other patients, by mean IoU there"
    else:
        told = f"{boxes} annotated findings of other patients are too few to choose on: the cut-off is "
        told += f"{FIXED_CUTOFF:g} of a map's most"
    values = ", ".join(f"{layer} {fixed(value)}" for layer, value in found.layers.items())
    return f"{told}{f' (by layer: {values})' if boxes and values else ''}."


def sanity_sentence(run: OfRun) -> str:
    """What became of a run's maps when its weights were made random."""
    told = {"last": "the last layer", "all": "every layer"}
    parts = [
        f"{fixed(value, 2)} [{fixed(interval.low, 2)}, {fixed(interval.high, 2)}] with {told[what]} random"
        for what, (value, interval) in run.sanity.items()
    ]
    return f"Rank correlation of maps with those of random weights: {', '.join(parts)}." if parts else ""
