"""Runs of predictions that others made: imported, then judged like any network's."""

from __future__ import annotations

import hashlib
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import pandas as pd
import tomli_w

from cxrbench.canonical import digest
from cxrbench.collection import Collection
from cxrbench.data import Data, Passport
from cxrbench.errors import UsageError
from cxrbench.files import sha256
from cxrbench.options import Use
from cxrbench.predictions import Predictions
from cxrbench.registry import Registry
from cxrbench.reporter import Reporter
from cxrbench.roles import ROLES, Role
from cxrbench.scores.joining import Joined, join, own_labels
from cxrbench.scores.labels import read_label_table
from cxrbench.scores.reading import read_scores
from cxrbench.scores.spec import ScoreSpec, TuneFrom
from cxrbench.scores.table import Allowed, ScoreTable, Values
from cxrbench.stages import publish
from cxrbench.steps import Steps
from cxrbench.store import Artifact, Step, Store
from cxrbench.workflow.evidence import Evidence
from cxrbench.workflow.given import GivenImages
from cxrbench.workflow.opened import OpenedData

VERSION = "1"
"""Changes when the same file is imported as other logits."""

_SPLIT: dict[TuneFrom, str] = {
    "none": "given, without tune",
    "file": "given, tune from a file of its own",
    "roles": "given by the labels' table",
    "test_patients": "tune from test: half of its patients",
}
"""How the passport says that roles were given."""

_SEED = re.compile(r"[-_. ]?seed[-_]?(\d+)$", re.IGNORECASE)


@dataclass(frozen=True)
class ScoreRequest:
    """What is to be scored.

    Attributes:
        files: of predictions on the images that are tested on.
        tune_files: as many files of predictions on those that are fitted on, or none.
        labels: the table of labels; None where files have their own.
        root: folder of official lists.
        systems: the name of each file's system, one for all, or none: from the files' names.
        seeds: likewise the seeds.
        tune_from_test: half of the test patients become tune.
        rows_as_ids: files without ids are allowed, their rows being told apart by their place.
        values: what the values are; None: found out.
        classes: of the columns of files that do not name them.
        prefix: of the scores' columns; None: found out.
        allowed: what may be wrong.
    """

    files: Sequence[Path]
    tune_files: Sequence[Path] = ()
    labels: Path | None = None
    root: Path | None = None
    systems: Sequence[str] = ()
    seeds: Sequence[int] = ()
    tune_from_test: bool = False
    rows_as_ids: bool = False
    values: Values | None = None
    classes: Sequence[str] | None = None
    prefix: str | None = None
    allowed: Allowed = field(default_factory=Allowed)


