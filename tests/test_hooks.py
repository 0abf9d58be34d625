"""Hooks that hear of runs: each plugin alone, with copies, and whatever it raises costs a warning."""

import ast
import csv
import inspect
import re
import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from textwrap import dedent

import numpy as np
import pytest
from conftest import invoke, job_of, run

import cxrbench
from cxrbench import builtins, hearing, hookspecs
from cxrbench.errors import CxrbenchError
from cxrbench.plugins import load_plugins
from cxrbench.sections import Picture, Section, Table

ROOT = Path(cxrbench.__file__).parents[1]
HOOKS = [name for name, each in vars(hookspecs).items() if hasattr(each, "cxrbench_spec")]

NOTING = """
from pathlib import Path
from cxrbench.hookspecs import hookimpl

artifacts, epochs = [], []

@hookimpl
def artifact_written(artifact_id, folder, record):
    whole = all((folder / name).exists() for name in record["files"])
    artifacts.append((artifact_id, sorted(record["files"]), whole))

@hookimpl
def epoch_ended(training_id, spec, epoch):
    epochs.append((training_id, spec, epoch))
"""


@pytest.fixture
def only(tmp_path, monkeypatch):
    """Write plugins' modules and let these be all that is installed; gives the modules."""
    folder = tmp_path / "modules"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    written = []

    def load(**texts):
        points = []
        for name, text in texts.items():
            written.append(f"heard_{name}_{len(written)}")
            (folder / f"{written[-1]}.py").write_text(dedent(text))
            points.append(EntryPoint(name, written[-1], hookspecs.ENTRY_POINT_GROUP))
        found = load_plugins(points)
        assert [(p.status, p.reason) for p in found.plugins] == [("loaded", "")] * len(points)
        monkeypatch.setattr(hearing, "installed", lambda: found)
        return [sys.modules[point.value] for point in points]

    yield load
    for module in written:
        sys.modules.pop(module, None)


def implemented_in(path):
    """Names of the functions that a module marks as implementations of hooks."""
    functions = [each for each in ast.parse(path.read_text()).body if isinstance(each, ast.FunctionDef)]
    return {f.name for f in functions if any(ast.unparse(mark) == "hookimpl" for mark in f.decorator_list)}


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_has_a_plugin_a_test_and_its_place_in_the_reference(hook):
    packages = set().union(*map(implemented_in, ROOT.glob("plugins/*/cxrbench_*/__init__.py")))
    if hook.startswith("register_"):
        assert hasattr(builtins, hook) or hook in packages
    else:
        assert hook in packages, "a hook ships only with a real plugin that needs it"
        tests = [name for name in globals() if name.startswith(f"test_{hook}_")]
        assert tests
    reference = (ROOT / "docs/hooks.md").read_text()
    arguments = ", ".join(inspect.signature(vars(hookspecs)[hook]).parameters)
    assert f"`{hook}({arguments})`" in reference


def test_artifact_written_tells_of_each_once_and_of_the_run_last(only, tmp_path):
    (module,) = only(noting=NOTING)
    job = job_of(tmp_path / "store")
    artifact = job.do()
    told = [artifact_id for artifact_id, _, _ in module.artifacts]
    ids = {
        f"{path.parent.parent.name}/{path.parent.name}"
        for path in tmp_path.glob("store/artifacts/*/*/artifact.json")
    }
    assert sorted(told) == sorted({*ids, artifact.id})
    assert told[-1] == artifact.id == f"run/{artifact.folder.name}"
    assert all(whole and files for _, files, whole in module.artifacts)
    job_of(tmp_path / "store").do()
    assert len(module.artifacts) == len(told)


def test_epoch_ended_tells_of_each_row_of_the_log(only, tmp_path):
    (module,) = only(noting=NOTING)
    job = job_of(tmp_path / "store", settings=("training.epochs=3",))
    artifact = job.train()
    with (artifact.folder / "epochs.csv").open() as file:
        log = list(csv.DictReader(file))
    assert [epoch["epoch"] for _, _, epoch in module.epochs] == [1, 2, 3]
    assert {training for training, _, _ in module.epochs} == {artifact.id}
    for (_, spec, epoch), row in zip(module.epochs, log, strict=True):
        assert spec == job.spec.model_dump(mode="json")
        assert epoch["train_loss"] == float(row["train_loss"])
        assert str(epoch["best"]) == row["best"]


INTERRUPTING = (
    NOTING
    + """
    if epoch["epoch"] == 2:
        raise KeyboardInterrupt
"""
)


