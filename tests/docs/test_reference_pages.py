"""Pages that are made of the code have all of it, as plain Markdown."""

import re

import docs_site
import pytest
from conftest import invoke
from docpages import commands, kinds, settings, statistics
from docpages.markdown import attributes, docstring, table

from cxrbench.datasets.manifest_csv.columns import ColumnMap, Columns
from cxrbench.plugins import load_plugins
from cxrbench.registry import KINDS
from cxrbench.specs import Cycle, RunSpec, TrainingSpec
from cxrbench.testing import checks_for
from cxrbench.tuning.search import Parameter, Search

COMMANDS = commands.page()
PAGES = {kind: kinds.page(kind) for kind in KINDS}


def prose(page):
    return re.sub(r"^```.*?^```", "", page, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("path", [path for path, _ in commands.commands()])
def test_every_command_has_a_section_with_its_options_and_an_example(path):
    section = COMMANDS.partition(f"## {path}\n")[2].partition("\n## ")[0]
    command = dict(commands.commands())[path]
    named = set(re.findall(r"--[a-z-]+", section))
    options = {name for each in command.params for name in each.opts if name.startswith("--")}
    assert options - named <= {"--json", "--quiet", "--debug", "--help"}
    assert "```console\n$ cxrbench" in section


def test_help_texts_are_plain():
    assert "\x1b" not in COMMANDS
    assert "│" not in COMMANDS


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_of_a_kind_has_what_to_implement_and_all_that_comes_along(kind):
    page = PAGES[kind]
    methods = [name for name, each in vars(kinds.protocol_of(kind)).items() if not name.startswith("_")]
    assert methods
    for name in methods:
        assert re.search(rf"^(def )?{name}\b", page, re.MULTILINE), name
    for component in load_plugins([]).registry.all(kind):
        assert f"\n### {component.name}\n" in page
        assert component.summary in page
    for check in checks_for(kind):
        assert f"| `{check.name}` |" in page
    assert f"](kinds/{kind}.md)" in kinds.overview()


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_of_a_kind_shows_what_its_author_begins_with(kind, tmp_path):
    invoke("plugins", "new", f"my-{kind}", "--kind", kind, "--into", tmp_path)
    package = tmp_path / f"cxrbench-my-{kind}" / f"cxrbench_my_{kind}"
    for name in ("__init__.py", f"{kind}.py"):
        assert f"\n{(package / name).read_text().strip()}\n" in PAGES[kind]


@pytest.mark.parametrize("model", [RunSpec, TrainingSpec, Cycle, Search, Parameter, ColumnMap, Columns])
def test_every_setting_is_told_of(model):
    rows = re.findall(r"^\| `(\w+)` \|(.*)\|$", settings.page(), re.MULTILINE)
    named = [name for name, _ in rows]
    assert set(model.model_fields) - {"training", "cycles", "space", "columns", "findings", "values"} <= set(
        named
    )
    for name in attributes(model):
        assert name in model.model_fields


def test_settings_have_options_limits_and_defaults():
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", settings.page(), re.MULTILINE))
    assert rows["crop"].startswith("number > 0, ≤ 1 | `0.9` | `--crop` | share of")
    assert rows["min_positives"].startswith("whole number ≥ 0 | `10` |  | a finding with fewer")
    assert rows["select"].startswith(
        "`macro_auc`, `macro_f1`, `accuracy`, `loss` | `macro_auc` |  | what the kept"
    )
    assert rows["batch_size"].startswith("whole number ≥ 2 or `auto` | `32` | `--batch-size` | images a step")
    assert rows["thresholds"].startswith("component | `dynamic` | `--thresholds` | the strategy")


@pytest.mark.parametrize(
    "page",
    [*PAGES.values(), statistics.page(), settings.page()],
    ids=[*PAGES, "statistics", "settings"],
)
def test_marks_of_docstrings_are_those_of_markdown(page):
    text = prose(page)
    assert ":class:" not in text
    assert ":func:" not in text
    assert "``" not in text
    assert not re.search(r"^(Args|Attributes|Raises):$", text, re.MULTILINE)


def test_every_kind_and_every_plugin_is_in_the_navigation():
    shown = [path for each in docs_site.extending() if isinstance(each, dict) for path in each.values()]
    assert {f"reference/kinds/{kind}.md" for kind in KINDS} < set(shown)
    assert "plugins/cxrbench-openvino/README.md" in shown


def test_a_docstring_becomes_paragraphs_and_lists():
    class Documented:
        """A figure of :class:`cxrbench.task.Task`, in ``0..1``.

        Attributes:
            low: the lower end,
                as a share.
            high: the upper end.

        Raises:
            ValueError: it is not one.
        """

    assert docstring(Documented) == (
        "A figure of `Task`, in `0..1`.\n\n*Fields*\n\n- `low`: the lower end, as a share.\n"
        "- `high`: the upper end.\n\n*Raises*\n\n- `ValueError`: it is not one.\n"
    )


def test_a_cell_with_a_bar_stays_one_cell():
    assert table(("a", "b"), [("x|y", "two\nlines")]) == "| a | b |\n| --- | --- |\n| x\\|y | two lines |\n"