class Scoring:
    """Makes runs of files of scores, which are read once; what is wrong is refused before any work."""

    def __init__(self, store: Store, registry: Registry, reporter: Reporter) -> None:
        """Nothing is read yet.

        Args:
            store: where artifacts and runs are.
            registry: where components are found.
            reporter: told of the work.
        """
        self.store, self.registry, self.reporter = store, registry, reporter
        self.trainings = 0
        self._joined: dict[tuple[str, str], tuple[Joined, OpenedData]] = {}
        self._opened: dict[str, OpenedData] = {}

    def specs(
        self, request: ScoreRequest, axes: Mapping[str, Sequence[Use]], min_positives: int = 10
    ) -> list[ScoreSpec]:
        """Read the files and join them with labels; a run for each file and combination of components.

        Args:
            request: what is to be scored.
            axes: components by kind; kinds without any have the default.
            min_positives: see :class:`cxrbench.scores.spec.ScoreSpec`.

        Raises:
            UsageError: a file is not what it should be, or two files would be one seed of one system.
            CxrbenchError: the labels cannot be read.
        """
        files, tune_files = list(request.files), list(request.tune_files)
        if len(tune_files) not in (0, len(files)):
            raise UsageError(
                f"There are {len(tune_files)} --tune-file for {len(files)} files; give each its own."
            )
        if tune_files and request.tune_from_test:
            raise UsageError("--tune-file and --tune-from-test are two ways to the tune images; give one.")
        names = _named(files, request)
        labels = None if request.labels is None else read_label_table(request.labels, request.root)
        specs: dict[str, ScoreSpec] = {}
        for place, (file, (system, seed)) in enumerate(zip(files, names, strict=True)):
            tune_file = tune_files[place] if tune_files else None
            joined = self._read(request, labels, file, tune_file)
            spec = ScoreSpec(
                system=system,
                seed=seed,
                file=str(file),
                labels=str(request.labels or ""),
                tune_file=str(tune_file or ""),
                tune_from=joined.tune_from,
                min_positives=min_positives if joined.tune_from != "none" else 0,
            )
            for uses in _combinations(joined, axes):
                cell = spec.model_copy(update=uses).resolved(self.registry)
                specs.setdefault(cell.model_dump_json(), cell)
        return list(specs.values())

    def _read(
        self, request: ScoreRequest, labels: Collection | None, file: Path, tune_file: Path | None
    ) -> Joined:
        tables = [self._table(request, labels, each) for each in (file, tune_file) if each is not None]
        if labels is None:
            labels = _together([own_labels(table) for table in tables])
        joined = join(
            tables[0],
            tables[1] if tune_file else None,
            labels,
            allowed=request.allowed,
            values=request.values,
            tune_from_test=request.tune_from_test,
        )
        for note in joined.notes:
            self.reporter.say(note)
        self._joined[str(file), str(tune_file or "")] = joined, self._open(joined)
        return joined

    def _table(self, request: ScoreRequest, labels: Collection | None, file: Path) -> ScoreTable:
        if labels is None and file.suffix.casefold() != ".npz":
            raise UsageError(f"{file} has scores alone; give the table of labels with --labels.")
        table = read_scores(
            file, labels.task.classes if labels else (), columns=request.classes, prefix=request.prefix
        )
        if table.ids is None:
            if labels is not None:
                raise UsageError(
                    f"{file} has no image ids to be joined with --labels; add an array ids, or leave out "
                    "--labels and give --rows-as-ids for the labels in the file."
                )
            if not request.rows_as_ids:
                raise UsageError(
                    f"{file} has no image ids; add an array ids, or give --rows-as-ids: it is then "
                    "comparable only with files whose rows have the same patients and labels in one order."
                )
        for note in table.notes:
            self.reporter.say(note)
        return table

    def _open(self, joined: Joined) -> OpenedData:
        """The images as opened data; files on the same images and labels share it."""
        collection = joined.collection
        facts = pd.util.hash_pandas_object(collection.manifest[["patient_id", "role"]]).to_numpy()
        told = [collection.name, collection.label_version, collection.task.classes, sorted(collection.notes)]
        key = digest(
            [told, hashlib.sha256(facts.tobytes() + collection.labels.to_numpy().tobytes()).hexdigest()]
        )
        if key not in self._opened:
            identity = {"name": "scores", "version": VERSION, "options": {}}
            data = Data(GivenImages(collection), identity, None, self.store)
            self._opened[key] = OpenedData(self.store, self.registry, self.reporter, data, identity)
        return self._opened[key]

    def job(self, spec: ScoreSpec) -> ScoreJob:
        """A run of ``spec``, one of :meth:`specs`.

        Raises:
            UsageError: a component does not fit the task, or needs tune images where there are none.
        """
        joined, opened = self._joined[spec.file, spec.tune_file]
        return ScoreJob(self.store, self.registry, spec, joined, opened)


class ScoreJob:
    """One run of scores: its steps, and the doing of each."""

    def __init__(
        self, store: Store, registry: Registry, spec: ScoreSpec, joined: Joined, opened: OpenedData
    ) -> None:
        self.spec = spec
        self._store, self._registry = store, registry
        self.joined, self._opened, self._data = joined, opened, opened.data
        self._data.require_sound()
        if spec.tune_from == "none":
            needing = [
                use
                for use, free in ((spec.calibrator, "none"), (spec.thresholds, "fixed"))
                if use.name != free
            ]
            if needing and self._data.task.kind == "multilabel":
                raise UsageError(
                    f"'{needing[0].name}' is fitted on tune images, and there are none: give --tune-file, or "
                    "--tune-from-test patients."
                )
        self._evidence = Evidence(store, registry, spec, opened, opened)

    @cached_property
    def passport(self) -> Passport:
        """That of the scored images; what was trained on is not known, nor whether test is free of it."""
        own = self._opened.passport("tune").trained_elsewhere()
        return replace(own, split=_SPLIT[self.spec.tune_from])

    @cached_property
    def steps(self) -> Steps:
        """All steps and their keys; nothing is done."""
        roles: tuple[Role, ...] = ("tune", "test")
        predictions = {role: self._import_step(role) for role in roles}
        identity = {
            "passport": self.passport.record(),
            "system": self.spec.system,
            "seed": self.spec.seed,
            "tune_from": self.spec.tune_from,
        }
        return self._evidence.steps(predictions, identity, self.spec.label())

    def _logits(self, role: Role) -> pd.DataFrame:
        return self.joined.logits.loc[self._data.image_ids(role)]

    def _import_step(self, role: Role) -> Step:
        logits = self._logits(role)
        content = hashlib.sha256(np.ascontiguousarray(logits.to_numpy(np.float64)).tobytes()).hexdigest()
        task = self._data.task
        return Step(
            "import",
            {
                "version": VERSION,
                "task": [task.kind, *task.classes],
                "ids": self._opened.hashes.ids(role),
                "logits": content,
            },
        )

    @property
    def is_done(self) -> bool:
        """Whether the run is in the store already."""
        return self._store.has(self.steps.run)

    def do(self) -> Artifact:
        """Do what is not done yet, and publish the run.

        Raises:
            CxrbenchError: a stage cannot go on; what was finished before stays in the store.
        """
        if self.is_done:
            return self._store.read(self.steps.run.id)
        needed = [step.id for step in self.steps.in_order()]
        needed += [self._data.manifest_step.id, *(self._data.label_step(role).id for role in ROLES)]
        with self._store.needing(needed):
            self._data.publish("tune")
            for role, step in self.steps.predictions.items():
                table = Predictions(self._data.task, self._logits(role))
                self._store.ensure(step, partial(_write, table))
            self._evidence.do(self.steps)
            return self._store.ensure(self.steps.run, self._publish)

    def _publish(self, folder: Path) -> None:
        spec, steps = self.spec, self.steps
        record = {
            **spec.described(self._registry),
            "dataset": None,
            "parameters": None,
            "training_seconds": None,
            "training": None,
            "weights": None,
            "optimizer": None,
            "import": f"artifacts/{steps.predictions['test'].id}",
            "files": {
                Path(path).name: {"sha256": sha256(Path(path))}
                for path in (spec.file, spec.tune_file)
                if path
            },
        }
        self._evidence.publish(
            folder,
            steps,
            publish.Origin(steps.predictions["test"].id, record, _as_toml(spec), None),
            {"test_dataset": None, "trained_on": None, "passport": self.passport.record()},
            self.joined.notes,
        )


