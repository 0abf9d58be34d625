"""Benchmarks are not run by tests, but each must fit the code that it measures."""

import importlib
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent / "benchmarks"


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.py")))
def test_it_imports(monkeypatch, name):
    monkeypatch.syspath_prepend(str(FOLDER))
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("cxrbench"):
            raise
        pytest.skip(f"{error.name} is not installed: pip install 'cxrbench[bench]'")
    finally:
        sys.modules.pop(name, None)
    assert module.__doc__


def test_training_is_measured_and_both_loops_learn_something(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(FOLDER))
    training_gpu = importlib.import_module("training_gpu")
    data = training_gpu.Drawn(images=40, image_size=32)
    rows = training_gpu.measure(data, 8, training_gpu.device_of("cpu"), 1, 1, 1, False)
    assert [row["way"].partition(",")[0] for row in rows] == ["plain fp32 loop", "cxrbench"]
    for row in rows:
        assert row["images_per_second"] > 0
        assert 0 <= row["val_macro_auc"] <= 1
