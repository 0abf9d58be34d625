"""The way of a run, from a spec to published evidence: the only file that knows the order of the stages."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from cxrbench.architecture import NETWORK_KINDS, architecture_of
from cxrbench.canonical import digest
from cxrbench.data import Data, Passport
from cxrbench.errors import CxrbenchError
from cxrbench.external import ExternalTest, external_passport, patients_seen, unmapped
from cxrbench.interfaces import (
    Augmentation,
    Backbone,
    Calibrator,
    Dataset,
    DecisionRule,
    Loss,
    Sampler,
    ThresholdStrategy,
)
from cxrbench.options import Use, make
from cxrbench.pixels.cache import ImageCache
from cxrbench.pixels.identities import Identities
from cxrbench.pixels.images import Images, stored_side
from cxrbench.plan import Plan
from cxrbench.predictions import Predictions
from cxrbench.registry import Kind, Registry
from cxrbench.report.names import data_of
from cxrbench.reporter import Reporter
from cxrbench.roles import ROLES, Role
from cxrbench.selection import Selection, selection_of
from cxrbench.specs import RunSpec, TrainingSpec, differing_options, keyed
from cxrbench.stages import calibrate, evaluate, predict, publish, threshold, train
from cxrbench.steps import Hashes, Steps, steps_of
from cxrbench.store import Artifact, Store
from cxrbench.task import Task
from cxrbench.training.batch_size import remember, remembered
from cxrbench.training.batches import Rows
from cxrbench.training.devices import best_precision, check_deterministic, check_precision, name_of
from cxrbench.training.processes import current
from cxrbench.training.randomness import sampler_draws
from cxrbench.training.schedule import most_epochs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cxrbench.interfaces import FloatArray

CALIBRATORS_SHOWN = ("none", "temperature", "softmax_temperature", "platt", "isotonic")
"""Every run shows what these would do to ECE and Brier score, whichever decisions use; those
that fit the task."""

_DECIDE_THE_NETWORK = set(RunSpec.model_fields) - {
    "calibrator",
    "thresholds",
    "decision",
    "tune",
    "min_positives",
    "test_dataset",
}
"""Two specs that agree in these fields train one network."""


class Workflow:
    """Does runs: each stage once for each set of inputs, whatever the store already holds."""

    def __init__(
        self,
        store: Store,
        registry: Registry,
        reporter: Reporter,
        device: torch.device,
        data_root: Path | None,
        test_data_roots: Mapping[str, Path] | None = None,
    ) -> None:
        """Nothing is read yet.

        Args:
            store: where artifacts and runs are.
            registry: where components are found.
            reporter: told of the work.
            device: where networks are computed.
            data_root: folder of the data set's files.
            test_data_roots: those of data sets that are tested on, by name with options.
        """
        self.store = store
        self.registry = registry
        self.reporter = reporter
        self.device = device
        self.data_root = data_root
        self.test_data_roots = test_data_roots or {}
        self.trainings = 0
        self.unfinished_trainings: set[str] = set()
        self._opened: dict[str, OpenedData] = {}
        self._selections: dict[tuple[str, ...], Selection] = {}
        self._batch_sizes: dict[str, int] = {}
        self._parameter_bytes: dict[str, int] = {}

    def open(self, spec: RunSpec) -> OpenedData:
        """What a run uses of its data set, opened once a process; notes are said then.

        Raises:
            CxrbenchError: the data set cannot be read, or too little of it is left.
            UsageError: a file of the spec is missing, or does not fit the data set.
        """
        identity = keyed(spec.dataset, "dataset", self.registry)
        selection = self._selection(spec)
        sampler = keyed(spec.sampler, "sampler", self.registry)
        task = keyed(spec.task, "task", self.registry)
        key = digest([identity, spec.split, *selection.files, sampler, task])
        if key not in self._opened:
            self._open(key, spec.dataset, identity, self.data_root, selection)
        return self._opened[key]

    def _selection(self, spec: RunSpec) -> Selection:
        """What the spec asks for, its files read once."""
        key = (spec.split, spec.exclude, spec.labels, str(spec.sampler), str(spec.task))
        if key not in self._selections:
            self._selections[key] = selection_of(spec, self.registry)
        return self._selections[key]

    def open_test(self, spec: RunSpec, use: Use, task: Task) -> OpenedData:
        """What a run of a network of this task can be tested on of another data set.

        Raises:
            CxrbenchError: the data set cannot be read.
            UsageError: it has no test image, or no finding of the task, or a file of the spec is missing or
                does not fit it.
        """
        own = self._selection(spec)
        identity = keyed(use, "dataset", self.registry)
        key = digest([identity, task.kind, task.classes, str(spec.task), *own.files])
        if key not in self._opened:
            selection = ExternalTest(
                exclude=own.exclude, overlay=own.overlay, definition=own.definition, task=task
            )
            self._open(key, use, identity, self.test_data_roots.get(str(use)), selection)
        return self._opened[key]

    def _open(
        self, key: str, use: Use, identity: Mapping[str, Any], root: Path | None, selection: Selection
    ) -> None:
        dataset: Dataset = make(use, "dataset", self.registry)
        data = Data(dataset, identity, root, self.store, selection)
        for note in data.notes:
            self.reporter.say(note)
        self._opened[key] = OpenedData(self, data, identity)

    def job(self, spec: RunSpec, *, planned: bool = False) -> Job:
        """A run of ``spec``, its components made and checked, nothing done yet.

        A job that is only ``planned`` keeps a batch size that steps on a GPU would have to find.

        Raises:
            UsageError: a component does not fit the task, the precision or determinism the device, or the
                batch size the number of processes.
            CxrbenchError: the batch size is ``auto``, and not even the smallest fits.
        """
        if spec.training.precision == "auto":
            spec = _with_training(spec, precision=best_precision(self.device))
        check_precision(spec.training.precision, self.device)  # type: ignore[arg-type]
        if spec.training.deterministic:
            check_deterministic(self.device)
        backbone: Backbone = architecture_of(spec, self.registry)
        if "image" not in backbone.inputs:
            # A data set may recommend ImageNet's weights; a network without images has none to take.
            spec = spec.model_copy(update={"weights": "none" if spec.weights == "imagenet" else spec.weights})
        opened = self.open(spec)
        tested = opened
        if spec.test_dataset:
            tested = self.open_test(spec, spec.test_dataset, opened.data.task)
        job = Job(self, spec, backbone, opened, tested)
        if spec.training.batch_size == "auto":
            if planned and self.device.type == "cuda":
                return job
            job = Job(self, self._with_batch_size(job), backbone, opened, tested)
        current().require_shares(job.spec.training.images_a_step, self.device)
        return job

    def _with_batch_size(self, job: Job) -> RunSpec:
        """The spec with ``auto`` resolved: on a GPU by trying, once for runs that differ by seed alone.

        What was found is kept in the store, so that the same command is the same run when it is given again.
        """
        spec = job.spec
        settings = spec.model_dump(mode="json", include=_DECIDE_THE_NETWORK - {"seed"})
        like = digest([settings, name_of(self.device), current().count])
        if like not in self._batch_sizes:
            if self.device.type == "cuda":
                size, why = self._found_batch_size(job, like), "the largest that fits"
            else:
                size, why = self._usual_batch_size(spec), "the usual one on a CPU"
            self._batch_sizes[like] = size
            self.reporter.say(f"batch size auto: {size}, {why}")
        return _with_training(spec, batch_size=self._batch_sizes[like])

    def parameter_bytes(self, spec: RunSpec, backbone: Backbone, outputs: int) -> int:
        """Size of the parameters of a network with this many outputs, which is built once to know."""
        parts = [keyed(spec.use(kind), kind, self.registry) for kind in NETWORK_KINDS]
        key = digest([parts, spec.image_size, outputs])
        if key not in self._parameter_bytes:
            network = backbone.build(outputs, spec.image_size, False)
            self._parameter_bytes[key] = sum(p.numel() * p.element_size() for p in network.parameters())
        return self._parameter_bytes[key]

    def _found_batch_size(self, job: Job, like: str) -> int:
        path = self.store.root / "batch_sizes.json"
        if (size := remembered(path, like)) is None:
            with self.store.locked("batch_sizes"):
                if (size := remembered(path, like)) is None:
                    size = job.fitting_batch_size()
                    remember(path, like, size)
        return size

    def _usual_batch_size(self, spec: RunSpec) -> int:
        """What the data set recommends, or the default."""
        dataset: Dataset = make(spec.dataset, "dataset", self.registry)
        recommended = {"batch_size": dataset.recommend().get("batch_size", TrainingSpec().batch_size)}
        return TrainingSpec.model_validate(recommended).images_a_step


def _with_training(spec: RunSpec, **changes: Any) -> RunSpec:
    return spec.model_copy(update={"training": spec.training.model_copy(update=changes)})


class OpenedData:
    """A data set with what all runs on it share: hashes, identities of pixels and stored images."""

    def __init__(self, workflow: Workflow, data: Data, identity: Mapping[str, Any]) -> None:
        self._examples: dict[str, NDArray[np.uint8]] = {}
        self.data = data
        self.hashes = Hashes(data)
        self._passports: dict[Role, Passport] = {}
        self.seen_before: dict[tuple[int, bool], dict[str, int | None]] = {}
        self._workflow = workflow
        # A file's content stands for its pixels, however the options chose it among others.
        self._decoded_by = {part: identity[part] for part in ("name", "version")}
        self._identities = Identities(data, workflow.store)
        self._images: dict[str, Images] = {}

    def images(self, preprocessing: Use, side: int) -> Images:
        """The images, preprocessed so, stored at ``side`` pixels; nothing is read yet."""
        registry, store = self._workflow.registry, self._workflow.store
        prepared = {
            "dataset": self._decoded_by,
            "preprocessing": keyed(preprocessing, "preprocessing", registry),
        }
        key = digest([prepared, side])
        if key not in self._images:
            self._images[key] = Images(
                self.data,
                self._identities,
                make(preprocessing, "preprocessing", registry),
                ImageCache.of(store, prepared, side),
                self._workflow.reporter,
            )
        return self._images[key]

    def passport(self, tune: Role) -> Passport:
        """The passport of a run that fits thresholds on ``tune``."""
        if tune not in self._passports:
            self._passports[tune] = self.data.passport(tune)
        return self._passports[tune]

    def example(self, image_id: str) -> NDArray[np.uint8]:
        """An image ``[h, w]`` for people to look at, decoded once a process."""
        if image_id not in self._examples:
            ((_, source),) = self.data.sources(pd.Index([image_id]))
            content = self.data.content(source)
            self._examples[image_id] = self.data.decode(image_id, content, publish.EXAMPLE_SIDE)
        return self._examples[image_id]


class Job:
    """One run: its steps, and the doing of each."""

    def __init__(
        self,
        workflow: Workflow,
        spec: RunSpec,
        backbone: Backbone,
        opened: OpenedData,
        tested: OpenedData,
    ) -> None:
        self.spec = spec
        self._workflow = workflow
        self._store, self._reporter = workflow.store, workflow.reporter
        self._opened, self._data = opened, opened.data
        self._tested, self._test = tested, tested.data
        for data in (self._data, self._test):
            data.require_sound()
        self._data.require_matches(self._test)
        self._data.require_roles("train", "val", *(() if spec.test_dataset else ("test",)))
        self._data.require_tune(spec.tune)
        self._backbone = backbone
        self._losses: tuple[Loss, ...] = (
            self._make("loss"),
            *train.cycle_losses(spec, workflow.registry),
        )
        self._sampler: Sampler = self._make("sampler")
        self._augmentation: Augmentation = self._make("augmentation")
        self._strategy: ThresholdStrategy = self._make("thresholds")
        self._rule: DecisionRule = self._make("decision")
        task = self._data.task
        self._calibrator_uses: dict[str, Use] = {}
        self._calibrators: dict[str, Calibrator] = {}
        for use in (*(Use(name=name) for name in CALIBRATORS_SHOWN), spec.calibrator):
            calibrator: Calibrator = make(use, "calibrator", workflow.registry)
            if task.kind in calibrator.tasks or use is spec.calibrator:
                self._calibrator_uses[use.name], self._calibrators[use.name] = use, calibrator
        task.require_fit("loss", spec.loss.name, self._losses[0].tasks)
        task.require_fit("calibrator", spec.calibrator.name, self._calibrators[spec.calibrator.name].tasks)
        task.require_fit("thresholds", spec.thresholds.name, self._strategy.tasks)
        task.require_fit("decision", spec.decision.name, self._rule.tasks)
        nothing = np.empty((0, len(self._test.task.classes)))
        self._rule.decide(nothing, nothing, self._test.task.classes)
        # Options that name classes can be checked only here; one unlabelled row is enough for that.
        for loss in self._losses:
            loss.build(np.full((1, len(task.classes)), np.nan), task.classes)

    def _make(self, kind: Kind) -> Any:
        return make(self.spec.use(kind), kind, self._workflow.registry)

    @cached_property
    def options(self) -> dict[str, dict[str, Any]]:
        """Options of each component that differ from its defaults, by kind."""
        return differing_options(self.spec, self._workflow.registry)

    @property
    def takes_images(self) -> bool:
        """Whether the network reads pixels at all."""
        return "image" in self._backbone.inputs

    @cached_property
    def images(self) -> Images:
        """The stored images that this run reads."""
        side = stored_side(self.spec.image_size, self.spec.crop)
        return self._opened.images(self.spec.preprocessing, side)

    @cached_property
    def test_images(self) -> Images:
        """The stored images that it is tested on: those above, or another data set's."""
        if not self.spec.test_dataset:
            return self.images
        return self._tested.images(self.spec.preprocessing, self.images.cache.side)

    @cached_property
    def passport(self) -> Passport:
        """The passport of this run."""
        own = self._opened.passport(self.spec.tune)
        if not self.spec.test_dataset:
            return own
        return external_passport(own, self._tested.passport(self.spec.tune), self._seen_before)

    @cached_property
    def trained_on(self) -> publish.TrainedOn:
        """The data that the run trains and fits on, for its record."""
        own = self._opened.passport(self.spec.tune)
        labels = digest([self._data.label_step(role).key for role in ROLES if role != "test"])
        return publish.TrainedOn(own.dataset, own.drawn, own.label_version, labels)

    @property
    def _seen_before(self) -> dict[str, int | None]:
        """See :func:`cxrbench.external.patients_seen`; worked out once for runs that read the same."""
        known = self._opened.seen_before
        key = (id(self._tested), self.takes_images)
        if key not in known:
            pixels = (self.images.identities, self.test_images.identities) if self.takes_images else None
            known[key] = patients_seen(self._data, self._test, pixels)
        return known[key]

    @cached_property
    def steps(self) -> Steps:
        """All steps and their keys; nothing is done but the preparing of images that were never read."""
        return steps_of(
            self.spec,
            self._opened.hashes,
            self._workflow.registry,
            self._backbone,
            self._calibrator_uses,
            self.images if self.takes_images else None,
            self._tested.hashes,
            self.test_images if self.takes_images else None,
            self.passport,
        )

    @property
    def trains(self) -> bool:
        """Whether the run would train a network, none with its key being in the store."""
        return not self._store.has(self.steps.train)

    @property
    def is_done(self) -> bool:
        """Whether the run is in the store already; False without a look where files must be read to know."""
        return not self._reads_new_files and self._store.has(self.steps.run)

    def plan(self) -> Plan:
        """What :meth:`do` would do. Files whose identity is not known are counted, not read."""
        known = not self._reads_new_files and self.spec.training.batch_size != "auto"
        steps = self.steps.in_order() if known else []
        like = digest(self.spec.model_dump(mode="json", include=_DECIDE_THE_NETWORK))
        return Plan(
            spec=self.spec,
            options=self.options,
            data=data_of(
                publish.data_record(self.spec, self._tested.passport(self.spec.tune), self.trained_on)
            ),
            unread=sum(images.unread for _, images in self._all_images),
            steps=tuple((step.stage, step.id, self._store.has(step)) for step in steps),
            train=self.steps.train.id if known else like,
            parameter_bytes=self._workflow.parameter_bytes(
                self.spec, self._backbone, len(self._data.task.classes)
            ),
            images=self._missing_bytes,
        )

    @property
    def _all_images(self) -> list[tuple[Data, Images]]:
        """The images that this run reads, with the data set that they are of."""
        if not self.takes_images:
            return []
        own = [(self._data, self.images)]
        return [*own, (self._test, self.test_images)] if self.spec.test_dataset else own

    @property
    def _missing_bytes(self) -> dict[str, int]:
        return {
            f"{images.cache.id} {data.manifest_step.id}": images.missing_bytes
            for data, images in self._all_images
        }

    def do(self) -> Artifact:
        """Do what is not done yet, and publish the run.

        Raises:
            CxrbenchError: a stage cannot go on; what was finished before stays in the store.
        """
        if self.is_done:
            return self._store.read(self.steps.run.id)
        with self._store.needing([images.cache.id for _, images in self._all_images]):
            return self._do()

    def _do(self) -> Artifact:
        network = None
        if self._reads_new_files or self.trains:
            # First of all: weights that cannot be had should stop a run before images are read.
            network = train.initial_network(self.spec, self._backbone, self._data.task, self._reporter)
        store, steps = self._store, self.steps
        if self.is_done:
            return store.read(steps.run.id)
        needed = steps.in_order()
        needed += [self._data.manifest_step, *(self._data.label_step(role) for role in ROLES)]
        needed += [self._test.manifest_step, self._test.label_step("test")]
        with store.needing([step.id for step in needed]):
            self._data.publish()
            if self.spec.test_dataset:
                self._test.publish()
            self._ensure_trained(network)
            for role, step in steps.predictions.items():
                store.ensure(step, partial(self._predict, role))
            for name, step in steps.calibrations.items():
                store.ensure(step, partial(self._calibrate, name))
            store.ensure(steps.threshold, self._threshold)
            store.ensure(steps.evaluation, self._evaluate)
            return store.ensure(steps.run, self._publish)

    @property
    def _reads_new_files(self) -> bool:
        return any(images.unread > 0 for _, images in self._all_images)

    def _rows(self, role: Role, labels: NDArray[np.float64] | None = None) -> Rows:
        images = None if not self.takes_images else self.test_images if role == "test" else self.images
        pixels = images.open() if images else None
        data = self._data_of(role)
        rows = Rows.of(data, data.image_ids(role), images, pixels, labels)
        return rows if self.spec.patient_data == "own" else rows.with_patients_shuffled()

    def _data_of(self, role: Role) -> Data:
        return self._test if role == "test" else self._data

    def _ensure_trained(self, network: nn.Module | None) -> None:
        """Train, unless the store has it; what failed for another cell of this call fails at once."""
        step, unfinished = self.steps.train, self._workflow.unfinished_trainings
        if step.id in unfinished:
            raise CxrbenchError(
                "The training of this network failed before in this call; see the first run that it failed."
            )
        unfinished.add(step.id)
        self._store.ensure(step, lambda folder: self._train(folder, network), resumable=True)
        # Whatever ends it otherwise, also an exception of a plugin's, leaves it here.
        unfinished.remove(step.id)

    def _train(self, folder: Path, network: nn.Module | None) -> None:
        if network is None:
            network = train.initial_network(self.spec, self._backbone, self._data.task, self._reporter)
        reader = self.steps.train.id
        roles: tuple[Role, ...] = ("train", "val")
        rows = {role: self._rows(role, self._data.labels(role, reader, "fit")) for role in roles}
        rows["train"] = self._balanced(rows["train"])
        self._reporter.say(
            f"training {self.spec.backbone.name} on {len(rows['train'])} images: " + self._settings
        )
        trained = train.run(
            folder,
            self.spec,
            self._backbone,
            self._losses,
            self._augmentation,
            self._data.task,
            rows,
            network,
            self._workflow.device,
            self._reporter,
        )
        self._workflow.trainings += trained

    def _balanced(self, train: Rows) -> Rows:
        """The training rows as the sampler wants them."""
        draws = sampler_draws(train.id_hashes(), "balance", self.spec.seed)
        plan = self._sampler.balance(train.known_labels, self._data.task.classes, draws)
        if not len(plan.rows):
            raise CxrbenchError(
                f"The sampler {self.spec.sampler} leaves none of the {len(train)} training images; "
                "choose other options, or the sampler 'none'."
            )
        return train.planned(plan)

    @property
    def _settings(self) -> str:
        """The resolved settings of the training, on one line."""
        spec, training = self.spec, self.spec.training
        size = f"{spec.image_size} px, " if self.takes_images else ""
        cycles = f" in {len(training.cycles)} cycles" if training.cycles else ""
        return (
            f"{size}weights {spec.weights}, {most_epochs(training)} epochs{cycles} of batches of "
            f"{training.batch_size}, {training.optimizer} {training.learning_rate:g} {training.schedule}, "
            f"augmentation {spec.augmentation}, best by {training.select}, seed {spec.seed}, "
            f"{training.precision} on {self._workflow.device.type}"
            f"{f' in {current().count} processes' if current().count > 1 else ''}"
        )

    def fitting_batch_size(self) -> int:
        """See :func:`cxrbench.stages.train.largest_batch_size`."""
        return train.largest_batch_size(
            self.spec,
            self._backbone,
            self._losses[0],
            self._augmentation,
            self._data.task,
            len(self._data.image_ids("train")),
            self._workflow.device,
        )

    def _predict(self, role: Role, folder: Path) -> None:
        checkpoint = self._store.read(self.steps.train.id).folder / "weights.safetensors"
        predict.run(
            folder,
            self.spec,
            self._backbone,
            self._data.task,
            checkpoint,
            self._rows(role),
            self._workflow.device,
            self._reporter,
        )

    def _logits(self, role: Role) -> FloatArray:
        folder = self._store.read(self.steps.predictions[role].id).folder
        return Predictions.read(folder / "predictions.parquet").matrix(self._data_of(role).image_ids(role))

    def _calibrate(self, name: str, folder: Path) -> None:
        tune: Role = self.spec.tune
        calibrate.run(
            folder,
            self._calibrators[name],
            self._data.task,
            self._logits(tune),
            self._data.labels(tune, self.steps.calibrations[name].id, "fit"),
            self._data.patients(tune),
            self.spec.min_positives,
        )

    def _threshold(self, folder: Path) -> None:
        name = self.spec.calibrator.name
        threshold.run(
            folder,
            self._strategy,
            self._data.task,
            calibrate.read_tune(self._store.read(self.steps.calibrations[name].id).folder),
            self._data.labels(self.spec.tune, self.steps.threshold.id, "fit"),
            self.spec.min_positives,
            role=self.spec.tune,
            calibrated=name != "none",
        )

    def _evaluate(self, folder: Path) -> None:
        reader, task, tested = self.steps.evaluation.id, self._data.task, self._test.task
        # All calibrated columns, then those that are tested: calibrators may look at several.
        columns = [task.classes.index(name) for name in tested.classes]
        logits = self._logits("test")
        states = {
            name: calibrate.read_state(self._store.read(step.id).folder)
            for name, step in self.steps.calibrations.items()
        }
        calibrated = {
            name: calibrate.apply(self._calibrators[name], state, task, logits)[:, columns]
            for name, state in states.items()
        }
        evaluate.run(
            folder,
            tested,
            self._test.image_ids("test"),
            self._test.labels("test", reader, "evaluate"),
            self._rule,
            calibrated[self.spec.calibrator.name],
            threshold.read_points(self._store.read(self.steps.threshold.id).folder),
            calibrated,
            {name: sum(state["fitted"][column] for column in columns) for name, state in states.items()},
            self._data.labels(self.spec.tune, reader, "evaluate")[:, columns],
        )

    def _publish(self, folder: Path) -> None:
        steps = self.steps
        publish.run(
            folder,
            self.spec,
            run_id=steps.run.name,
            options=self.options,
            passport=self.passport,
            trained_on=self.trained_on,
            listed=self._test.listed if self.spec.test_dataset else self._data.listed,
            notes=tuple(dict.fromkeys([*self._data.notes, *self._test.notes])),
            not_in_test=unmapped(self._data.task.classes, self._test.task.classes),
            not_trained=unmapped(self._test.classes, self._data.task.classes),
            training=self._store.read(steps.train.id),
            prediction=self._store.read(steps.predictions["test"].id),
            threshold=self._store.read(steps.threshold.id),
            evaluation=self._store.read(steps.evaluation.id),
            artifacts=[step.id for step in steps.in_order()[:-1]],
            examples=publish.examples_of(
                self._test,
                self._tested.example,
                self._test.labels("test", steps.run.id, "evaluate"),
                evaluate.read_probabilities(self._store.read(steps.evaluation.id).folder),
                evaluate.read_decisions(self._store.read(steps.evaluation.id).folder),
                threshold.read_points(self._store.read(steps.threshold.id).folder),
            ),
        )