def _write(table: Predictions, folder: Path) -> None:
    table.write(folder / "predictions.parquet")


def _named(files: Sequence[Path], request: ScoreRequest) -> list[tuple[str, int]]:
    """System and seed of each file; ``densenet121_seed1.npz`` is seed 1 of densenet121 unless told."""
    found = []
    for what, given in (("--name", request.systems), ("--seed", request.seeds)):
        if len(given) not in (0, 1, len(files)):
            raise UsageError(
                f"There are {len(given)} {what} for {len(files)} files; give one for all, or each its own."
            )
    for place, file in enumerate(files):
        match = _SEED.search(file.stem)
        system = file.stem[: match.start()] if match else file.stem
        seed = int(match[1]) if match else 0
        if request.systems:
            system = request.systems[place if len(request.systems) > 1 else 0]
        if request.seeds:
            seed = request.seeds[place if len(request.seeds) > 1 else 0]
        found.append((system or file.stem, seed))
    for place, each in enumerate(found):
        if each in found[:place]:
            other = files[found.index(each)]
            raise UsageError(
                f"{other} and {files[place]} would both be seed {each[1]} of the system {each[0]}; tell "
                "them apart with --name or --seed."
            )
    return found


def _combinations(joined: Joined, axes: Mapping[str, Sequence[Use]]) -> list[dict[str, Use]]:
    usual = "argmax" if joined.collection.task.kind == "singlelabel" else "dynamic"
    default = {"thresholds": Use(name="fixed" if joined.tune_from == "none" and usual != "argmax" else usual)}
    cells: list[dict[str, Use]] = [default]
    for kind, uses in axes.items():
        cells = [{**cell, kind: use} for cell in cells for use in uses] if uses else cells
    return cells


def _together(collections: Sequence[Collection]) -> Collection:
    """The images of two files with labels of their own."""
    first = collections[0]
    if len({each.task.classes for each in collections}) > 1:
        raise UsageError("The files have labels of different findings; give both the same.")
    if len(collections) == 1:
        return first
    manifest = pd.concat([each.manifest for each in collections])
    again = manifest.index.duplicated()
    if again.any():
        raise UsageError(
            f"{again.sum():,} images, such as {manifest.index[again][0]}, are in both files; nothing must "
            "be fitted on what is tested on."
        )
    labels = pd.concat([each.labels for each in collections])
    return replace(first, manifest=manifest, labels=labels)


def _as_toml(spec: ScoreSpec) -> str:
    """The spec, and the command that it came of as far as it tells."""
    words = ["cxrbench", "score", spec.file]
    words += ["--labels", spec.labels] if spec.labels else []
    words += ["--tune-file", spec.tune_file] if spec.tune_file else []
    words += ["--tune-from-test", "patients"] if spec.tune_from == "test_patients" else []
    words += ["--name", spec.system, "--seed", str(spec.seed)]
    words += ["--calibrator", str(spec.calibrator), "--thresholds", str(spec.thresholds)]
    words += ["--decision", str(spec.decision)] if spec.decision.name != "none" else []
    head = f"# {shlex.join(words)}\n# repeats the run (with the options on how its file is read, if any).\n\n"
    return head + tomli_w.dumps(spec.model_dump(mode="json"))
