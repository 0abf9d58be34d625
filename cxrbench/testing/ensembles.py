"""Checks of searches of ensembles (:class:`cxrbench.interfaces.EnsembleSearch`)."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import log_softmax, softmax

from cxrbench.canonical import canonical_json
from cxrbench.ensembling.fitness import WeightedFitness
from cxrbench.interfaces import FoundEnsemble, Members
from cxrbench.testing.check import Check, Subject, require, same, unchanged
from cxrbench.testing.components import declares_its_tasks
from cxrbench.testing.examples import example

if TYPE_CHECKING:
    from cxrbench.interfaces import EnsembleSearch, FloatArray
    from cxrbench.task import TaskKind

_ROWS, _CLASSES, _MEMBERS = 120, 4, 3


def gives_weights(subject: Subject) -> None:
    """The weights [m] or [m, c] are at least 0 and sum to 1, those of each class; so are each restart's."""
    for kind in sorted(subject.make().tasks):
        for case, members in (("three", _members(kind)), ("one", _members(kind, count=1))):
            _well_formed(_found(subject, members), members, f"{case} of a {kind} task")


def takes_any_scale(subject: Subject) -> None:
    """Probabilities and logits can be combined, where each class is a question of its own ranks too."""
    for kind in sorted(subject.make().tasks):
        for scale in ("probabilities", "logits", *(("ranks",) if kind == "multilabel" else ())):
            members = _members(kind, scale=scale)
            found = _found(subject, members)
            scores = subject.make().combine(members.scores, found.state)
            require(
                isinstance(scores, np.ndarray)
                and scores.dtype == np.float64
                and scores.shape == members.labels.shape
                and np.isfinite(scores).all(),
                f"Of {scale} it makes {np.shape(scores)} {getattr(scores, 'dtype', '')}.",
            )
            if scale != "logits":
                inside = scores.min() >= -1e-9 and scores.max() <= 1 + 1e-9
                require(inside, f"Of {scale} it makes {scores.min():g} to {scores.max():g}.")


def takes_odd_members(subject: Subject) -> None:
    """Members that are all the same, or constant, and labels that are unknown are no trouble."""
    for kind in sorted(subject.make().tasks):
        usual = _members(kind, unknown=True)
        _well_formed(_found(subject, usual), usual, "unknown labels")
        for case, scores in (
            ("members that are the same", np.repeat(usual.scores[:1], _MEMBERS, axis=0)),
            ("constant members", np.full_like(usual.scores, 1 / _CLASSES)),
        ):
            members = Members(scores, usual.labels, usual.patients, usual.scale, usual.costs)
            _well_formed(_found(subject, members), members, case)


def keeps_a_state_of_json_values(subject: Subject) -> None:
    """The state is a mapping of JSON values, and combines alike after being stored and read."""
    for kind in sorted(subject.make().tasks):
        members = _members(kind)
        state = _found(subject, members).state
        try:
            json.dumps(dict(state))
        except (TypeError, ValueError) as error:
            raise AssertionError(f"Its state cannot be written: {error}.") from error
        read = json.loads(canonical_json(dict(state)))
        combined = (subject.make().combine(members.scores, each) for each in (state, read))
        require(same(*combined), "The state that was read combines otherwise.")


def treats_images_alone(subject: Subject) -> None:
    """An image's combined scores depend on its own scores and the state, not on other images."""
    for kind in sorted(subject.make().tasks):
        members = _members(kind)
        state = _found(subject, members).state
        together = subject.make().combine(members.scores, state)
        alone = subject.make().combine(members.scores[:, 5:6], state)
        require(np.allclose(together[5:6], alone, rtol=0, atol=1e-9), "One image alone has other scores.")


def repeats_itself(subject: Subject) -> None:
    """The same members, fitness and seed give the same answer."""
    for kind in sorted(subject.make().tasks):
        found = [_found(subject, _members(kind), seed=3) for _ in range(2)]
        require(same(found[0].weights, found[1].weights), "Two searches of one seed differ.")
        require(same(found[0].state, found[1].state), "Two searches of one seed have other states.")


