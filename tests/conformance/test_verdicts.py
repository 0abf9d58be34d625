"""What checks found of components is kept, asked for again, and replaced by what is found anew."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from cxrbench.conformance.verdicts import failed_checks, remember
from cxrbench.errors import UsageError
from cxrbench.options import make, parse_use
from cxrbench.registry import Component, Registry

TOP = Component("thresholds", "top", "cxrbench.thresholds.fixed:Fixed", "1", "a test's", "a-test 1.0")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


def test_the_check_that_a_refusal_asks_for_is_the_one_that_lifts_it(cache: Path) -> None:
    registry = Registry()
    registry.add(TOP)
    registry.only_conforming = True
    remember(TOP, {"threshold": "0.4"}, ["gives_its_reasons"])
    # Other options say nothing of those that failed.
    remember(TOP, {}, [])
    with pytest.raises(UsageError) as refused:
        make(parse_use("--thresholds", "top"), "thresholds", registry)
    assert "(cxrbench plugins check thresholds/top:threshold=0.4)" in str(refused.value)
    remember(TOP, parse_use("KIND/NAME", "top:threshold=0.4").options, [])
    assert make(parse_use("--thresholds", "top"), "thresholds", registry)


@pytest.mark.parametrize(
    "text", ["{", "[]", "{}", '{"components": ["top"]}', '{"components": [{"kind": "thresholds"}]}']
)
def test_a_damaged_file_is_as_good_as_none(text: str, cache: Path) -> None:
    remember(TOP, {}, ["gives_its_reasons"])
    (path,) = cache.rglob("*.json")
    path.write_text(text)
    assert failed_checks(TOP) == ()
    remember(TOP, {}, ["gives_its_reasons"])
    assert failed_checks(TOP) == ("gives_its_reasons",)


def test_checks_at_once_lose_none_of_their_verdicts(cache: Path) -> None:
    components = [replace(TOP, name=f"top{place}") for place in range(24)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda each: remember(each, {}, ["gives_its_reasons"]), components))
    assert all(failed_checks(each) == ("gives_its_reasons",) for each in components)
