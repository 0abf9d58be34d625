"""Whatever the documentation shows can be typed.

Every command line, in blocks and in sentences, is read by the command line itself: commands, options,
choices, numbers, names of components with their options, recipes; settings of ``cxrbench run`` are resolved.
Blocks of Python are run, those of TOML are read by what reads them. Command lines are run, in the order of
their page, by ``tests/slow/test_pages.py``.
"""

import re
import shlex
import tomllib

import click
import pytest
from snippets import COMMANDS, PAGES, PAGES_OF_PLUGINS, RECORDS, ROOT, blocks, lines, parsed

from cxrbench.cli.run import _AXES as AXES
from cxrbench.datasets.manifest_csv.columns import read_column_map
from cxrbench.grid import cells, parse_axis
from cxrbench.options import bind, parse_uses
from cxrbench.plugins import load_plugins
from cxrbench.recipes import names, read
from cxrbench.recipes.suite import runs_of
from cxrbench.registry import KINDS
from cxrbench.tuning.search import require_possible, search_of

LINES = [line for page in [*PAGES, *RECORDS, COMMANDS] for line in lines(page)]
OURS = [line for line in LINES if line.is_ours]
OTHERS = [line for page in [*PAGES, *RECORDS, *PAGES_OF_PLUGINS] for line in lines(page) if not line.is_ours]
BLOCKS = [block for page in [*PAGES, *RECORDS] for block in blocks(page)]
REGISTRY = load_plugins([]).registry

_KINDS = {kind: kind for kind in KINDS} | {
    "runtimes": "runtime",
    "search": "ensemble",
    "test_dataset": "dataset",
}
"""The kind of component that an option names."""

_OTHERS = {"auto", "none", "NAME"}
"""What those options take besides names."""

_OF_PLUGINS = {"openvino", "spec90"}
"""Components of packages that are not installed here."""

_ELSEWHERE = {
    'pip install --editable "cxrbench-spec90[test]"': "tests/slow/test_plugin_tutorial.py",
    "python -m pytest cxrbench-spec90": "tests/slow/test_plugin_tutorial.py",
    'curl -L -o chestmnist.npz "https://zenodo.org/records/10519652/files/chestmnist.npz?download=1"': (
        "plugins/cxrbench-medmnist/tests/test_medmnist.py"  # draws that file
    ),
    "export MLFLOW_TRACKING_URI=http://127.0.0.1:5000": (
        "plugins/cxrbench-mlflow/tests/test_mlflow.py"  # starts that server
    ),
}
"""What is typed or made by another test."""


def of_language(language):
    return [block for block in BLOCKS if block.language == language]


def test_the_documentation_has_commands_and_blocks():
    assert len(OURS) > 100
    assert all(map(of_language, ("console", "python", "toml")))


@pytest.mark.parametrize("line", OURS, ids=str)
def test_every_command_line_is_understood(line):
    try:
        command, context = parsed(line)
    except (click.MissingParameter, click.BadOptionUsage):
        assert line.inline, line  # a sentence may name a command, or an option, without what it takes
        return
    except click.exceptions.Exit:
        return  # --help
    for option, kind in _KINDS.items():
        given = (context.params if context else {}).get(option)
        for text in [given] if isinstance(given, str) else given or ():
            for use in parse_uses(text):
                if use.name not in _OTHERS | _OF_PLUGINS:
                    bind(REGISTRY.find(kind, use.name), use.options)
    recipes = context.params.get("recipes") or context.params.get("recipe") if context else None
    for text in [recipes] if isinstance(recipes, str) else recipes or ():
        for name in text.split(","):
            assert name in names() or name.isupper() or name.endswith(".toml")
    if command.name != "run" or context is None or any(name in line.text for name in _OF_PLUGINS):
        return
    if not context.params["config"] and not recipes:
        settings_of(context.params)


def settings_of(given):
    """What ``cxrbench run`` makes of its options before it opens any data."""
    if "csv:config" in (given["dataset"] or "") or "FILE" in given["weights"]:
        return
    shared = {name: given[name] for name in ("dataset", "exclude", "labels") if given[name] is not None}
    names = [name.replace("-", "_") for name in AXES]
    axes = {name: parse_axis(name, given[name]) for name in names}
    assert cells(shared, axes, given["settings"], REGISTRY)


@pytest.mark.parametrize("block", of_language("python"), ids=str)
def test_python_is_run(block, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(block.text, str(block), "exec"), {"__name__": "documentation"})


@pytest.mark.parametrize("block", of_language("toml"), ids=str)
def test_toml_is_taken_by_what_reads_it(block, tmp_path):
    path = tmp_path / "block.toml"
    path.write_text(block.text, encoding="utf-8")
    given = tomllib.loads(block.text)
    if "project" in given:
        assert "cxrbench.v1" in given["project"]["entry-points"]
        return
    if "columns" in given:
        assert read_column_map(path).findings
        return
    search = given.pop("search", None)
    if search:
        require_possible(given, search_of(search, str(block)), REGISTRY)
    for run in runs_of(given, [], as_published=False):
        assert cells(run, {}, (), REGISTRY)


@pytest.mark.parametrize("line", OTHERS, ids=str)
def test_what_else_is_typed_is_there(line):
    """Targets of make, extras and folders that pip installs, scripts."""
    program, *words = shlex.split(line.text, comments=True)
    if line.text in _ELSEWHERE:
        assert (ROOT / _ELSEWHERE[line.text]).exists()
    elif program == "make":
        makefile = (ROOT / "Makefile").read_text()
        assert all(re.search(rf"^{word}:", makefile, re.MULTILINE) for word in words)
    elif program == "pip":
        extra = re.fullmatch(r"cxrbench\[([\w-]+)\]", words[-1])
        known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
        assert extra[1] in known if extra else (ROOT / words[-1] / "pyproject.toml").is_file()
    else:
        assert program == "python"
        assert (ROOT / words[0]).is_file()


@pytest.mark.parametrize("page", [*PAGES, *RECORDS, *PAGES_OF_PLUGINS], ids=str)
def test_links_to_other_files_lead_somewhere(page):
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.text)
    # Pages of the reference are made when the site is built, which is strict about links to them.
    local = [
        each
        for each in targets
        if "://" not in each and not each.startswith(("reference/", "benchmarks/", "results/"))
    ]
    assert [each for each in local if not (page.folder / each).exists()] == []


def test_recipes_that_pages_name_can_be_read():
    assert all(read(name).about.title for name in names())
