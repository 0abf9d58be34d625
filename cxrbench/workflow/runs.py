"""Makes runs of specs: opens their data once, checks them, settles what is left to be found out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from cxrbench.architecture import NETWORK_KINDS, architecture_of, classes_of
from cxrbench.canonical import digest
from cxrbench.data import Data
from cxrbench.description import flops_of
from cxrbench.external import ExternalTest
from cxrbench.interfaces import Backbone, Dataset
from cxrbench.options import Use, make
from cxrbench.registry import Registry
from cxrbench.reporter import Reporter
from cxrbench.selection import Selection, selection_of
from cxrbench.specs import RunSpec, TrainingSpec, keyed, require_as_it_is
from cxrbench.stages.features import FeatureKind, are_stored, kind_of
from cxrbench.store import Store
from cxrbench.task import Task
from cxrbench.training.batch_size import remember, remembered
from cxrbench.training.devices import best_precision, check_deterministic, check_precision, name_of
from cxrbench.training.processes import current
from cxrbench.training.schedule import cycles_of
from cxrbench.training.trainable import require_trainable
from cxrbench.workflow.job import Job
from cxrbench.workflow.network import DECIDE_THE_NETWORK
from cxrbench.workflow.opened import OpenedData


@dataclass(frozen=True)
class _Built:
    """What is known of a network that was built once to know."""

    parameter_bytes: int
    features: FeatureKind | None


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
        self._built: dict[str, _Built] = {}
        self._flops: dict[str, int] = {}

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
        told = [list(selection.classes)] if selection.classes else []
        key = digest([identity, spec.split, *selection.files, sampler, task, spec.images_per_role, *told])
        if key not in self._opened:
            self._open(key, spec.dataset, identity, self.data_root, selection)
        return self._opened[key]

    def _selection(self, spec: RunSpec) -> Selection:
        """What the spec asks for, its files read once."""
        classes = classes_of(make(spec.backbone, "backbone", self.registry))
        uses = str(spec.sampler), str(spec.task), *classes
        key = (spec.split, spec.exclude, spec.labels, *uses, str(spec.images_per_role))
        if key not in self._selections:
            self._selections[key] = replace(selection_of(spec, self.registry), classes=classes)
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
        self._opened[key] = OpenedData(self.store, self.registry, self.reporter, data, identity)

    def job(self, spec: RunSpec, *, planned: bool = False) -> Job:
        """A run of ``spec``, its components made and checked, nothing done yet.

        A job that is only ``planned`` keeps a batch size that steps on a GPU would have to find.

        Raises:
            UsageError: a component does not fit the task or another one, the precision or determinism the
                device, or the batch size the number of processes; a layer to train is not there.
            CxrbenchError: the batch size is ``auto``, and not even the smallest fits.
        """
        if spec.training.precision == "auto":
            spec = _with_training(spec, precision=best_precision(self.device))
        check_precision(spec.training.precision, self.device)  # type: ignore[arg-type]
        if spec.training.deterministic:
            check_deterministic(self.device)
        if not spec.training.trains:
            require_as_it_is(spec)
        backbone: Backbone = architecture_of(spec, self.registry)
        if "image" not in backbone.inputs:
            # A data set may recommend ImageNet's weights; a network without images has none to take.
            spec = spec.model_copy(update={"weights": "none" if spec.weights == "imagenet" else spec.weights})
        opened = self.open(spec)
        tested = opened
        if spec.test_dataset:
            tested = self.open_test(spec, spec.test_dataset, opened.data.task)
        job = Job(self, spec, backbone, opened, tested)
        if spec.head.name != "own" or spec.resizer.name != "none" or _freezes(spec):
            # Parts or layers that do not go together refuse the call, not only their cell.
            self.parameter_bytes(spec, backbone, len(opened.data.task.classes))
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
        settings = spec.model_dump(mode="json", include=DECIDE_THE_NETWORK - {"seed"})
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
        """Size of the parameters of a network with this many outputs, which is built once to know.

        Raises:
            UsageError: its parts do not go together, or what is to be trained is not there.
        """
        return self._build(spec, backbone, outputs).parameter_bytes

    def features_of(self, spec: RunSpec, backbone: Backbone, outputs: int) -> FeatureKind | None:
        """What of each image is stored for a run whose network is frozen but for its head; None: nothing."""
        return self._build(spec, backbone, outputs).features

    def flops(self, spec: RunSpec, backbone: Backbone, outputs: int) -> int:
        """See :func:`cxrbench.description.flops_of`; worked out once for runs of one architecture."""
        key = digest(self._architecture(spec, outputs))
        if key not in self._flops:
            self._flops[key] = flops_of(spec, backbone, outputs)
        return self._flops[key]

    def _architecture(self, spec: RunSpec, outputs: int) -> list[Any]:
        """What of a run its network's layers depend on."""
        parts = [keyed(spec.use(kind), kind, self.registry) for kind in NETWORK_KINDS]
        return [parts, spec.image_size, outputs]

    def _build(self, spec: RunSpec, backbone: Backbone, outputs: int) -> _Built:
        trained = [spec.training.trainable, *(cycle.trainable for cycle in spec.training.cycles)]
        stored = are_stored(spec, backbone)
        key = digest([*self._architecture(spec, outputs), trained, stored])
        if key not in self._built:
            network = backbone.build(outputs, spec.image_size, False)
            require_trainable(network, spec.training)
            self._built[key] = _Built(
                sum(p.numel() * p.element_size() for p in network.parameters()),
                kind_of(network, len(backbone.mean), spec.image_size) if stored else None,
            )
        return self._built[key]

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


def _freezes(spec: RunSpec) -> bool:
    return any(cycle.trainable != "all" for cycle in cycles_of(spec.training))


def _with_training(spec: RunSpec, **changes: Any) -> RunSpec:
    return spec.model_copy(update={"training": spec.training.model_copy(update=changes)})
