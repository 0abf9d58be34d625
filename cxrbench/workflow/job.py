"""One run of a network: trained, predicted with, and judged."""

from __future__ import annotations

from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import nn

from cxrbench.canonical import digest
from cxrbench.data import Data, Passport
from cxrbench.errors import CxrbenchError, UsageError
from cxrbench.external import external_passport, patients_seen
from cxrbench.interfaces import Augmentation, Backbone, Loss, Sampler
from cxrbench.options import make
from cxrbench.pixels.images import Images, stored_side
from cxrbench.plan import Plan
from cxrbench.registry import Kind
from cxrbench.report.names import data_of
from cxrbench.roles import ROLES, Role
from cxrbench.specs import RunSpec, differing_options, keyed
from cxrbench.stages import predict, publish, train
from cxrbench.steps import NetworkSteps, network_steps
from cxrbench.store import Artifact
from cxrbench.training.batches import Rows
from cxrbench.training.processes import current
from cxrbench.training.randomness import sampler_draws
from cxrbench.training.schedule import cycles_of, most_epochs
from cxrbench.workflow.evidence import Evidence
from cxrbench.workflow.opened import OpenedData

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cxrbench.workflow.runs import Workflow

DECIDE_THE_NETWORK = set(RunSpec.model_fields) - {
    "calibrator",
    "thresholds",
    "decision",
    "tune",
    "min_positives",
    "test_dataset",
}
"""Two specs that agree in these fields train one network."""


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
        task = self._data.task
        task.require_fit("loss", spec.loss.name, self._losses[0].tasks)
        if spec.training.select == "accuracy" and task.kind == "multilabel":
            raise UsageError(
                "training.select=accuracy is for tasks in which one class is right; this one is multilabel: "
                "use macro_auc, macro_f1 or loss."
            )
        self._evidence = Evidence(self._store, workflow.registry, spec, opened, tested)
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
    def steps(self) -> NetworkSteps:
        """All steps and their keys; nothing is done but the preparing of images that were never read."""
        training, predictions = network_steps(
            self.spec,
            self._opened.hashes,
            self._workflow.registry,
            self._backbone,
            self.images if self.takes_images else None,
            self._tested.hashes,
            self.test_images if self.takes_images else None,
        )
        identity = {
            "passport": self.passport.record(),
            "dataset": keyed(self.spec.dataset, "dataset", self._workflow.registry),
        }
        if use := self.spec.test_dataset:
            identity["test_dataset"] = keyed(use, "dataset", self._workflow.registry)
        judged = self._evidence.steps(predictions, identity, self.spec.label())
        return NetworkSteps(**vars(judged), train=training)

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
        like = digest(self.spec.model_dump(mode="json", include=DECIDE_THE_NETWORK))
        return Plan(
            spec=self.spec,
            options=self.options,
            data=data_of(
                publish.data_record(
                    self.spec.test_dataset, self._tested.passport(self.spec.tune), self.trained_on
                )
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
            self._evidence.do(steps)
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
        parts = list(dict.fromkeys(cycle.trainable for cycle in cycles_of(training)))
        trained = "" if parts == ["all"] else f"training {', then '.join(parts)}, "
        return (
            f"{size}weights {spec.weights}, {trained}{most_epochs(training)} epochs{cycles} of batches of "
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

    def _publish(self, folder: Path) -> None:
        training = self._store.read(self.steps.train.id)
        self._evidence.publish(
            folder,
            self.steps,
            publish.network_origin(self.spec, self.options, training),
            publish.data_record(self.spec.test_dataset, self.passport, self.trained_on),
        )