def tells_how_far_it_is(subject: Subject) -> None:
    """It advances at most as often as it has rounds; the best of its trace never falls."""
    for kind in sorted(subject.make().tasks):
        told: list[float] = []
        members = _members(kind)
        search: EnsembleSearch = subject.make()
        found = search.search(members, _fitness(members, kind), 0, told.append)
        require(len(told) <= search.rounds, f"It advances {len(told)} times in {search.rounds} rounds.")
        for restart in {row.restart for row in found.trace}:
            best = [row.best for row in found.trace if row.restart == restart]
            require(best == sorted(best), f"The best of restart {restart} falls.")
            require(all(map(math.isfinite, best)), f"The best of restart {restart} is not finite.")


def leaves_its_arguments_alone(subject: Subject) -> None:
    """Neither scores nor labels nor the state are changed in place."""
    for kind in sorted(subject.make().tasks):
        members = _members(kind)
        with unchanged(scores=members.scores, labels=members.labels, costs=dict(members.costs)):
            state = _found(subject, members).state
        with unchanged(scores=members.scores, state=state):
            subject.make().combine(members.scores, state)


CHECKS = tuple(
    map(
        Check,
        (
            declares_its_tasks,
            gives_weights,
            takes_any_scale,
            takes_odd_members,
            keeps_a_state_of_json_values,
            treats_images_alone,
            repeats_itself,
            tells_how_far_it_is,
            leaves_its_arguments_alone,
        ),
    )
)


def _members(
    kind: str, *, count: int = _MEMBERS, scale: str = "probabilities", unknown: bool = False
) -> Members:
    """Members that tell the more, the later they come."""
    labels = example(_ROWS, _CLASSES, frozenset({kind}), unknown=unknown).labels
    rng = np.random.default_rng(1)
    told = np.arange(1, count + 1)[:, None, None] * np.nan_to_num(labels, nan=0.5)
    logits = told + rng.standard_normal((count, *labels.shape)) - 1
    if scale == "ranks":
        scores = logits.argsort(axis=1).argsort(axis=1) / _ROWS
    elif kind == "singlelabel":
        scores = softmax(logits, axis=2) if scale == "probabilities" else log_softmax(logits, axis=2)
    else:
        scores = 1 / (1 + np.exp(-logits)) if scale == "probabilities" else logits
    costs = {name: np.arange(1.0, count + 1) for name in ("parameters", "latency_ms", "flops", "members")}
    patients = np.array([f"p{row // 2}" for row in range(_ROWS)])
    return Members(scores.astype(np.float64), labels, patients, scale, costs)  # type: ignore[arg-type]


def _fitness(members: Members, kind: TaskKind | str) -> WeightedFitness:
    return WeightedFitness("macro_f1", kind, members.scores, members.labels)  # type: ignore[arg-type]


def _found(subject: Subject, members: Members, seed: int = 0) -> FoundEnsemble:
    search: EnsembleSearch = subject.make()
    single = (members.labels[~np.isnan(members.labels).any(axis=1)].sum(axis=1) == 1).all()
    kind = "singlelabel" if single and "singlelabel" in search.tasks else "multilabel"
    return search.search(members, _fitness(members, kind), seed, lambda best: None)


def _well_formed(found: FoundEnsemble, members: Members, case: str) -> None:
    count, _, classes = members.scores.shape

    def sound(weights: FloatArray) -> bool:
        shaped = weights.shape in ((count,), (count, classes))
        return shaped and bool((weights >= 0).all() and np.allclose(weights.sum(axis=0), 1, atol=1e-6))

    require(sound(found.weights), f"Of {case} members, weights are {found.weights.tolist()}.")
    restarts = len(found.restarts) > 0 and all(sound(each) for each in found.restarts)
    require(restarts, f"Of {case} members, restarts are {found.restarts.tolist()}.")
