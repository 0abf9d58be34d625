"""One run: its networks trained, predicted with, and judged."""

from __future__ import annotations

from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cxrbench.canonical import digest
from cxrbench.data import Passport
from cxrbench.external import external_passport, patients_seen
from cxrbench.interfaces import Backbone
from cxrbench.network_steps import NetworkSteps
from cxrbench.pixels.images import Images
from cxrbench.plan import Plan
from cxrbench.report.names import data_of
from cxrbench.roles import ROLES, Role
from cxrbench.specs import RunSpec, differing_options, keyed
from cxrbench.stages import publish
from cxrbench.store import Artifact
from cxrbench.training.loop import Stop, never
from cxrbench.workflow.average import Average
from cxrbench.workflow.evidence import Evidence
from cxrbench.workflow.network import Network
from cxrbench.workflow.opened import OpenedData
from cxrbench.workflow.relabelling import Relabelling

if TYPE_CHECKING:
    from cxrbench.workflow.runs import Workflow


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
        """Make and check its parts; nothing is done yet.

        Raises:
            UsageError: a component does not fit the task.
            CxrbenchError: the data have a serious problem, or too few roles.
        """
        self.spec = spec
        self._workflow = workflow
        self._store, self._reporter = workflow.store, workflow.reporter
        self._opened, self._data = opened, opened.data
        self._tested, self._test = tested, tested.data
        for data in (self._data, self._test):
            data.require_sound()
        self._data.require_matches(self._test)
        fitted: tuple[Role, ...] = ("train", "val") if spec.training.trains else ()
        self._data.require_roles(*fitted, *(() if spec.test_dataset else ("test",)))
        self._data.require_tune(spec.tune)
        network = partial(Network, workflow, backbone=backbone, opened=opened, tested=tested)
        self._relabelling = None
        if spec.relabelled_by:
            teachers = (_of_seed(spec, seed, relabelled_by=0) for seed in range(spec.relabelled_by))
            average = Average(self._store, self._data, tuple(map(network, teachers)))
            self._relabelling = Relabelling(self._store, self._data, average, spec.tune)
        first = spec.seed * spec.averaged
        members = (_of_seed(spec, first + place) for place in range(spec.averaged))
        self._networks = tuple(network(spec=each, relabelling=self._relabelling) for each in members)
        self._network = self._networks[0]
        self._source = Average(self._store, self._data, self._networks)
        self._evidence = Evidence(self._store, workflow.registry, spec, opened, tested)

    @cached_property
    def options(self) -> dict[str, dict[str, Any]]:
        """Options of each component that differ from its defaults, by kind."""
        return differing_options(self.spec, self._workflow.registry)

    @cached_property
    def passport(self) -> Passport:
        """The passport of this run."""
        own = self._opened.passport(self.spec.tune)
        if not self.spec.training.trains:
            own = own.trained_elsewhere()
        if not self.spec.test_dataset:
            return own
        return external_passport(own, self._tested.passport(self.spec.tune), self._seen_before)

    @cached_property
    def trained_on(self) -> publish.TrainedOn | None:
        """The data that the run trains and fits on, for its record; None where nothing is trained."""
        if not self.spec.training.trains:
            return None
        own = self._opened.passport(self.spec.tune)
        labels = digest([self._data.label_step(role).key for role in ROLES if role != "test"])
        return publish.TrainedOn(own.dataset, own.drawn, own.label_version, labels)

    @property
    def _seen_before(self) -> dict[str, int | None]:
        """See :func:`cxrbench.external.patients_seen`; worked out once for runs that read the same."""
        known = self._opened.seen_before
        network = self._network
        key = (id(self._tested), network.takes_images)
        if key not in known:
            images = (network.images, network.test_images) if network.takes_images else None
            pixels = images and (images[0].identities, images[1].identities)
            known[key] = patients_seen(self._data, self._test, pixels)
        return known[key]

    @cached_property
    def steps(self) -> NetworkSteps:
        """All steps and their keys; nothing is done but the preparing of images that were never read."""
        identity = {
            "passport": self.passport.record(),
            "dataset": keyed(self.spec.dataset, "dataset", self._workflow.registry),
        }
        if use := self.spec.test_dataset:
            identity["test_dataset"] = keyed(use, "dataset", self._workflow.registry)
        roles = self._roles
        predictions = {role: self._source.step(role) for role in roles}
        judged = self._evidence.steps(predictions, identity, self.spec.label())
        before = [*(self._relabelling.steps() if self._relabelling else ()), *self._source.steps(roles)]
        return NetworkSteps(**vars(judged), made_by=tuple(before))

    @property
    def networks(self) -> tuple[Network, ...]:
        """Its networks: several where their probabilities are averaged."""
        return self._networks

    @property
    def _roles(self) -> tuple[Role, ...]:
        """The roles that are predicted."""
        return (self.spec.tune, "test")

    @property
    def trains(self) -> bool:
        """Whether the run would train a network that is not in the store."""
        return self.spec.training.trains and any(not self._store.has(step) for step in self.steps.trainings)

    @property
    def images(self) -> Images:
        """The stored images that its networks read."""
        return self._network.images

    def fitting_batch_size(self) -> int:
        """See :func:`cxrbench.stages.train.largest_batch_size`."""
        return self._network.fitting_batch_size()

    @property
    def is_done(self) -> bool:
        """Whether the run is in the store already; False without a look where files must be read to know."""
        return not self._network.reads_new_files and self._store.has(self.steps.run)

    def plan(self) -> Plan:
        """What :meth:`do` would do. Files whose identity is not known are counted, not read."""
        known = not self._network.reads_new_files and self.spec.training.batch_size != "auto"
        steps = self.steps.in_order() if known else []
        networks = [*(self._relabelling.teachers.members if self._relabelling else ()), *self._networks]
        trainings = [step.id for step in self.steps.trainings] if known else [n.plan_id for n in networks]
        return Plan(
            spec=self.spec,
            options=self.options,
            data=data_of(
                publish.data_record(
                    self.spec.test_dataset, self._tested.passport(self.spec.tune), self.trained_on
                )
            ),
            unread=sum(images.unread for _, images in self._network.all_images),
            steps=tuple((step.stage, step.id, self._store.has(step)) for step in steps),
            trainings=tuple(trainings),
            parameter_bytes=self._network.parameter_bytes,
            images=self._network.missing_bytes,
            features={
                id_: size
                for network in networks
                for id_, size in network.missing_features(self._roles, known=known).items()
            },
        )

    def do(self) -> Artifact:
        """Do what is not done yet, and publish the run.

        Raises:
            CxrbenchError: a stage cannot go on; what was finished before stays in the store.
        """
        if self.is_done:
            return self._store.read(self.steps.run.id)
        with self._store.needing([images.cache.id for _, images in self._network.all_images]):
            return self._do()

    def train(self, stop: Stop = never) -> Artifact:
        """Its first network alone, trained on the data set's labels of train and val; no others are read.

        Raises:
            CxrbenchError: as :meth:`do`.
            StoppedError: ``stop`` ended the training.
        """
        network, data = self._network, self._data
        with self._store.needing([images.cache.id for _, images in network.all_images]):
            initial = network.initial() if network.reads_new_files or network.trains else None
            needed = [data.manifest_step, *(data.label_step(role) for role in ROLES), network.training]
            with self._store.needing([step.id for step in needed]):
                data.publish()
                network.ensure((), initial, stop)
                return self._store.read(network.training.id)

    def _do(self) -> Artifact:
        network = None
        if self._network.reads_new_files or self.trains:
            # First of all: weights that cannot be had should stop a run before images are read.
            network = self._network.initial()
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
            if self._relabelling:
                self._relabelling.ensure()
            self._source.ensure(self._roles, network)
            self._evidence.do(steps)
            return store.ensure(steps.run, self._publish)

    def _publish(self, folder: Path) -> None:
        trainings = [self._store.read(network.training.id) for network in self._networks]
        self._evidence.publish(
            folder,
            self.steps,
            publish.network_origin(self.spec, self.options, trainings, self._network.flops),
            publish.data_record(self.spec.test_dataset, self.passport, self.trained_on),
        )


def _of_seed(spec: RunSpec, seed: int, **changes: Any) -> RunSpec:
    """The run of one network that a run of several is made of."""
    return spec.model_copy(update={"seed": seed, "averaged": 1, **changes})
