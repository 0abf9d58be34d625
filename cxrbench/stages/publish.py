"""Publish: a run's folder, readable without cxrbench, that says where everything behind it lies."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import tomli_w

from cxrbench.data import Data, Passport
from cxrbench.evaluation.sanity import check_leaks
from cxrbench.files import read_json, write_json, write_text
from cxrbench.findings import NO_FINDING
from cxrbench.options import Use
from cxrbench.predictions import read_seconds
from cxrbench.records import SCHEMA_VERSION
from cxrbench.report.figures import Example, draw_run
from cxrbench.report.names import data_of
from cxrbench.specs import RunSpec
from cxrbench.stages.threshold import Point
from cxrbench.store import Artifact
from cxrbench.training.randomness import hash_ids

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cxrbench.interfaces import FloatArray

VERSION = "3"
"""Changes when the files of a run change."""

_CONFIG_HEAD = (
    "# cxrbench run --config THIS_FILE repeats the run (with the same --data-root and --test-data-root where "
    "it had them).\n\n"
)

EXAMPLE_SIDE = 256
"""Side in pixels at which example images are drawn, where the data set draws them."""


@dataclass(frozen=True)
class TrainedOn:
    """The data that a run was trained and fitted on.

    Attributes:
        dataset: its name.
        drawn: whether its images are drawn and show no patients.
        label_version: which labels.
        labels: hash of the labels themselves, those of test apart.
    """

    dataset: str
    drawn: bool
    label_version: str
    labels: str


def data_record(test_dataset: Use | None, passport: Passport, trained_on: TrainedOn | None) -> dict[str, Any]:
    """What ``run.json`` says of the data."""
    return {
        "test_dataset": test_dataset.name if test_dataset else None,
        "trained_on": vars(trained_on) if trained_on else None,
        "passport": passport.record(),
    }


@dataclass(frozen=True)
class Origin:
    """Where the predictions of a run come from.

    Attributes:
        name: what made them, such as a training's id: stands above figures that do not depend on decisions.
        record: what ``run.json`` says of it: ``spec``, ``seed``, ``tune``, the names and ``options`` of
            components, ``parameters``, ``flops`` and so on.
        config: ``config.toml``, whole.
        epochs: the training's log; None where there was no training.
    """

    name: str
    record: Mapping[str, Any]
    config: str
    epochs: Path | None


def run(
    folder: Path,
    *,
    run_id: str,
    origin: Origin,
    data: Mapping[str, Any],
    prediction: Artifact,
    threshold: Artifact,
    evaluation: Artifact,
    artifacts: Sequence[str],
    nonconforming: Sequence[str],
    listed: Mapping[str, int],
    notes: Sequence[str],
    not_in_test: Sequence[str],
    not_trained: Sequence[str],
    examples: Sequence[Example],
) -> None:
    """Write ``run.json``, ``config.toml``, the tables, thresholds and log of the run, and its figures.

    ``data`` is as :func:`data_record` makes it; ``nonconforming`` are clauses on components that failed a
    check (:mod:`cxrbench.conformance.verdicts`); ``listed`` and ``notes`` are the data set's, see
    :class:`cxrbench.collection.Collection`. Where it is tested on another data set, ``not_in_test`` are the
    findings that this one lacks, ``not_trained`` those that only it has.
    """
    evaluated = read_json(evaluation.folder / "metrics.json")
    evaluated["sanity"] += check_leaks(data["passport"]["shared_patients"])
    write_json(
        folder / "run.json",
        {
            "schema_version": SCHEMA_VERSION,
            "run_id": run_id,
            **origin.record,
            **data,
            "findings_not_in_test": list(not_in_test),
            "findings_not_trained": list(not_trained),
            "prediction_seconds": read_seconds(prediction.folder),
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            **evaluated,
            "evaluation": f"artifacts/{evaluation.id}",
            "nonconforming": list(nonconforming),
            "listed": dict(listed),
            "notes": list(notes),
            "artifacts": list(artifacts),
        },
    )
    write_text(folder / "config.toml", origin.config)
    if origin.epochs is not None:
        shutil.copyfile(origin.epochs, folder / "epochs.csv")
    for artifact, names in (
        (threshold, ("thresholds.json",)),
        (evaluation, (path.name for path in sorted(evaluation.folder.glob("*.csv")))),
    ):
        for name in names:
            shutil.copyfile(artifact.folder / name, folder / name)
    matrix = None
    if (of_classes := folder / "confusion_matrix.csv").exists():
        matrix = pd.read_csv(of_classes, index_col="truth")
    draw_run(
        folder,
        title=f"{data_of(data)}: {run_id}",
        network=f"{data_of(data)}: {origin.name}",
        epochs=None if origin.epochs is None else pd.read_csv(origin.epochs),
        roc=pd.read_csv(folder / "roc.csv"),
        per_finding=pd.read_csv(folder / "per_finding.csv"),
        calibration=pd.read_csv(folder / "calibration.csv"),
        curves=(evaluation.folder / "curves.json").read_text(encoding="utf-8"),
        subgroups=pd.read_csv(folder / "subgroups.csv"),
        confusion_matrix=matrix,
        examples=examples,
    )


def network_origin(
    spec: RunSpec, options: Mapping[str, Mapping[str, Any]], trainings: Sequence[Artifact], flops: int
) -> Origin:
    """Networks.

    ``options`` are those of each component that differ from its defaults, by kind; ``flops`` what an image
    costs in one of the networks. Of what others trained there are weights alone: no log, no optimizer.
    """
    trains = spec.training.trains
    parameters = [read_json(training.folder / "training.json")["parameters"] for training in trainings]
    logs = [training.folder / "epochs.csv" for training in trainings] if trains else []
    last = trainings[-1]
    record = {
        **spec.names(),
        "options": {kind: dict(given) for kind, given in options.items()},
        "seed": spec.seed,
        "tune": spec.tune,
        "parameters": sum(parameters),
        "flops": flops * len(trainings),
        "training_seconds": float(sum(pd.read_csv(log)["seconds"].sum() for log in logs)) if trains else None,
        "spec": spec.model_dump(mode="json"),
        "trainings": [f"artifacts/{training.id}" for training in trainings],
        "training": f"artifacts/{last.id}",
        "weights": f"artifacts/{last.id}/weights.safetensors",
        "optimizer": f"artifacts/{last.id}/optimizer.safetensors" if trains else None,
    }
    return Origin(last.id, record, as_toml(spec), logs[-1] if trains else None)


def examples_of(
    data: Data,
    pixels: Callable[[str], NDArray[np.uint8]],
    labels: FloatArray,
    probabilities: FloatArray,
    decisions: FloatArray,
    points: Mapping[str, Point],
) -> list[Example]:
    """Eight test images, the same for every run on a test set: six with a finding, two without.

    ``pixels`` gives an image by its id.
    """
    ids = data.image_ids("test")
    findings = [column for column, name in enumerate(data.task.classes) if name != NO_FINDING]
    with_finding = (labels[:, findings] == 1).any(axis=1)
    order = np.argsort(hash_ids(ids))
    rows = [*order[with_finding[order]][:6], *order[~with_finding[order]][:2]]
    examples = []
    for row in rows:
        scored = []
        for column in np.argsort(-probabilities[row], kind="stable"):
            name = data.task.classes[column]
            score = name, float(probabilities[row, column]), points[name].threshold
            scored.append((score, decisions[row, column] == 1, labels[row, column] == 1))
        truth = tuple(name for column, name in enumerate(data.task.classes) if labels[row, column] == 1)
        examples.append(
            Example(
                image_id=ids[row],
                pixels=pixels(ids[row]),
                truth=truth,
                called=tuple(score for score, called, _ in scored if called),
                missed=tuple(score for score, called, present in scored if present and not called),
            )
        )
    return examples


def as_toml(spec: RunSpec) -> str:
    """The spec as a file that ``cxrbench run --config`` takes."""
    return _CONFIG_HEAD + tomli_w.dumps(_without_none(spec.model_dump(mode="json")))


def _without_none(value: Any) -> Any:
    """TOML has no null; a setting that is None is left out and takes its default again."""
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_none(item) for item in value]
    return value
