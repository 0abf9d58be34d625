"""The options of thresholds, calibrators and losses as users give them: text, checked before any work."""

import pytest

from cxrbench.errors import UsageError
from cxrbench.options import bind, instantiate, parse_uses
from cxrbench.plugins import load_plugins


def make(kind, text):
    (use,) = parse_uses(text)
    return instantiate(load_plugins([]).registry.find(kind, use.name), use.options)


@pytest.mark.parametrize(
    ("kind", "text", "option", "value"),
    [
        ("thresholds", "fixed:threshold=0.4", "threshold", 0.4),
        ("thresholds", "precision_f1:min_precision=0.4,step=0.1", "step", 0.1),
        ("thresholds", "dynamic:min_precision=0.4,grid=scores", "min_precision", 0.4),
        ("calibrator", "temperature:scope=shared", "scope", "shared"),
        ("loss", "weighted_bce:weights=ratio", "weights", "ratio"),
    ],
)
def test_text_becomes_options(kind, text, option, value):
    assert getattr(make(kind, text), option) == value


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        *[("thresholds", name) for name in ("fixed", "youden", "precision_f1", "dynamic")],
        *[("calibrator", name) for name in ("none", "temperature")],
        *[("loss", name) for name in ("bce", "weighted_bce")],
    ],
)
def test_defaults_fit_multilabel_tasks(kind, name):
    assert "multilabel" in make(kind, name).tasks


def test_a_table_of_overrides():
    component = load_plugins([]).registry.find("loss", "weighted_bce")
    options = {"overrides": {"Pneumonia": 4.5, "Fibrosis": 3.8}}
    assert instantiate(component, options).overrides == options["overrides"]
    assert bind(component, options)["overrides"] == options["overrides"]
    with pytest.raises(UsageError, match="overrides"):
        bind(component, {"overrides": {"Pneumonia": -1}})


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("thresholds", "fixed:threshold=1.5"),
        ("thresholds", "dynamic:step=0"),
        ("thresholds", "dynamic:low=0.9"),
        ("thresholds", "precision_f1:grid=fine"),
        ("thresholds", "youden:min_precision=0.4"),
        ("calibrator", "temperature:scope=image"),
        ("loss", "weighted_bce:weights=sqrt"),
    ],
)
def test_bad_options_are_refused(kind, text):
    with pytest.raises(UsageError):
        make(kind, text)
