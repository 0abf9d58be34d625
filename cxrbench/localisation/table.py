"""The localisation table of a run: its maps beside controls, with cut-offs and layer chosen on tune."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from cxrbench.localisation.controls import centre_maps, ideal_maps, place_maps, random_maps
from cxrbench.localisation.pairs import Pairs, Window
from cxrbench.localisation.scoring import (
    CUTOFFS,
    Found,
    best_figures,
    choose_cutoffs,
    figures,
    found_by,
    mean_iou,
    summary,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from cxrbench.interfaces import FloatArray

CONTROLS = ("random", "centre", "place")
"""Maps that need no network: random numbers on the layer's grid; a Gaussian round the centre; where the
finding's boxes are on tune."""

CEILING = "ceiling"
"""The annotated boxes on the layer's grid, each at its best cut-off."""

NETWORK = "network"
"""The explained network's own maps."""


@dataclass(frozen=True)
class Localisation:
    """How well a run's maps find the annotated boxes of test.

    Attributes:
        table: a row a kind of map (:data:`NETWORK`, :data:`CONTROLS`, :data:`CEILING`), finding and metric:
            see :func:`cxrbench.localisation.scoring.summary`; with ``maps`` and the finding's ``cutoff``.
        differences: the same of the network's figures less a control's, pair by pair; a column ``less``.
        layer: what was explained by.
        layers: mean IoU on tune of each layer that it was chosen among; NaN where there are no boxes on tune.
        fitted: pairs with boxes on tune, by finding; cut-offs and layer are chosen on these.
        pairs: the pairs of test.
        found: what the network's maps find.
        cutoffs: place in :data:`cxrbench.localisation.scoring.CUTOFFS` of each finding.
        empty: pairs of test whose map is 0 everywhere.
    """

    table: pd.DataFrame
    differences: pd.DataFrame
    layer: str
    layers: Mapping[str, float]
    fitted: Mapping[str, int]
    pairs: Pairs
    found: Found
    cutoffs: Mapping[str, int]
    empty: int

    def better(self, metric: str, controls: Sequence[str]) -> list[str]:
        """The findings in which the network is above all of these controls, whatever the intervals say."""
        values = self.table[self.table["metric"] == metric].pivot(
            index="finding", columns="maps", values="value"
        )
        above = values[NETWORK] > values[list(controls)].max(axis=1)
        return [name for name in self.pairs.names if above[name]]

    def surely_better(self, metric: str, controls: Sequence[str]) -> list[str]:
        """Those in which the interval of each difference is above 0."""
        rows = self.differences[
            (self.differences["metric"] == metric) & self.differences["less"].isin(controls)
        ]
        lowest = rows.groupby("finding")["low"].min()
        return [name for name in self.pairs.names if lowest[name] > 0]


@dataclass(frozen=True)
class LayerMaps:
    """A layer's maps ``[n, S, S]`` of tune's pairs, and its grid."""

    grid: tuple[int, int]
    maps: NDArray[np.float32]


def choose_layer(
    layers: Mapping[str, LayerMaps], tune: Pairs, window: Window
) -> tuple[str, dict[str, float]]:
    """The layer whose maps find tune's boxes best, and the mean IoU of each; without boxes, the first."""
    values = {}
    for name, layer in layers.items():
        found = found_by(layer.maps, tune, window)
        values[name] = mean_iou(found, tune, choose_cutoffs(found, tune, tune.names))
    best = max(values, key=lambda name: values[name]) if len(tune) else next(iter(values))
    return best, values


def localise(
    layer: str,
    layers: Mapping[str, float],
    on_tune: LayerMaps,
    tune: Pairs,
    on_test: NDArray[np.float32],
    test: Pairs,
    window: Window,
    seed: str,
) -> Localisation:
    """Score maps of test's pairs with cut-offs chosen on tune's.

    Args:
        layer: whose maps they are.
        layers: see :class:`Localisation`.
        on_tune: maps of ``tune``.
        tune: pairs that may be fitted on; none is allowed.
        on_test: maps ``[n, S, S]`` of ``test``.
        test: pairs that are scored.
        window: what of each image the maps are of.
        seed: of the resamples.
    """
    size, grid = on_test.shape[-1], on_tune.grid
    kinds: dict[str, tuple[Any, Any]] = {
        NETWORK: (on_tune.maps, on_test),
        "random": (random_maps(tune, grid, size), random_maps(test, grid, size)),
        "centre": (centre_maps(tune, size), centre_maps(test, size)),
        "place": (place_maps(tune, tune, window, size), place_maps(test, tune, window, size)),
    }
    tables, values, places = [], {}, {}
    for kind, (maps_on_tune, maps_on_test) in kinds.items():
        places[kind] = choose_cutoffs(found_by(maps_on_tune, tune, window), tune, test.names)
        found = found_by(maps_on_test, test, window)
        values[kind] = figures(found, test, places[kind])
        if kind == NETWORK:
            of_network = found
        tables.append(_of_kind(kind, values[kind], places[kind], test, seed))
    ideal = found_by(ideal_maps(test, grid, window, size), test, window)
    tables.append(_of_kind(CEILING, best_figures(ideal), {}, test, seed))
    return Localisation(
        table=pd.concat(tables, ignore_index=True),
        differences=pd.concat(
            [
                summary(values[NETWORK] - values[control], test, seed).assign(less=control)
                for control in CONTROLS
            ],
            ignore_index=True,
        ),
        layer=layer,
        layers=layers,
        fitted={name: int((tune.findings == name).sum()) for name in sorted({*tune.names, *test.names})},
        pairs=test,
        found=of_network,
        cutoffs=places[NETWORK],
        empty=int((on_test.max(axis=(1, 2)) == 0).sum()),
    )


def _of_kind(
    kind: str, values: FloatArray, places: Mapping[str, int], pairs: Pairs, seed: str
) -> pd.DataFrame:
    table = summary(values, pairs, seed)
    cutoffs = {name: CUTOFFS[place] for name, place in places.items()}
    return table.assign(maps=kind, cutoff=table["finding"].map(cutoffs))
