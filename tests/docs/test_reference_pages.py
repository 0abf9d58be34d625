"""Pages that are made of the code have all of it, as plain Markdown."""

import re

import docs_site
import pytest
from docpages import commands, kinds, statistics
from docpages.markdown import docstring, table

from cxrbench.plugins import load_plugins
from cxrbench.registry import KINDS
from cxrbench.testing import checks_for

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


@pytest.mark.parametrize("page", [*PAGES.values(), statistics.page()], ids=[*PAGES, "statistics"])
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
