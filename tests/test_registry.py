"""Components by kind and name, imported only when they are used."""

import sys

import pytest

from cxrbench.errors import CxrbenchError, UsageError
from cxrbench.registry import KINDS, Component, DuplicateComponentError, Registry


def component(name, kind="thresholds", target="some.module:Class", source="tests 1.0"):
    return Component(kind, name, target, "1", "a test's", source)


def registry_of(*components):
    registry = Registry()
    for each in components:
        registry.add(each)
    return registry


@pytest.fixture
def registry():
    return registry_of(
        *(component(name) for name in ("fixed", "youden", "precision_f1", "dynamic")),
        component("densenet_fpn", "backbone"),
        component("timm/*", "backbone"),
    )


def test_components_are_listed_in_order_of_registration(registry):
    assert [c.name for c in registry.all("thresholds")] == ["fixed", "youden", "precision_f1", "dynamic"]
    assert len(registry.all()) == 6
    assert registry.all("loss") == []


def test_one_name_may_stand_for_components_of_several_kinds():
    registry = registry_of(*(component("none", kind) for kind in KINDS))
    assert [registry.find(kind, "none").kind for kind in KINDS] == list(KINDS)


@pytest.mark.parametrize(
    ("kind", "name", "near"),
    [
        ("thresholds", "yuden", "youden"),
        ("thresholds", "dynamc", "dynamic"),
        ("thresholds", "precision", "precision_f1"),
        ("backbone", "densenet-fpn", "densenet_fpn"),
        ("backbone", "tim/resnet18", "timm/*"),
        ("backbone", "timm/", "timm/*"),
        ("backbone", "timm", "timm/*"),
    ],
)
def test_an_unknown_name_gets_the_near_ones(registry, kind, name, near):
    with pytest.raises(UsageError) as caught:
        registry.find(kind, name)
    noun = {"thresholds": "threshold strategy"}.get(kind, kind)
    assert str(caught.value).startswith(f"There is no {noun} '{name}'; did you mean {near}")


@pytest.mark.parametrize("name", ["zzz", "timm/resnet18", "densenet_fpn", ""])
def test_without_near_names_all_of_the_kind_are_given(registry, name):
    with pytest.raises(UsageError, match=r"; there are fixed, youden, precision_f1, dynamic\.$"):
        registry.find("thresholds", name)


def test_a_name_is_taken_once_and_both_sources_are_named():
    registry = registry_of(component("p90", source="first 1.0"))
    with pytest.raises(DuplicateComponentError) as caught:
        registry.add(component("p90", target="other:P90", source="second 2.0"))
    for part in ("'p90'", "first 1.0", "some.module:Class", "second 2.0", "other:P90"):
        assert part in str(caught.value)
    assert registry.find("thresholds", "p90").source == "first 1.0"


def test_a_family_finds_every_member(registry):
    found = registry.find("backbone", "timm/maker/net.v1")
    assert (found.name, found.fixed) == ("timm/maker/net.v1", {"name": "maker/net.v1"})
    assert found.target == "some.module:Class"
    assert not found.is_family


def test_a_component_of_its_own_comes_before_the_family():
    registry = registry_of(component("timm/*", "backbone"), component("timm/mine", "backbone"))
    assert registry.find("backbone", "timm/mine").fixed == {}


@pytest.mark.parametrize("name", ["timm/*", "timm/", "timm"])
def test_a_family_is_no_component_itself(registry, name):
    with pytest.raises(UsageError):
        registry.find("backbone", name)


def test_nothing_is_imported_before_load(tmp_path, monkeypatch):
    (tmp_path / "lazily_loaded.py").write_text("class Strategy: pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    registry = registry_of(component("lazy", target="lazily_loaded:Strategy"))
    found = registry.find("thresholds", "lazy")
    registry.all()
    assert "lazily_loaded" not in sys.modules
    assert found.load().__name__ == "Strategy"
    assert sys.modules.pop("lazily_loaded")


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("no_such_module_here:Class", "No module named 'no_such_module_here'"),
        ("cxrbench.errors:NoSuchClass", "NoSuchClass"),
        ("cxrbench.registry:KINDS", "is not a class"),
        ("cxrbench.options:parse_uses", "is not a class"),
    ],
)
def test_a_target_that_is_not_there_is_said_with_its_source(target, said):
    with pytest.raises(CxrbenchError) as caught:
        component("odd", target=target, source="shaky 0.1").load()
    for part in (said, "'odd'", "shaky 0.1", target):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"name": "two words"},
        {"name": "a,b"},
        {"name": "a:b"},
        {"name": "a=b"},
        {"name": "/*"},
        {"name": "*"},
        {"name": 5},
        {"target": "module.Class"},
        {"target": "module:"},
        {"target": ":Class"},
        {"target": "my-module:Class"},
        {"target": object},
        {"version": ""},
        {"version": 1},
        {"summary": None},
    ],
)
def test_a_component_that_could_never_be_used_is_refused(wrong):
    sound = {"name": "p90", "target": "pkg.module:P90", "version": "1", "summary": "x"}
    assert Component(kind="thresholds", source="tests", **sound).name == "p90"
    with pytest.raises(CxrbenchError):
        Component(kind="thresholds", source="tests", **{**sound, **wrong})
