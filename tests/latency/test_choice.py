"""What a call measures: by name or by what the machine can run; what is left out says why."""

import pytest

from cxrbench.errors import CxrbenchError, UsageError
from cxrbench.latency.choice import choices
from cxrbench.plugins import load_plugins
from cxrbench.registry import Component, Registry


class Everywhere:
    """Runs everywhere, in two formats."""

    def unavailable(self, device):
        return ""

    def precisions(self, device):
        return ("fp32", "bf16")


class Nowhere(Everywhere):
    """Runs nowhere."""

    def unavailable(self, device):
        return "its library is missing: pip install it"


class Raising(Everywhere):
    """Raises when it is asked."""

    def unavailable(self, device):
        raise ValueError("boom")


@pytest.fixture
def registry():
    found = Registry()
    for name in ("Everywhere", "Nowhere"):
        found.add(Component("runtime", name.lower(), f"{__name__}:{name}", "1", "A toy", "tests"))
    return found


def test_auto_takes_what_can_run_and_says_why_others_cannot(registry):
    found = choices("auto", ["fp32"], "cpu", registry)
    assert [(each.runtime.name, each.skipped) for each in found] == [
        ("everywhere", ""),
        ("nowhere", "its library is missing: pip install it"),
    ]


def test_auto_leaves_out_what_raises_or_cannot_be_loaded_and_names_it(registry):
    registry.add(Component("runtime", "raising", f"{__name__}:Raising", "1", "A toy", "tests"))
    registry.add(Component("runtime", "missing", f"{__name__}:Missing", "1", "A toy", "tests"))
    found = {each.runtime.name: each.skipped for each in choices("auto", ["fp32"], "cpu", registry)}
    assert found["everywhere"] == ""
    assert found["raising"] == "it raises ValueError: boom"
    assert "cannot be loaded" in found["missing"]
    with pytest.raises(ValueError, match="boom"):
        choices("raising", ["fp32"], "cpu", registry)


def test_by_name_it_must_run(registry):
    with pytest.raises(
        CxrbenchError, match=r"'nowhere' cannot run here: its library is missing: pip install it\.$"
    ):
        choices("everywhere,nowhere", ["fp32"], "cpu", registry)


def test_a_format_that_it_lacks_is_skipped_unless_it_is_all_that_was_asked_for(registry):
    found = choices("everywhere", ["fp32", "int8"], "cpu", registry)
    assert [bool(each.skipped) for each in found] == [False, True]
    assert "int8" in found[1].skipped
    with pytest.raises(UsageError, match="int8"):
        choices("everywhere", ["int8"], "cpu", registry)


def test_auto_beside_a_name_adds_the_others(registry):
    found = choices("everywhere,auto", ["fp32"], "cpu", registry)
    assert [each.runtime.name for each in found] == ["everywhere", "nowhere"]


def test_every_built_in_can_be_asked_whether_it_runs_here():
    found = choices("auto", ["fp32"], "cpu", load_plugins([]).registry)
    assert {each.runtime.name for each in found} == {
        "eager",
        "compile",
        "cudagraphs",
        "onnxruntime",
        "tensorrt",
    }
    assert next(each for each in found if each.runtime.name == "eager").skipped == ""
