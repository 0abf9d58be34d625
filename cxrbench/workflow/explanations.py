"""What ``explain`` answers: heatmaps of runs side by side, and how well each finds annotated boxes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch

from cxrbench.conformance.marks import nonconforming_since
from cxrbench.errors import UsageError
from cxrbench.localisation.pairs import Pairs, Window
from cxrbench.localisation.scoring import ALL, CUTOFFS, mean_with_interval
from cxrbench.localisation.table import CONTROLS, LayerMaps, Localisation, choose_layer, localise
from cxrbench.options import Use, make
from cxrbench.registry import Registry
from cxrbench.reporter import Reporter
from cxrbench.statistics.intervals import Interval
from cxrbench.store import Store
from cxrbench.training.randomness import hash_ids
from cxrbench.workflow.explaining import ExplainedRun, Scores
from cxrbench.workflow.runs import Workflow
from cxrbench.workflow.trained import roots_of_tests

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cxrbench.interfaces import FloatArray

    Maps = NDArray[np.float32]

MOST_FINDINGS = 3
"""That an image is explained for unless findings are named."""

SANITY_PAIRS = 64
"""Pairs that the sanity check explains again with random weights."""


@dataclass(frozen=True)
class Request:
    """What is asked for.

    Attributes:
        images: ids to show; empty with ``boxes``.
        boxes: score all annotated images of test.
        explainer: what makes the maps.
        layer: by its name; None for one that the network names, chosen on tune where there are several.
        findings: to explain; empty for those that an image has.
        activations: a layer whose maps are shown; None for none.
        show: how many annotated images to show.
        data_root: folder of the runs' data set.
        test_data_root: folder of another one that they were tested on.
    """

    images: tuple[str, ...] = ()
    boxes: bool = False
    explainer: Use = field(default_factory=lambda: Use(name="gradcam"))
    layer: str | None = None
    findings: tuple[str, ...] = ()
    activations: str | None = None
    show: int = 14
    data_root: Path | None = None
    test_data_root: Path | None = None


@dataclass(frozen=True)
class OfRun:
    """What is said of one run.

    Attributes:
        record: its ``run.json``.
        layer: that it is explained by.
        grid: height and width of that layer's maps.
        window: what of each image it sees.
        localisation: how well its maps find boxes; None where that was not asked.
        sanity: mean rank correlation of its maps with those of random weights, and its interval, by what
            was made random.
        scores: of the images that are shown.
        nonconforming: a clause on each of its components, and on the explainer, that failed a check.
    """

    record: Mapping[str, Any]
    layer: str
    grid: tuple[int, int]
    window: Window
    localisation: Localisation | None
    sanity: Mapping[str, tuple[float, Interval]]
    scores: Scores
    nonconforming: tuple[str, ...] = ()

    @property
    def run_id(self) -> str:
        """The run's id."""
        return str(self.record["run_id"])


@dataclass(frozen=True)
class Seen:
    """A run's map of an image for one finding.

    Attributes:
        heat: float32 ``[S, S]``.
        box: (left, top, right, bottom) in shares of the whole image; None where no cut-off was chosen, or the
            map is 0 everywhere.
    """

    heat: Maps
    box: FloatArray | None


@dataclass(frozen=True)
class Picture:
    """An image, and where runs look in it.

    Attributes:
        image_id: as in the manifest.
        role: in the first run.
        pixels: uint8 ``[h, w]``, whole.
        findings: that it is explained for.
        labels: 1, 0 or NaN by class.
        boxes: annotated, ``[m, 4]`` (left, top, right, bottom) in shares of the image's sides, by finding.
        seen: for each run, its maps by finding; a finding that is no class of the run has none.
        activations: for each run, maps ``[C, h, w]`` of the layer asked for.
    """

    image_id: str
    role: str
    pixels: NDArray[np.uint8]
    findings: tuple[str, ...]
    labels: pd.Series[float]
    boxes: Mapping[str, FloatArray]
    seen: tuple[Mapping[str, Seen], ...]
    activations: tuple[Maps, ...] = ()


@dataclass(frozen=True)
class Explanation:
    """The answer.

    Attributes:
        request: what was asked for.
        runs: in the order of the request.
        pictures: the images that are shown.
    """

    request: Request
    runs: tuple[OfRun, ...]
    pictures: tuple[Picture, ...]

    @property
    def scores(self) -> pd.DataFrame:
        """A row a run, image and class: label, probability, threshold, whether it is called."""
        rows = []
        for run in self.runs:
            for picture in self.pictures:
                scores = run.scores.probabilities.loc[picture.image_id]
                for name, probability in scores.items():
                    threshold = run.scores.thresholds[str(name)]
                    label = picture.labels.get(name, np.nan)
                    decided = float(run.scores.called[name][picture.image_id])
                    called = None if np.isnan(decided) else bool(decided)
                    rows.append(
                        (
                            run.run_id,
                            picture.image_id,
                            picture.role,
                            name,
                            label,
                            probability,
                            threshold,
                            called,
                        )
                    )
        heads = ["run", "image_id", "role", "finding", "label", "probability", "threshold", "called"]
        return pd.DataFrame(rows, columns=heads)

    def record(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "explainer": str(self.request.explainer),
            "images": [
                {"image_id": each.image_id, "role": each.role, "findings": each.findings}
                for each in self.pictures
            ],
            "runs": [_record(run) for run in self.runs],
        }


