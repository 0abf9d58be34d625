"""What every command has: exit codes, errors of one sentence, and an answer that is alone on stdout."""

import json
import math

import click
import pytest
from click.testing import CliRunner

from cxrbench.cli.common import at_the_end, common
from cxrbench.cli.main import main
from cxrbench.errors import CxrbenchError, UsageError


def command(function):
    return click.command()(common(function))


def raising(error):
    @command
    def fail(output):
        raise error

    return fail


@command
def answer(output):
    output.reporter.say("working")
    output.reporter.warn("careful")
    output.document({"auc": math.nan})
    output.show("AUC of [/all] [bold]findings")


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (
            UsageError("There is no such name; give another."),
            2,
            "Error: There is no such name; give another.",
        ),
        (CxrbenchError("The disk is full; free some."), 1, "Error: The disk is full; free some."),
        (KeyboardInterrupt(), 1, "Interrupted: what is finished is kept"),
    ],
)
@pytest.mark.parametrize("options", [[], ["--json"], ["-q"], ["--debug"]])
def test_errors_are_one_sentence_and_an_exit_code(error, code, said, options):
    result = CliRunner().invoke(raising(error), options)
    assert result.exit_code == code
    assert result.stdout == ""
    assert result.stderr.splitlines()[-1].startswith(said)
    assert ("Traceback" in result.stderr) == (options == ["--debug"])
    assert (len(result.stderr.splitlines()) == 1) == (options != ["--debug"])


def test_a_command_that_keeps_nothing_says_so_where_it_is_interrupted():
    @command
    @at_the_end
    def fail(output):
        raise KeyboardInterrupt

    result = CliRunner().invoke(fail)
    assert result.exit_code == 1
    assert result.stderr == "Error: Interrupted: there is no answer; the same command begins anew.\n"


def test_faults_of_the_program_are_not_hidden():
    assert isinstance(CliRunner().invoke(raising(ZeroDivisionError())).exception, ZeroDivisionError)


def test_json_is_alone_on_stdout_with_nan_as_null():
    result = CliRunner().invoke(answer, ["--json"])
    assert json.loads(result.stdout) == {"auc": None}
    assert result.stderr == "working\nwarning: careful\n"


def test_people_read_text_as_it_is():
    assert CliRunner().invoke(answer).stdout == "AUC of [/all] [bold]findings\n"


def test_quiet_commands_still_warn_and_answer():
    result = CliRunner().invoke(answer, ["-q"])
    assert result.stderr == "warning: careful\n"
    assert result.stdout != ""


@pytest.mark.parametrize(
    "arguments",
    [["rn"], ["list", "colours"], ["run", "--colour", "red"], ["list", "--help=3"]],
)
def test_wrong_use_ends_with_2(arguments):
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert result.stdout == ""


def commands(group, before=()):
    context = click.Context(group)
    for name in group.list_commands(context):
        found = group.get_command(context, name)
        if isinstance(found, click.Group):
            yield from commands(found, (*before, name))
        else:
            yield (*before, name), found


COMMANDS = dict(commands(main))


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_has_the_common_options_and_a_real_example(path):
    options = {option for parameter in COMMANDS[path].params for option in parameter.opts}
    assert options >= {"--json", "-q", "--debug"}
    result = CliRunner().invoke(main, [*path, "--help"])
    assert result.exit_code == 0
    assert "Example: cxrbench " + " ".join(path) in " ".join(result.stdout.split())


@pytest.mark.parametrize("kind", [None, "dataset", "backbone", "loss", "calibrator", "thresholds"])
def test_list_gives_each_component_once(kind):
    result = CliRunner().invoke(main, ["list", *([kind] if kind else []), "--json"])
    found = json.loads(result.stdout)
    assert {tuple(entry) for entry in found} == {("kind", "name", "version", "summary", "from")}
    assert len({(entry["kind"], entry["name"]) for entry in found}) == len(found)
    if kind:
        assert {entry["kind"] for entry in found} == {kind}
    table = CliRunner().invoke(main, ["list", *([kind] if kind else [])]).stdout
    assert len(table.splitlines()) == len(found) + 1
    assert all(entry["name"] in table for entry in found)
