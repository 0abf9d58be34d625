"""What a recipe says of its search: read, checked, and put into a run."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxrbench.errors import UsageError
from cxrbench.plugins import installed
from cxrbench.specs import resolve
from cxrbench.tuning.search import brackets, search_of, with_values
from cxrbench.tuning.trials import kept_scores, plan_of

RATE = {"training": {"learning_rate": {"choices": [0.1, 0.01]}}}


def plan(space, **settings):
    search = search_of({"space": space}, "test")
    return plan_of("test", {"backbone": "densenet_fpn:use=patient", **settings}, search, installed().registry)


def test_brackets_are_those_of_table_1_of_li_et_al():
    # R = 81, eta = 3: n and r of s = 4 … 0 (JMLR 18, algorithm 1; n by its formula).
    assert brackets(81, 3) == [(81, 1), (34, 3), (15, 9), (8, 27), (5, 81)]


def test_brackets_of_the_four_class_study():
    assert brackets(70, 3) == [(27, 1), (12, 3), (6, 9), (4, 27)]


@given(st.integers(1, 5000), st.integers(2, 6))
def test_there_are_as_many_brackets_as_powers_of_eta_in_the_budget(budget, eta):
    found = brackets(budget, eta)
    assert eta ** (len(found) - 1) <= budget < eta ** len(found)
    assert all(trials >= 1 for trials, _ in found)


def test_dotted_and_nested_names_are_the_same():
    dotted = search_of({"space": {"training.learning_rate": {"choices": [0.1, 0.01]}}}, "test")
    assert dotted == search_of({"space": RATE}, "test")


def test_values_stand_where_a_recipe_would_have_them():
    values = {"loss.gamma": 3.0, "training.learning_rate": 0.5, "loss": "focal", "image_size": 64}
    spec = resolve(with_values({"training": {"epochs": 3}}, values), installed().registry)
    assert (spec.loss.name, spec.loss.options["gamma"]) == ("focal", 3.0)
    assert (spec.training.learning_rate, spec.training.epochs, spec.image_size) == (0.5, 3, 64)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (None, r"no table \[search\]"),
        ({}, r"no table \[search\]"),
        ({"budget": 3}, "search.space"),
        ({"space": {}}, "at least 1 item"),
        ({"space": RATE, "buget": 3}, "search.buget"),
        ({"space": RATE, "eta": 1}, "search.eta"),
        ({"space": RATE, "metric": "beauty"}, "search.metric"),
        ({"space": {"crop": {"low": 0.5}}}, "low and high, or choices"),
        ({"space": {"crop": {"low": 0.5, "high": 1, "choices": [1]}}}, "low and high, or choices"),
        ({"space": {"crop": {"low": 0.9, "high": 0.5}}}, "low must be below high"),
        ({"space": {"crop": {"low": 0.5, "high": 1.0, "step": 0.3}}}, "whole number of steps"),
        ({"space": {"crop": {"low": 0, "high": 1, "log": True}}}, "a low above 0"),
        ({"space": {"crop": {"choices": [1], "log": True}}}, "belong to low and high"),
        ({"space": {"crop": {"lowest": 1}}}, "search.space.crop.lowest"),
        ({"space": {"crop": 0.5}}, "search.space.crop"),
    ],
)
def test_what_is_wrong_with_a_search_is_said(table, words):
    with pytest.raises(UsageError, match=words):
        search_of(table, "test")


@pytest.mark.parametrize(
    ("space", "settings", "words"),
    [
        ({"seed": {"choices": [0, 1]}}, {}, "cannot vary 'seed'"),
        ({"dataset": {"choices": ["phantom"]}}, {}, "cannot vary 'dataset'"),
        ({"phantom.seed": {"choices": [0, 1]}}, {}, "cannot vary 'phantom.seed'"),
        ({"training.epochs": {"low": 1, "high": 3}}, {}, "cannot vary 'training.epochs'"),
        ({"training.speed": {"choices": [1]}}, {}, "cannot vary 'training.speed'"),
        ({"loss.gamma": {"low": 1.0, "high": 3.0}}, {}, "no option 'gamma'"),
        ({"loss": {"choices": ["bce", "no_such"]}}, {}, "no_such"),
        ({"training.clip_norm": {"low": -1.0, "high": 3.0}}, {}, "clip_norm"),
        (RATE, {"seed": [0, 1]}, "these settings are of 2"),
        (RATE, {"averaged": 3}, "averaged"),
        (RATE, {"training": {"cycles": [{"epochs": 2}]}}, "training.cycles"),
    ],
)
def test_what_no_trial_could_be_is_refused_before_any(space, settings, words):
    with pytest.raises(UsageError, match=words):
        plan(space, **settings)


def test_budget_and_metric_are_the_trainings_where_the_search_says_none():
    settled = plan(RATE, training={"epochs": 9, "select": "macro_f1"})
    assert (settled.budget, settled.metric, settled.trials) == (9, "macro_f1", 9 + 5 + 3)


def test_a_score_is_that_of_the_checkpoint_kept_so_far():
    epochs = [
        {"best": "True", "macro_auc": ""},
        {"best": "True", "macro_auc": "0.5"},
        {"best": "False", "macro_auc": "0.9"},
        {"best": True, "macro_auc": 0.7},
    ]
    first, *others = kept_scores(epochs, "macro_auc")
    assert math.isnan(first)
    assert others == [0.5, 0.5, 0.7]
