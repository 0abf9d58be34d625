"""The kit of hooks: what runs tell is what hooks get, and each kind of fault is found by its check."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cxrbench import hookspecs
from cxrbench.conformance.process import HEARING
from cxrbench.guarding import Raised, guarded
from cxrbench.sections import Section, Table
from cxrbench.testing import hooks
from cxrbench.testing.small_runs import SmallRuns, small_runs


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> SmallRuns:
    return small_runs(tmp_path_factory.mktemp("small"))


def failures(hook: str, call: Callable[..., Any], runs: SmallRuns) -> dict[str, str]:
    """What each check of the hook finds."""
    heard = hooks.Heard.of(hook, call, runs)
    found = {}
    for check in (hooks.takes_what_runs_tell, *hooks.CHECKS[hook]):
        answer = guarded(lambda check=check: check(heard))
        if isinstance(answer, Raised):
            found[check.__name__] = answer.reason
    return found


def test_it_is_told_as_runs_tell(runs: SmallRuns) -> None:
    assert [each["epoch"]["epoch"] for each in runs.epochs] == [1, 2]
    assert all(each["spec"]["backbone"]["name"] == "densenet_fpn" for each in runs.epochs)
    for told in runs.artifacts:
        assert all((told["folder"] / name).exists() for name in told["record"]["files"])
    ids = [each["artifact_id"] for each in runs.artifacts]
    assert len(set(ids)) == len(ids)
    assert runs.epochs[0]["training_id"] in ids
    sources = [each["record"].get("source", "network") for each in runs.runs]
    assert sources == ["network", "scored", "scored", "ensemble"]
    assert [f"run/{each['run_id']}" for each in runs.runs] == [each for each in ids if each[:4] == "run/"]
    # A finding that is nowhere on test, of all but the network.
    assert all(any(row["auc"] is None for row in each["record"]["per_finding"]) for each in runs.runs[1:])


def sections(run_id: str, record: Any, folder: Path) -> list[Section]:
    """Takes every record as it is."""
    rows = [(row["finding"], row["auc"]) for row in record["per_finding"]]
    return [Section(run_id, ["Figures.", Table("On test", ("finding", "AUC"), rows)])]


@pytest.mark.parametrize(
    ("hook", "call"),
    [
        ("epoch_ended", lambda **_: None),
        ("artifact_written", lambda **told: (told["folder"] / "artifact.json").read_text() and None),
        ("report_sections", sections),
        ("report_sections", lambda **told: []),
        ("report_sections", lambda **told: iter(sections(**told))),
    ],
)
def test_a_sound_hook_passes(hook: str, call: Callable[..., Any], runs: SmallRuns) -> None:
    assert failures(hook, call, runs) == {}


def of_a_network(record: Any, **_: Any) -> list[Section]:
    return [Section("Network", [record["backbone"].upper()])]


def only_finite(epoch: Any, **_: Any) -> None:
    if math.isnan(epoch["macro_auc"]):
        raise ValueError("NaN")


def writing(folder: Path, **_: Any) -> None:
    (folder / "seen").touch()


def clearing(record: Any, **_: Any) -> None:
    record.clear()


def popping(record: Any, **_: Any) -> Any:
    return (Section(row.pop("finding"), []) for row in record["per_finding"])


@pytest.mark.parametrize(
    ("hook", "call", "check", "seen"),
    [
        (
            "epoch_ended",
            lambda epoch, **_: epoch["loss"],
            "takes_what_runs_tell",
            "Of epoch 1 it raises KeyErr",
        ),
        ("epoch_ended", only_finite, "takes_undefined_figures", "Of epoch 3 it raises ValueError: NaN."),
        ("epoch_ended", lambda epoch, **_: epoch, "answers_nothing", "Of epoch 1 it returns dict."),
        ("epoch_ended", lambda spec, **_: spec.clear(), "leaves_alone_what_it_is_given", "it changes spec."),
        ("artifact_written", clearing, "leaves_alone_what_it_is_given", "it changes record."),
        ("artifact_written", writing, "leaves_alone_what_it_is_given", "it changes the files of folder."),
        ("artifact_written", lambda **_: exit("bye"), "takes_what_runs_tell", "it raises SystemExit: bye."),
        ("report_sections", of_a_network, "takes_what_runs_tell", "it raises AttributeError: 'NoneType'"),
        ("report_sections", lambda **_: None, "gives_sections_that_can_be_shown", "it gives NoneType that"),
        ("report_sections", lambda **_: ["<b>"], "gives_sections_that_can_be_shown", "wanted, not str"),
        ("report_sections", popping, "leaves_alone_what_it_is_given", "it changes record."),
    ],
)
def test_each_fault_is_found(
    hook: str, call: Callable[..., Any], check: str, seen: str, runs: SmallRuns
) -> None:
    found = failures(hook, call, runs)
    assert seen in found[check]
    if check != "takes_what_runs_tell":
        assert list(found) == [check]


def test_every_hook_that_hears_of_runs_is_checked() -> None:
    hearing = [
        name
        for name, each in vars(hookspecs).items()
        if hasattr(each, "cxrbench_spec") and not name.startswith("register_")
    ]
    assert sorted(HEARING) == sorted(hooks.CHECKS) == sorted(hearing)