def test_epoch_ended_goes_on_where_a_killed_training_does(only, tmp_path):
    settings = ("training.epochs=4",)
    (first,) = only(interrupting=INTERRUPTING)
    with pytest.raises(KeyboardInterrupt):
        job_of(tmp_path / "store", settings=settings).train()
    (second,) = only(noting=NOTING)
    job_of(tmp_path / "store", settings=settings).train()
    assert [epoch["epoch"] for _, _, epoch in first.epochs + second.epochs] == [1, 2, 3, 4]


MEDDLING = """
import random, sys
import numpy, torch
from cxrbench.hookspecs import hookimpl

@hookimpl
def epoch_ended(training_id, spec, epoch):
    print("on stdout")
    torch.manual_seed(99), numpy.random.seed(99), random.seed(99)
    torch.rand(7), numpy.random.rand(7), random.random()
    spec["training"].clear()
    epoch.clear()

@hookimpl
def artifact_written(record):
    record.clear()
"""

RAISING = """
from cxrbench.hookspecs import hookimpl

calls = []

@hookimpl
def epoch_ended(epoch):
    calls.append("epoch")
    {what}

@hookimpl
def artifact_written(artifact_id):
    calls.append("artifact")
"""


def weights_of(store):
    (path,) = store.glob("artifacts/train/*/weights.safetensors")
    return path.read_bytes()


def figures_of(answer):
    (record,) = answer.json["runs"]
    return record["metrics"], record["per_finding"]


def test_observers_change_nothing(only, tmp_path, monkeypatch):
    only()
    with monkeypatch.context() as without:
        # Where nobody listens, nothing is copied.
        without.setattr(hearing, "copy", None)
        alone = run(tmp_path / "alone")
    only(meddling=MEDDLING, noting=NOTING)
    watched = run(tmp_path / "watched")
    assert watched.exit_code == 0
    assert "on stdout" in watched.stderr
    assert "warning" not in watched.stderr
    assert weights_of(tmp_path / "watched") == weights_of(tmp_path / "alone")
    assert figures_of(watched) == figures_of(alone)
    assert invoke("verify", "--results", tmp_path / "watched").exit_code == 0


def test_observers_that_raise_are_warned_of_once_and_the_run_goes_on(only, tmp_path):
    what = {
        "a_raising": "raise RuntimeError('no [disk]\\nleft')",
        "b_leaving": "raise SystemExit('bye')",
        "c_cancelled": "raise type('Cancelled', (BaseException,), {})",
    }
    *raising, noting = only(**{name: RAISING.format(what=how) for name, how in what.items()}, noting=NOTING)
    answer = run(tmp_path / "store", "--epochs", 3)
    assert answer.exit_code == 0
    warnings = [line for line in answer.stderr.splitlines() if line.startswith("warning: ")]
    traces = sorted((tmp_path / "store/failures").glob("*.txt"))
    assert len(traces) == 3
    for name, module, warning, trace in zip(what, raising, sorted(warnings), traces, strict=True):
        # Artifacts of the data set come before the first epoch; after that it hears nothing.
        assert module.calls[-1] == "epoch"
        assert module.calls.count("epoch") == 1
        assert trace.name == f"plugin-{name}-epoch_ended.txt"
        assert trace.read_text().startswith("Traceback")
        assert f"plugin {name} (unknown package) raised in epoch_ended" in warning
        assert "is not told of anything more" in warning
        assert str(trace) in warning
    assert [epoch["epoch"] for _, _, epoch in noting.epochs] == [1, 2, 3]


SECTIONS = """
from cxrbench.hookspecs import hookimpl
from cxrbench.sections import Picture, Section, Table

asked = []

@hookimpl
def report_sections(run_id, record, folder):
    asked.append((run_id, record["metrics"]["macro_auc"], (folder / "run.json").exists()))
    record.clear()
    rows = [("<b>bold</b>", 3, 0.123456), ("none", None, float("nan"))]
    table = Table("<i>caption</i>", ["na<me", "count", "share"], rows)
    return [Section("Mine <script>alert(1)</script>", ["A & B.", table, Picture(PNG, 'a "dot"', "cap<tion")])]
"""


@pytest.fixture(scope="module")
def board(begun, tmp_path_factory):
    """A store with two runs."""
    results = begun(tmp_path_factory.mktemp("board") / "store")
    assert run(results, "--seed", "0,1").exit_code == 0
    return results


def page_of(board, tmp_path):
    answer = invoke("leaderboard", "--html", tmp_path / "board.html", "--results", board)
    assert answer.exit_code == 0
    return (tmp_path / "board.html").read_text(encoding="utf-8"), answer


def png():
    from io import BytesIO

    from PIL import Image

    file = BytesIO()
    Image.new("L", (2, 2)).save(file, "PNG")
    return file.getvalue()


