"""Ensembles of stored runs: combined on tune, then judged like any network, beside what they must beat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tomli_w

from cxrbench.data import Data, Passport
from cxrbench.ensembling.fitness import FITNESSES
from cxrbench.ensembling.goal import Goal, require_order_alone
from cxrbench.ensembling.members import JoinedMembers, Member, join_members
from cxrbench.ensembling.spec import EnsembleSpec
from cxrbench.errors import UsageError, did_you_mean
from cxrbench.evaluation.asked import figure_name
from cxrbench.evaluation.cohort import Cohort
from cxrbench.interfaces import EnsembleSearch, Metric
from cxrbench.leaderboard.latencies import latencies
from cxrbench.options import Use, bind, make, parse_use
from cxrbench.records import read_record
from cxrbench.registry import Registry
from cxrbench.report.ensemble_page import write_ensemble
from cxrbench.reporter import Reporter
from cxrbench.roles import ROLES, Role
from cxrbench.specs import keyed
from cxrbench.stages import ensemble, publish
from cxrbench.steps import Steps
from cxrbench.store import Artifact, Step, Store
from cxrbench.workflow.contrast import contrast, member_values
from cxrbench.workflow.evidence import Evidence
from cxrbench.workflow.given import GivenImages
from cxrbench.workflow.opened import OpenedData

if TYPE_CHECKING:
    from cxrbench.interfaces import FloatArray

BASELINES = ("best_single", "average", "greedy")
"""Searches that every ensemble stands beside."""

COSTS = ("parameters", "latency_ms", "flops")
"""What runs may cost, by what their records say; latency by what was measured of all on one machine."""


@dataclass(frozen=True)
class EnsembleRequest:
    """What is to be combined.

    Attributes:
        runs: the members, by id, or its beginning or end.
        search: how.
        settings: other fields of :class:`cxrbench.ensembling.spec.EnsembleSpec`; those that are None are not
            given.
    """

    runs: Sequence[str]
    search: Use
    settings: Mapping[str, Any]


class Ensembling:
    """Makes ensembles of stored runs; what is wrong is refused before any work."""

    def __init__(self, store: Store, registry: Registry, reporter: Reporter) -> None:
        """Nothing is read yet.

        Args:
            store: where artifacts and runs are.
            registry: where components are found.
            reporter: told of the work.
        """
        self.store, self.registry, self.reporter = store, registry, reporter

    def job(self, request: EnsembleRequest) -> EnsembleJob:
        """The ensemble of a request, nothing done yet.

        Raises:
            UsageError: members cannot be joined (:func:`cxrbench.ensembling.members.join_members`), or a
                component does not fit the task.
        """
        given = {name: value for name, value in request.settings.items() if value is not None}
        if "fitness" in given:
            _require_fitness(given["fitness"], self.registry)
        records = [read_record(self.store.find_run(run)) for run in request.runs]
        if "latency_ms" in request.search.options.values():
            # Only then: a later measurement would make another ensemble of the same members otherwise.
            fast = latencies(self.store, records)
            records = [fast.added_to(record) for record in records]
        members = [Member(self.store, record) for record in records]
        joined = join_members(
            members, given.get("min_positives", EnsembleSpec.model_fields["min_positives"].default)
        )
        if joined.task.kind == "singlelabel":
            given.setdefault("thresholds", Use(name="argmax"))
        ids = tuple(member.run_id for member in joined.members)
        if not given.setdefault("system", f"{request.search.name} of {len(ids)}").strip():
            raise UsageError("An ensemble needs a name; give --name one, or leave it out.")
        spec = EnsembleSpec(members=ids, search=request.search, **given).resolved(self.registry)
        search: EnsembleSearch = make(spec.search, "ensemble", self.registry)
        joined.task.require_fit("ensemble", spec.search.name, search.tasks)
        if joined.task.kind == "singlelabel" and spec.combine == "ranks":
            raise UsageError(
                "Where one class is right, classes share a softmax, and ranks of each by itself say nothing "
                "of which is most probable; give --combine probabilities or logits."
            )
        return EnsembleJob(self.store, self.registry, self.reporter, spec, joined)


@dataclass(frozen=True)
class _Way:
    """One way of combining, and its steps."""

    search: EnsembleSearch
    use: Use
    steps: Steps


class EnsembleJob:
    """One ensemble: its steps, and the doing of each."""

    def __init__(
        self, store: Store, registry: Registry, reporter: Reporter, spec: EnsembleSpec, joined: JoinedMembers
    ) -> None:
        self.spec, self.joined = spec, joined
        self._store, self._registry, self._reporter = store, registry, reporter
        identity = {"name": "ensemble", "version": ensemble.VERSION, "options": {}}
        self._data = Data(GivenImages(joined.collection), identity, None, store)
        self._opened = OpenedData(store, registry, reporter, self._data, identity)
        self._data.require_sound()
        self._goal = _goal_of(spec, joined, registry)
        self._evidence = Evidence(store, registry, spec, self._opened, self._opened)

    @cached_property
    def passport(self) -> Passport:
        """That of the test images; patients shared with training are those of any member."""
        own = self._opened.passport("tune")
        passports = [member.record["passport"] for member in self.joined.members]
        shared: dict[str, int | None] = dict(own.shared_patients)
        for pair in shared:
            if {"train", "val"} & set(pair.split("/")):
                counts = [each["shared_patients"].get(pair) for each in passports]
                known = [count for count in counts if count is not None]
                shared[pair] = max(known) if len(known) == len(counts) else None
        splits = list(dict.fromkeys(each["split"] for each in passports))
        return replace(
            own, split=" and ".join(splits), shared_patients=shared, drawn=any(p["drawn"] for p in passports)
        )

    @cached_property
    def _ways(self) -> dict[str, _Way]:
        """The ensemble itself (an empty name) and each baseline that it is not."""
        ways = {"": self._way(self.spec.search)}
        for name in BASELINES:
            use = Use(name=name, options=bind(self._registry.find("ensemble", name), {}))
            ways[name] = ways[""] if use == self.spec.search else self._way(use)
        return ways

    def _way(self, use: Use) -> _Way:
        roles: tuple[Role, ...] = ("tune", "test")
        members = {
            role: [self._store.step(member.predicted_by(role)) for member in self.joined.members]
            for role in roles
        }
        manifests = {
            step: self._store.step(step) for step in (member.manifest_step for member in self.joined.members)
        }
        fit = Step(
            "ensemble",
            {
                "version": ensemble.VERSION,
                "search": keyed(use, "ensemble", self._registry),
                "fitness": (
                    self.spec.fitness
                    if isinstance(self.spec.fitness, str)
                    else keyed(self.spec.fitness, "metric", self._registry)
                ),
                "combine": self.spec.combine,
                "folds": self.spec.folds,
                "seed": self.spec.seed,
                "costs": {name: list(map(float, values)) for name, values in self._known_costs.items()},
                "patients": self._opened.hashes.patients("tune"),
            },
            # Manifests say who the members' patients were; a proof of roles looks there.
            (*members["tune"], self._data.label_step("tune"), *manifests.values()),
        )
        test = Step(
            "combine",
            {"version": ensemble.VERSION, "ids": self._opened.hashes.ids("test")},
            (fit, *members["test"]),
        )
        identity = {
            "passport": self.passport.record(),
            "system": self.spec.system,
            "seed": self.spec.seed,
            "members": list(self.spec.members),
        }
        steps = self._evidence.steps({"tune": fit, "test": test}, identity, self.spec.label())
        return _Way(make(use, "ensemble", self._registry), use, steps)

    @cached_property
    def _costs(self) -> dict[str, FloatArray]:
        told = {name: np.array([each.cost(name) for each in self.joined.members]) for name in COSTS}
        return {**told, "members": np.ones(len(self.joined.members))}

    @property
    def _known_costs(self) -> dict[str, FloatArray]:
        return {name: values for name, values in self._costs.items() if not np.isnan(values).any()}

    @cached_property
    def steps(self) -> Steps:
        """All steps of the ensemble and their keys; its run stands on the baselines' evaluations too."""
        own = self._ways[""].steps
        beside = {way.steps.evaluation.id: way.steps.evaluation for way in self._ways.values()}
        beside.pop(own.evaluation.id)
        run = replace(own.run, parents=(*own.run.parents, *beside.values()))
        return replace(own, run=run)

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
        needed = [step.id for way in self._ways.values() for step in way.steps.in_order()]
        needed += [self._data.manifest_step.id, *(self._data.label_step(role).id for role in ROLES)]
        with self._store.needing([*needed, self.steps.run.id]):
            self._data.publish("tune")
            for way in self._ways.values():
                self._store.ensure(way.steps.predictions["tune"], partial(self._fit, way))
                self._store.ensure(way.steps.predictions["test"], partial(self._combine, way))
                self._evidence.do(way.steps)
            return self._store.ensure(self.steps.run, self._publish)

    def _tune(self, labels: FloatArray) -> ensemble.Tune:
        patients = self._data.patients("tune")
        return ensemble.Tune(
            self.joined.task,
            self.joined.logits("tune", patients.index),
            labels,
            patients,
            self.spec.combine,
            self._costs,
        )

    def _fit(self, way: _Way, folder: Path) -> None:
        spec = self.spec
        tune = self._tune(self._data.labels("tune", way.steps.predictions["tune"].id, "fit"))
        total = max(way.search.rounds, 1) * (spec.folds + 1)
        with self._reporter.progress(f"{way.use.name} on tune", total) as advance:
            ensemble.run(
                folder,
                way.search,
                self._goal,
                tune,
                spec.folds,
                spec.seed,
                lambda best: advance(1, self._goal.told(best)),
            )

    def _combine(self, way: _Way, folder: Path) -> None:
        ids = self._data.image_ids("test")
        found = ensemble.read(self._store.read(way.steps.predictions["tune"].id).folder)
        nothing = np.empty((0, len(self.joined.task.classes)))
        ensemble.combine(folder, way.search, found, self._tune(nothing), self.joined.logits("test", ids), ids)

    def _publish(self, folder: Path) -> None:
        spec, steps = self.spec, self.steps
        found = {
            name: ensemble.read(self._store.read(way.steps.predictions["tune"].id).folder)
            for name, way in self._ways.items()
        }
        evaluations = {
            name: self._store.read(way.steps.evaluation.id).folder for name, way in self._ways.items()
        }
        told = contrast(self.joined, found, evaluations, self._goal, self._cohort())
        told["members"] = member_values(
            self.joined,
            self._ways[""].search,
            found[""],
            self._tune(np.empty((0, len(self.joined.task.classes)))),
            self._cohort(),
            {name: values.tolist() for name, values in self._costs.items()},
        )
        used = np.array([row["weight"] for row in told["members"]]) > 0
        record = {
            **spec.described(self._registry),
            "dataset": None,
            "parameters": _sum(self._costs["parameters"][used]),
            "flops": _sum(self._costs["flops"][used]),
            "training_seconds": None,
            "training": None,
            "weights": None,
            "optimizer": None,
            "members": list(spec.members),
            "ensemble": told,
            "ensemble_artifact": f"artifacts/{steps.predictions['tune'].id}",
        }
        self._evidence.publish(
            folder,
            steps,
            publish.Origin(steps.predictions["test"].id, record, _as_toml(spec), None),
            {"test_dataset": None, "trained_on": None, "passport": self.passport.record()},
            (*self.joined.notes, *told["notes"]),
        )
        write_ensemble(folder, spec.search.name, told, found[""]["trace"])

    def _cohort(self) -> Cohort:
        return Cohort(
            self.joined.task,
            self.passport.id,
            self._data.labels("test", self.steps.run.id, "evaluate"),
            self._data.patients("test"),
            self._data.facts("test"),
        )


