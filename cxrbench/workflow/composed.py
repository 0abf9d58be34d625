"""The networks behind a run's predictions, one or many, and how their logits become the run's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cxrbench.ensembling.members import Member
from cxrbench.errors import UsageError
from cxrbench.interfaces import EnsembleSearch
from cxrbench.options import Use, make
from cxrbench.predictions import Predictions
from cxrbench.records import read_record
from cxrbench.registry import Registry
from cxrbench.stages import ensemble
from cxrbench.stages.average import mean_logits
from cxrbench.store import Store
from cxrbench.task import Task
from cxrbench.workflow.trained import Trained, trained_networks

if TYPE_CHECKING:
    from cxrbench.interfaces import FloatArray

OfNetworks = Mapping[str, "FloatArray"]
"""Logits ``[n, c]`` of each network, by its training."""


@dataclass(frozen=True)
class Composed:
    """What a run predicts with.

    Attributes:
        records: ``run.json`` of the run, and behind it those of the runs that it combines.
        task: the classes of its logits.
        networks: each once, by its training. Members of an ensemble that change nothing of it are not there.
        logits: the run's logits ``[n, c]``, rounded as they are stored, of the networks'.
    """

    records: tuple[Mapping[str, Any], ...]
    task: Task
    networks: Mapping[str, Trained]
    logits: Callable[[OfNetworks], FloatArray]

    @property
    def record(self) -> Mapping[str, Any]:
        """``run.json`` of the run."""
        return self.records[0]

    @property
    def run_id(self) -> str:
        """Of the run."""
        return str(self.record["run_id"])

    @property
    def networks_of(self) -> tuple[str, ...]:
        """The runs that the networks were trained in."""
        return tuple(dict.fromkeys(each.run_id for each in self.networks.values()))


def composed(store: Store, registry: Registry, run: str) -> Composed:
    """The networks of a run: its own, those that it averages, or those of the runs that it combines.

    Args:
        store: where the run is.
        registry: where its components are found.
        run: its id, or the beginning or end of it.

    Raises:
        UsageError: there is no such run, or predictions that it is made of are no network's.
        CxrbenchError: what it was made from is missing or damaged.
    """
    record = read_record(store.find_run(run))
    if record.get("members"):
        return _of_ensemble(store, registry, record)
    own = trained_networks(store, registry, record)
    task = own[0].task

    def logits(found: OfNetworks) -> FloatArray:
        return _stored(mean_logits(task, np.stack([found[each.training] for each in own])))

    return Composed((record,), task, {each.training: each for each in own}, logits)


def _of_ensemble(store: Store, registry: Registry, record: Mapping[str, Any]) -> Composed:
    search: EnsembleSearch = make(Use.model_validate(record["spec"]["search"]), "ensemble", registry)
    folder = store.read(next(each for each in record["artifacts"] if each.startswith("ensemble/"))).folder
    found = ensemble.read(folder)
    searched_on = Predictions.read(folder / "predictions.parquet")
    task, scale = searched_on.task, found["scale"]
    records = [read_record(store.find_run(each)) for each in record["members"]]
    # Ranks are among the logits of the images that were searched on.
    tune = np.stack(
        [Member(store, each).predictions("tune").matrix(searched_on.table.index) for each in records]
    )
    idle = _idle(search, found, ensemble.scaled(task, scale, tune, tune))
    members = [
        None if unused else _member(store, registry, record["run_id"], each)
        for each, unused in zip(records, idle, strict=True)
    ]

    def logits(given: OfNetworks) -> FloatArray:
        nothing = np.zeros_like(next(iter(given.values())))
        each = np.stack([nothing if member is None else member.logits(given) for member in members])
        return _stored(ensemble.combined(search, found, task, each, tune))

    used = [member for member in members if member is not None]
    networks = {name: each for member in used for name, each in member.networks.items()}
    return Composed((record, *(each for member in used for each in member.records)), task, networks, logits)


def _member(store: Store, registry: Registry, run_id: str, record: Mapping[str, Any]) -> Composed:
    if record.get("source") == "scored":
        raise UsageError(
            f"{run_id} combines {record['run_id']}, which is made of scores of a file: there is no network "
            "to run; name a member that has one."
        )
    return composed(store, registry, record["run_id"])


def _idle(search: EnsembleSearch, found: Mapping[str, Any], scores: FloatArray) -> Sequence[bool]:
    """Which members need not be run: those without weight, where scores without them combine to the same."""
    weights = np.asarray(found["weights"], np.float64).reshape(len(scores), -1)
    unused = np.asarray((weights == 0).all(axis=1))
    without = np.where(unused[:, None, None], 0.0, scores)
    same = np.array_equal(search.combine(scores, found["state"]), search.combine(without, found["state"]))
    return [bool(each) and same for each in unused]


def _stored(logits: FloatArray) -> FloatArray:
    """Logits as a predictions table has them."""
    return logits.astype(np.float32).astype(np.float64)