def test_report_sections_are_shown_escaped_on_the_page_of_each_run(only, board, tmp_path):
    (module,) = only(mine=SECTIONS)
    module.PNG = png()
    html, answer = page_of(board, tmp_path)
    assert "warning" not in answer.stderr
    names = [path.name for path in board.glob("runs/*")]
    assert sorted(run_id for run_id, _, _ in module.asked) == sorted(names)
    assert all(there and value > 0 for _, value, there in module.asked)
    assert html.count("<h3>Mine &lt;script&gt;alert(1)&lt;/script&gt;</h3>") == 2
    assert "<script>alert" not in html
    assert "<p>A &amp; B.</p>" in html
    flat = re.sub(r"\s+", " ", html)
    assert "<caption>&lt;i&gt;caption&lt;/i&gt;</caption>" in flat
    assert '<th scope="row">&lt;b&gt;bold&lt;/b&gt;</th> <td class="number" data-value="3.0">3</td>' in flat
    assert '<td class="number" data-value="0.123456">0.123</td>' in flat
    assert '<td class="number" data-value="">–</td> <td class="number" data-value="">–</td>' in flat
    assert 'alt="a &#34;dot&#34;"' in flat
    assert "data:image/png;base64," in flat


FAILING = {
    "raises": ("raise ValueError('no <figures>')", "ValueError: no &lt;figures&gt;"),
    "exits": ("raise SystemExit('gone')", "SystemExit: gone"),
    "no_list": ("return 3", "TypeError"),
    "none": ("return None", "TypeError"),
    "html": ("return ['<b>x</b>']", "TypeError: sections are wanted, not str"),
    "no_exception": ("raise type('Gone', (BaseException,), {})('gone')", "Gone: gone"),
    "strange_part": (
        "return [Section('x', [object()])]",
        "made of texts, Tables and Pictures, not of object",
    ),
    "later": ("return (Section(str(1 / n), []) for n in (1, 0))", "ZeroDivisionError"),
    "row_too_long": (
        "return [Section('x', [Table('t', ['a'], [(1, 2)])])]",
        "has 2 cells, and there are 1 columns",
    ),
    "no_png": ("return [Section('x', [Picture(b'<svg>', 'a', 'b')])]", "is no PNG file"),
}


@pytest.mark.parametrize("case", FAILING)
def test_report_sections_that_fail_leave_a_sentence_in_their_place(only, board, tmp_path, case):
    what, said = FAILING[case]
    hook = "from cxrbench.hookspecs import hookimpl\nfrom cxrbench.sections import *\n"
    hook += "@hookimpl\ndef report_sections(record):\n    "
    only(a_failing=hook + what, sound=f"{hook}return [Section('Sound', ['and shown'])]")
    html, answer = page_of(board, tmp_path)
    assert html.count("<p>and shown</p>") == 2
    told = re.findall(r'<p class="warning">(unknown package could not make its section: [^<]*)</p>', html)
    assert len(told) == 2
    assert all(said in each for each in told)
    warnings = [line for line in answer.stderr.splitlines() if line.startswith("warning: ")]
    assert len(warnings) == 1
    assert "plugin a_failing (unknown package) raised in report_sections" in warnings[0]


def test_a_page_without_plugins_has_no_such_sections(only, board, tmp_path):
    only()
    html, _ = page_of(board, tmp_path)
    assert "could not make its section" not in html


def test_what_is_undefined_is_a_dash_in_a_column_of_any_form():
    from cxrbench.report.plugin_sections import _part

    nan = float("nan")
    shown = _part(Table("t", ["text", "counts", "none"], [("x", 3, nan), (nan, nan, None), (None, 4, None)]))
    assert [form for _, _, form in shown["columns"]] == ["text", "count", "count"]
    assert [row["0"] for row in shown["rows"]] == ["x", "–", "–"]


def test_a_table_that_cannot_be_shown_is_refused_where_it_is_made():
    with pytest.raises(CxrbenchError, match="has -1 digits; give 0 or more"):
        Table("t", ["a"], [(0.5,)], digits=-1)
    with pytest.raises(CxrbenchError, match="has 2 cells, and there are 1 columns"):
        Table("t", ["a"], [(0.5, 1)])


def test_numbers_of_numpy_are_numbers_of_a_table():
    from cxrbench.report.plugin_sections import _part

    shown = _part(Table("t", ["a", "b", "c"], [(np.int64(3), np.float32(0.5), "x"), (4, 1, 2)]))
    assert [form for _, _, form in shown["columns"]] == ["count", 3, "text"]
    assert shown["rows"][0] == {"0": 3.0, "1": 0.5, "2": "x"}
    assert Section("title", [Picture(png(), "a", "b")]).parts[0].alt == "a"