def explained(
    store: Store,
    registry: Registry,
    reporter: Reporter,
    device: torch.device,
    records: Sequence[Mapping[str, Any]],
    request: Request,
) -> Explanation:
    """Explain runs.

    Raises:
        UsageError: a run has no network that sees images, or an image, finding or layer is unknown; there are
            no boxes of test.
        CxrbenchError: a run's data or checkpoint are not at hand.
    """
    # Before runs are opened; maps that are kept would not ask for it.
    make(request.explainer, "explainer", registry)
    runs = []
    for record in records:
        roots = roots_of_tests([record], request.test_data_root)
        workflow = Workflow(store, registry, reporter, device, request.data_root, roots)
        runs.append(ExplainedRun(workflow, record))
    _require_known(runs, request)
    scored = [_Scored.of(run, request) for run in runs]
    shown = list(request.images) if request.images else _chosen(scored[0], request.show)
    scores = [run.scores(shown) if shown else _no_scores(run) for run in runs]
    labels = pd.concat([run.labels(shown) for run in runs], axis=1) if shown else pd.DataFrame()
    labels = labels.loc[:, ~labels.columns.duplicated()]
    wanted = {
        image_id: request.findings or _findings(runs[0], image_id, _row(labels, image_id), scores[0])
        for image_id in shown
    }
    seen = [_seen(run, each, request, wanted) for run, each in zip(runs, scored, strict=True)]
    pictures = [
        Picture(
            image_id=image_id,
            role=runs[0].role_of(image_id),
            pixels=runs[0].pixels(image_id),
            findings=wanted[image_id],
            labels=_row(labels, image_id),
            boxes=_boxes(runs[0], image_id, wanted[image_id]),
            seen=tuple(each.get(image_id, {}) for each in seen),
            activations=tuple(run.activations(request.activations, image_id) for run in runs)
            if request.activations
            else (),
        )
        for image_id in shown
    ]
    return Explanation(
        request,
        tuple(
            OfRun(
                run.record,
                each.layer,
                run.layer(each.layer).grid,
                run.window,
                each.localisation,
                _sanity(run, each, request, wanted),
                of_run,
                nonconforming_since(registry, [run.record], explainer=request.explainer),
            )
            for run, each, of_run in zip(runs, scored, scores, strict=True)
        ),
        tuple(pictures),
    )


def _require_known(runs: Sequence[ExplainedRun], request: Request) -> None:
    for image_id in request.images:
        for run in runs:
            run.role_of(image_id)
    for name in request.findings:
        if not any(name in run.classes for run in runs):
            raise UsageError(f"'{name}' is no class of these runs; there are {', '.join(runs[0].classes)}.")
    for layer in (request.layer, request.activations):
        for run in runs if layer else ():
            run.layer(layer or "")


@dataclass(frozen=True)
class _Scored:
    """The layer of a run, and what was scored to choose it and by it."""

    layer: str
    pairs: Pairs | None = None
    localisation: Localisation | None = None

    @classmethod
    def of(cls, run: ExplainedRun, request: Request) -> _Scored:
        """Maps of tune's pairs by each layer that may be taken, then of test's by the one that is."""
        names = (request.layer,) if request.layer else run.layers
        if not request.boxes:
            return cls(names[0])
        test, tune = run.annotated("test"), run.annotated(run.spec.tune)
        if request.findings:
            test, tune = (each.at(np.isin(each.findings, request.findings)) for each in (test, tune))
        if not len(test):
            raise UsageError(f"No image of test of {run.run_id} has a box of its findings; give --images.")
        layers = {
            name: LayerMaps(run.layer(name).grid, run.maps(request.explainer, name, tune)) for name in names
        }
        chosen, values = choose_layer(layers, tune, run.window)
        return cls(
            chosen,
            test,
            localise(
                chosen,
                values,
                layers[chosen],
                tune,
                run.maps(request.explainer, chosen, test),
                test,
                run.window,
                run.passport,
            ),
        )


def _chosen(scored: _Scored, count: int) -> list[str]:
    """Images to show of the scored ones: of each finding in turn the next by a hash of their ids."""
    if scored.pairs is None:
        return []
    pairs = scored.pairs.at(np.argsort(hash_ids(scored.pairs.image_ids), kind="stable"))
    turn = pd.Series(pairs.findings).groupby(pairs.findings).cumcount().to_numpy()
    order = np.lexsort((pairs.findings, turn))
    return list(dict.fromkeys(pairs.image_ids[order]))[:count]


