"""A network of a run: trained, and predicted with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import nn

from cxrbench.canonical import digest
from cxrbench.data import Data
from cxrbench.errors import CxrbenchError, UsageError
from cxrbench.interfaces import Augmentation, Backbone, Loss, SamplePlan, Sampler
from cxrbench.network_steps import prediction_step, training_step
from cxrbench.options import make
from cxrbench.pixels.images import Images, stored_side
from cxrbench.registry import Kind
from cxrbench.roles import Role
from cxrbench.specs import RunSpec
from cxrbench.stages import predict, train
from cxrbench.store import Step
from cxrbench.training.batches import Rows
from cxrbench.training.loop import Stop, never
from cxrbench.training.processes import current
from cxrbench.training.randomness import sampler_draws
from cxrbench.training.schedule import cycles_of, most_epochs
from cxrbench.workflow.features import StoredFeatures
from cxrbench.workflow.opened import OpenedData
from cxrbench.workflow.relabelling import Relabelling

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
    "averaged",
}
"""Two specs that agree in these fields train one network."""


class Network:
    """One network, trained on a run's data; what is predicted with it is another's affair."""

    def __init__(
        self,
        workflow: Workflow,
        spec: RunSpec,
        backbone: Backbone,
        opened: OpenedData,
        tested: OpenedData,
        relabelling: Relabelling | None = None,
    ) -> None:
        """Make and check its components; nothing is done yet.

        Args:
            workflow: whose store, device and reporter are used.
            spec: the run; its seed is the network's.
            backbone: the network.
            opened: the data set that it is trained on.
            tested: the data set that it is tested on: the same, or another.
            relabelling: gives the labels of the training images; None: they are the data set's.

        Raises:
            UsageError: a component does not fit the task.
        """
        self.spec = spec
        self._workflow = workflow
        self._store, self._reporter = workflow.store, workflow.reporter
        self._opened, self._data = opened, opened.data
        self._tested, self._test = tested, tested.data
        self._backbone, self._relabelling = backbone, relabelling
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
        # Options that name classes can be checked only here; one unlabelled row is enough for that.
        for loss in self._losses:
            loss.build(np.full((1, len(task.classes)), np.nan), task.classes)

    def _make(self, kind: Kind) -> Any:
        return make(self.spec.use(kind), kind, self._workflow.registry)

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
    def training(self) -> Step:
        """The step that trains it; nothing is done but the preparing of images that were never read."""
        return training_step(
            self.spec,
            self._opened.hashes,
            self._workflow.registry,
            self._backbone,
            self.images if self.takes_images else None,
            self._relabelling.step if self._relabelling else None,
        )

    def prediction(self, role: Role) -> Step:
        """The step that predicts the images of a role with it."""
        tests = role == "test"
        images = self.test_images if tests else self.images
        hashes = self._tested.hashes if tests else self._opened.hashes
        seen = images if self.takes_images else None
        return prediction_step(self.spec, self.training, role, hashes, self._backbone, seen)

    @property
    def trains(self) -> bool:
        """Whether it would be trained, no such network being in the store."""
        return not self._store.has(self.training)

    @property
    def plan_id(self) -> str:
        """What stands for its training before that is known."""
        return digest(self.spec.model_dump(mode="json", include=DECIDE_THE_NETWORK))

    @property
    def parameter_bytes(self) -> int:
        """Size of its parameters."""
        return self._workflow.parameter_bytes(self.spec, self._backbone, len(self._data.task.classes))

    @property
    def flops(self) -> int:
        """Of one image."""
        return self._workflow.flops(self.spec, self._backbone, len(self._data.task.classes))

    def initial(self) -> nn.Module:
        """The network as training starts, see :func:`cxrbench.stages.train.initial_network`."""
        return train.initial_network(self.spec, self._backbone, self._data.task, self._reporter)

    def ensure(self, roles: Sequence[Role], network: nn.Module | None = None, stop: Stop = never) -> None:
        """Train it and predict these roles, where the store has not got that already.

        Args:
            roles: to predict.
            network: :meth:`initial`, where the caller has it.
            stop: whether to end the training early.

        Raises:
            StoppedError: ``stop`` ended it.
        """
        features = self._features.ids("train", "val", *roles) if self._features else []
        with self._store.needing(features):
            self._ensure_trained(network, stop)
            for role in roles:
                self._store.ensure(self.prediction(role), partial(self._predict, role))

    def missing_features(self, roles: Sequence[Role], *, known: bool) -> dict[str, int]:
        """Bytes that features take at most which are not stored yet, for training and these predictions.

        By their ids, or by what stands for these where keys are not ``known``.
        """
        if self._features is None:
            return {}
        fitted: tuple[Role, ...] = ("train", "val") if not known or self.trains else ()
        new = [role for role in roles if not (known and self._store.has(self.prediction(role)))]
        return self._features.missing_bytes(*fitted, *new, known=known)

    @property
    def all_images(self) -> list[tuple[Data, Images]]:
        """The images that this run reads, with the data set that they are of."""
        if not self.takes_images:
            return []
        own = [(self._data, self.images)]
        return [*own, (self._test, self.test_images)] if self.spec.test_dataset else own

    @property
    def missing_bytes(self) -> dict[str, int]:
        """Bytes that images which are not stored yet take at most, by what they are."""
        return {
            f"{images.cache.id} {data.manifest_step.id}": images.missing_bytes
            for data, images in self.all_images
        }

    @property
    def reads_new_files(self) -> bool:
        """Whether files must be read before it can be known which images they hold."""
        return any(images.unread > 0 for _, images in self.all_images)

    def _rows(
        self, role: Role, network: Callable[[], nn.Module], labels: NDArray[np.float64] | None = None
    ) -> Rows:
        """The images of a role as training takes them; ``network`` is asked for where features are new."""
        if self._features is None:
            return self._image_rows(role, labels)
        data = self._data_of(role)
        rows = Rows.of(data, data.image_ids(role), None, None, labels)
        return self._features.attached(rows, role, network)

    @cached_property
    def _features(self) -> StoredFeatures | None:
        """What it makes of images, where it is frozen but for its head."""
        kind = self._workflow.features_of(self.spec, self._backbone, len(self._data.task.classes))
        if kind is None:
            return None
        return StoredFeatures(
            self._workflow,
            self.spec,
            self._backbone,
            kind,
            hashes=lambda role: self._tested.hashes if role == "test" else self._opened.hashes,
            images=self._images_of,
            rows=self._image_rows,
        )

    def _images_of(self, role: Role) -> Images:
        return self.test_images if role == "test" else self.images

    def _image_rows(self, role: Role, labels: NDArray[np.float64] | None = None) -> Rows:
        images = self._images_of(role) if self.takes_images else None
        pixels = images.open() if images else None
        data = self._data_of(role)
        rows = Rows.of(data, data.image_ids(role), images, pixels, labels)
        return rows if self.spec.patient_data == "own" else rows.with_patients_shuffled()

    def _data_of(self, role: Role) -> Data:
        return self._test if role == "test" else self._data

    def _ensure_trained(self, network: nn.Module | None, stop: Stop) -> None:
        """Train, unless the store has it; what failed for another cell of this call fails at once."""
        step, unfinished = self.training, self._workflow.unfinished_trainings
        if step.id in unfinished:
            raise CxrbenchError(
                "The training of this network failed before in this call; see the first run that it failed."
            )
        unfinished.add(step.id)
        try:
            self._store.ensure(step, partial(self._train, network, stop), resumable=True)
        except train.StoppedError:
            unfinished.remove(step.id)
            raise
        # Whatever ends it otherwise, also an exception of a plugin's, leaves it here.
        unfinished.remove(step.id)

    def _train(self, given: nn.Module | None, stop: Stop, folder: Path) -> None:
        network = given or self.initial()
        if not self.spec.training.trains:
            train.keep(folder, self.spec, network, self._workflow.device)
            return
        reader = self.training.id
        roles: tuple[Role, ...] = ("train", "val")
        labels = {role: self._data.labels(role, reader, "fit") for role in roles}
        if self._relabelling:
            labels["train"] = self._relabelling.labels()
        rows = {role: self._rows(role, lambda: network, labels[role]) for role in roles}
        rows["train"] = self._balanced(rows["train"])
        if self._features:
            rows["train"] = self._features.with_mirrored(rows["train"], lambda: network)
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
            stop,
            self._tell,
        )
        self._workflow.trainings += trained

    def _tell(self, epoch: Mapping[str, Any]) -> None:
        """Tell plugins that look on of an epoch."""
        settings = self.spec.model_dump(mode="json")
        self._store.tell("epoch_ended", training_id=self.training.id, spec=settings, epoch=epoch)

    def _balanced(self, train: Rows) -> Rows:
        """The training rows as the sampler wants them."""
        draws = sampler_draws(train.id_hashes(), "balance", self.spec.seed)
        plan = self._sampler.balance(train.known_labels, self._data.task.classes, draws)
        if not len(plan.rows):
            raise CxrbenchError(
                f"The sampler {self.spec.sampler} leaves none of the {len(train)} training images; "
                "choose other options, or the sampler 'none'."
            )
        if most := self.spec.images_per_role:
            steps = np.linspace(0, len(plan.rows) - 1, min(most, len(plan.rows))).round().astype(np.int64)
            plan = SamplePlan(plan.rows[steps], plan.mirrored[steps])
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

    def trained(self) -> nn.Module:
        """The network with the weights of its checkpoint, in eval mode, on the CPU.

        Raises:
            CxrbenchError: the store has no such checkpoint.
        """
        checkpoint = self._store.read(self.training.id).folder / "weights.safetensors"
        return predict.trained_network(self.spec, self._backbone, self._data.task, checkpoint).eval()

    def image_rows(self, role: Role) -> Rows:
        """The images of a role as the whole network takes them, whatever is stored of them."""
        return self._image_rows(role)

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
        checkpoint = self._store.read(self.training.id).folder / "weights.safetensors"
        spec, backbone, task = self.spec, self._backbone, self._data.task
        predict.run(
            folder,
            spec,
            backbone,
            task,
            checkpoint,
            # Of the checkpoint the frozen part is what it was.
            self._rows(role, lambda: predict.trained_network(spec, backbone, task, checkpoint)),
            self._workflow.device,
            self._reporter,
        )