def _require_fitness(text: str, registry: Registry) -> None:
    """Refuse what is neither a figure that comes along nor a metric.

    Raises:
        UsageError: it is neither; what there is, is named.
    """
    name = text if text in FITNESSES else parse_use("--fitness", text).name
    known = [*FITNESSES, *(component.name for component in registry.all("metric"))]
    if name not in known and "/" not in name:
        raise UsageError(f"There is no fitness '{name}'; {did_you_mean(name, known)}")


def _goal_of(spec: EnsembleSpec, joined: JoinedMembers, registry: Registry) -> Goal:
    if isinstance(spec.fitness, str):
        return Goal(spec.fitness)
    metric: Metric = make(spec.fitness, "metric", registry)
    joined.task.require_fit("metric", spec.fitness.name, metric.tasks)
    if spec.combine == "ranks":
        require_order_alone(metric, spec.fitness.name, len(joined.task.classes))
    return Goal(figure_name(spec.fitness, registry), metric)


def _sum(values: FloatArray) -> int | None:
    """The whole cost; None where part of it is not known."""
    return None if np.isnan(values).any() else int(values.sum())


def _as_toml(spec: EnsembleSpec) -> str:
    settings = spec.model_dump(mode="json")
    return f"# What 'cxrbench ensemble' was told.\n\n{tomli_w.dumps(settings)}"
