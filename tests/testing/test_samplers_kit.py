"""The checks of samplers: a sound one passes, each broken one fails the check that is about it."""

import random

import numpy as np
import pytest
from test_kit import broken, component, named

from cxrbench.interfaces import SamplePlan
from cxrbench.testing import checks_for


class SoundSampler:
    """Leaves out what draws over .9, and mirrors what draws under .1."""

    def subset(self, labels, classes, draws):
        return draws <= 0.9

    def balance(self, labels, classes, draws):
        rows = np.flatnonzero(draws <= 0.9)
        again = np.flatnonzero(draws < 0.1)
        mirrored = np.repeat([False, True], [len(rows), len(again)])
        return SamplePlan(np.concatenate([rows, again]), mirrored)


def subset(function):
    return {"subset": lambda self, labels, classes, draws: function(labels, draws)}


def balance(function):
    def plan(self, labels, classes, draws):
        rows = function(labels, draws)
        return SamplePlan(rows, np.zeros(len(rows), dtype=bool))

    return {"balance": plan}


def in_place(labels, draws):
    labels[np.isnan(labels)] = 0
    return draws <= 0.9


@pytest.mark.parametrize("check", checks_for("sampler"), ids=str)
def test_a_sound_sampler_passes(check):
    check.run(component("sampler", SoundSampler))


@pytest.mark.parametrize(
    ("members", "check"),
    [
        (subset(lambda labels, draws: np.flatnonzero(draws < 0.9)), "keeps_a_subset"),
        (subset(lambda labels, draws: (draws < 0.9).tolist()), "keeps_a_subset"),
        (subset(lambda labels, draws: labels[:, 3] != 1), "keeps_a_subset"),
        (balance(lambda labels, draws: np.flatnonzero(labels[:, 3] != 1)), "plans_an_epoch"),
        (balance(lambda labels, draws: np.arange(len(labels)) + 1), "plans_an_epoch"),
        (balance(lambda labels, draws: np.arange(len(labels), dtype=np.float64)), "plans_an_epoch"),
        ({"balance": lambda self, labels, classes, draws: np.arange(len(labels))}, "plans_an_epoch"),
        (
            {"balance": lambda self, labels, classes, draws: SamplePlan(np.arange(9), np.zeros(8, bool))},
            "plans_an_epoch",
        ),
        (subset(lambda labels, draws: draws < random.random()), "follows_from_its_arguments"),
        (
            balance(lambda labels, draws: np.flatnonzero(draws < random.random())),
            "follows_from_its_arguments",
        ),
        (subset(lambda labels, draws: np.arange(len(labels)) % 9 > 0), "does_not_depend_on_the_order"),
        (balance(lambda labels, draws: np.arange(len(labels))[3:]), "does_not_depend_on_the_order"),
        (
            subset(lambda labels, draws: np.ones(len(labels) if labels.any() else 1, bool)),
            "takes_any_labels",
        ),
        (subset(in_place), "leaves_its_arguments_alone"),
    ],
)
def test_broken_samplers(members, check):
    with pytest.raises(AssertionError, match=check):
        named("sampler", check).run(component("sampler", broken(SoundSampler, **members)))