def _no_scores(run: ExplainedRun) -> Scores:
    nothing = pd.DataFrame(columns=list(run.classes))
    return Scores(nothing, nothing, pd.Series(dtype="float64"))


def _row(labels: pd.DataFrame, image_id: str) -> pd.Series[float]:
    return labels.T[image_id]


def _findings(run: ExplainedRun, image_id: str, labels: pd.Series[float], scores: Scores) -> tuple[str, ...]:
    """Those with boxes, then those that it has; else the one that the first run scores highest."""
    boxed = [name for name, boxes in _boxes(run, image_id, list(run.classes)).items() if len(boxes)]
    present = [name for name in labels.index if labels[name] == 1]
    found = tuple(dict.fromkeys([*boxed, *present]))[:MOST_FINDINGS]
    return found or (str(scores.probabilities.loc[image_id].idxmax()),)


def _boxes(run: ExplainedRun, image_id: str, findings: Sequence[str]) -> dict[str, FloatArray]:
    """Annotated boxes of an image by finding, each ``[m, 4]``."""
    pairs = run.pairs([image_id] * len(findings), findings)
    return {
        name: boxes[~np.isnan(boxes).any(axis=1)] for name, boxes in zip(findings, pairs.boxes, strict=True)
    }


def _seen(
    run: ExplainedRun, scored: _Scored, request: Request, wanted: Mapping[str, Sequence[str]]
) -> dict[str, dict[str, Seen]]:
    """A run's maps of images, by image and finding."""
    keys = _keys(run, wanted)
    if not keys:
        return {}
    pairs = run.pairs([image_id for image_id, _ in keys], [name for _, name in keys])
    maps = run.maps(request.explainer, scored.layer, pairs)
    found: dict[str, dict[str, Seen]] = {}
    for (image_id, name), heat in zip(keys, maps, strict=True):
        found.setdefault(image_id, {})[name] = Seen(heat, _detected(scored, image_id, name))
    return found


def _keys(run: ExplainedRun, wanted: Mapping[str, Sequence[str]]) -> list[tuple[str, str]]:
    return [(image_id, name) for image_id, names in wanted.items() for name in names if name in run.classes]


def _detected(scored: _Scored, image_id: str, finding: str) -> FloatArray | None:
    """The box round the hottest region, where the pair was scored."""
    if scored.localisation is None:
        return None
    pairs, found = scored.localisation.pairs, scored.localisation.found
    rows = np.flatnonzero((pairs.image_ids == image_id) & (pairs.findings == finding))
    if not len(rows):
        return None
    box: FloatArray = found.boxes[rows[0], scored.localisation.cutoffs[finding]]
    return None if np.isnan(box).any() else box


def _sanity(
    run: ExplainedRun, scored: _Scored, request: Request, wanted: Mapping[str, Sequence[str]]
) -> dict[str, tuple[float, Interval]]:
    """Of scored pairs, else of those shown that have the first one's role."""
    if scored.pairs is not None:
        pairs = scored.pairs.at(np.argsort(hash_ids(scored.pairs.image_ids), kind="stable")[:SANITY_PAIRS])
    else:
        keys = _keys(run, wanted)
        if not keys:
            return {}
        role = run.role_of(keys[0][0])
        same = [key for key in keys if run.role_of(key[0]) == role][:SANITY_PAIRS]
        pairs = run.pairs([image_id for image_id, _ in same], [name for _, name in same])
    found = run.sanity(request.explainer, scored.layer, pairs)
    return {what: mean_with_interval(values, pairs.patients, run.passport) for what, values in found.items()}


def _record(run: OfRun) -> dict[str, Any]:
    told: dict[str, Any] = {
        "run_id": run.run_id,
        "layer": run.layer,
        "grid": run.grid,
        "nonconforming": run.nonconforming,
        "sanity": {
            what: {"rank_correlation": value, "low": interval.low, "high": interval.high}
            for what, (value, interval) in run.sanity.items()
        },
    }
    if (found := run.localisation) is not None:
        means = found.table[found.table["finding"] == ALL]
        told["localisation"] = {
            "pairs": len(found.pairs),
            "empty_maps": found.empty,
            "layers": dict(found.layers),
            "tune_pairs": dict(found.fitted),
            "cutoffs": {name: CUTOFFS[place] for name, place in found.cutoffs.items()},
            "means": {
                kind: {
                    row.metric: {"value": row.value, "low": row.low, "high": row.high}
                    for row in rows.itertuples()
                }
                for kind, rows in means.groupby("maps", sort=False)
            },
            "better_than_controls": {
                metric: {
                    "controls": CONTROLS[:2],
                    "findings": found.better(metric, CONTROLS[:2]),
                    "surely": found.surely_better(metric, CONTROLS[:2]),
                }
                for metric in ("iobb_0.25", "iou_0.1", "pointing", "energy")
            },
        }
    return told
