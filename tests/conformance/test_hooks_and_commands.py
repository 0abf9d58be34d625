"""``plugins check`` of hooks that hear of runs, and of commands: called and imported in its own process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from distributions import command, install

HOOKS = """
from pathlib import Path
from cxrbench.hookspecs import hookimpl
from cxrbench.sections import Section

@hookimpl
def epoch_ended(epoch):
    {epoch}

@hookimpl
def artifact_written(artifact_id, folder, record):
    {artifact}

@hookimpl
def report_sections(record):
    {report}
"""
SOUND = {
    "epoch": "epoch['epoch']",
    "artifact": "Path('noted').write_text(artifact_id)",
    "report": "return [Section('Findings', [str(len(record['per_finding']))])]",
}
ILL = {
    "epoch": "print('waiting')\n    while True: pass",
    "artifact": "record['files'].clear()",
    "report": "return [Section('Network', [record['backbone'].upper()])]",
}

COMMAND = 'import click\n\n@click.command()\ndef it():\n    "Says hello."\n    print("hello")\n'
COMMANDS = {
    "greet": COMMAND,
    "raising": "raise RuntimeError('no licence')",
    "exiting": "import sys; sys.exit('licence expired')",
    "hanging": "while True: pass",
    "function": "def it(): pass",
    "mute": COMMAND.replace('"Says hello."', "pass"),
    "unhelpful": COMMAND.replace("@click.command()", "@click.command(add_help_option=False)"),
    "run": COMMAND,
}
"""Modules of commands by their names."""


def commands(site: Path, package: str, named: dict[str, str], summary: str = "A test's package") -> None:
    """A distribution that has commands and nothing else."""
    site.mkdir(exist_ok=True)
    info = site / f"{package}-2.0.dist-info"
    info.mkdir()
    told = f"Metadata-Version: 2.1\nName: {package}\nVersion: 2.0\n"
    (info / "METADATA").write_text(told + (f"Summary: {summary}\n" if summary else ""))
    for name, text in named.items():
        (site / f"{package}_{name}.py").write_text(text)
    lines = [f"{name} = {package}_{name}:it\n" for name in named]
    (info / "entry_points.txt").write_text("[cxrbench.commands.v1]\n" + "".join(lines))


def failed(plugin: dict[str, Any]) -> dict[str, dict[str, str]]:
    """What was seen, by part and check."""
    found: dict[str, dict[str, str]] = {}
    for each in plugin["outcomes"]:
        if each["outcome"] == "failed":
            found.setdefault(each["of"], {})[each["check"]] = each["seen"]
    return found


def checked(site: Path, *arguments: object) -> tuple[int, dict[str, dict[str, Any]]]:
    done = command(site, "plugins", "check", "--json", *arguments)
    assert done.stdout, done.stderr
    return done.returncode, {each["name"]: each for each in json.loads(done.stdout)}


@pytest.mark.slow
def test_hooks_are_called_and_a_hanging_one_costs_the_others_nothing(tmp_path: Path) -> None:
    install(tmp_path, "ill", HOOKS.format(**ILL))
    code, plugins = checked(tmp_path, "--seconds", 6)
    assert code == 1
    found = failed(plugins["ill"])
    assert found.keys() == {"hook/epoch_ended", "hook/artifact_written", "hook/report_sections"}
    assert found["hook/epoch_ended"] == {"takes_what_runs_tell": "It did not end within 6 s and was stopped."}
    changed = found["hook/artifact_written"]["leaves_alone_what_it_is_given"]
    assert changed.endswith("it changes record.")
    raised = found["hook/report_sections"]["takes_what_runs_tell"]
    assert raised.startswith("Of scored-one-")
    assert "it raises AttributeError" in raised


@pytest.mark.slow
def test_a_plugin_of_sound_hooks_conforms_and_leaves_nothing_behind(tmp_path: Path) -> None:
    install(tmp_path, "sound", HOOKS.format(**SOUND))
    # Others are not told: this one would say so in its trace.
    install(
        tmp_path, "other", HOOKS.format(**{**SOUND, "artifact": f"Path({str(tmp_path / 'told')!r}).touch()"})
    )
    code, plugins = checked(tmp_path, "sound")
    assert code == 0
    assert plugins["sound"]["conforms"]
    of = [each["of"] for each in plugins["sound"]["outcomes"]]
    assert list(dict.fromkeys(of)) == [
        "plugin",
        "hook/epoch_ended",
        "hook/artifact_written",
        "hook/report_sections",
    ]
    assert not (tmp_path / "told").exists()
    assert not Path("noted").exists()


@pytest.fixture(scope="module")
def ill_commands(tmp_path_factory: pytest.TempPathFactory) -> Path:
    site = tmp_path_factory.mktemp("commands")
    commands(site, "ill", COMMANDS, summary="")
    return site


def test_commands_are_imported_and_asked_for_help(ill_commands: Path) -> None:
    code, plugins = checked(ill_commands, "ill", "--seconds", 6)
    assert code == 1
    found = failed(plugins["ill"])
    assert "RuntimeError: no licence" in found["command/raising"]["is_a_click_command"]
    assert "SystemExit: licence expired" in found["command/exiting"]["is_a_click_command"]
    assert "did not end within 6 s" in found["command/hanging"]["is_a_click_command"]
    assert "is of type function" in found["command/function"]["is_a_click_command"]
    assert "has no help text" in found["command/mute"]["says_what_it_does"]
    assert "ends with exit code 2" in found["command/unhelpful"]["answers_help"]
    assert "has the name of one of cxrbench" in found["command/run"]["has_a_name_of_its_own"]
    assert list(found["command/greet"]) == ["says_what_it_does"]
    assert "no summary" in found["command/greet"]["says_what_it_does"]


def test_a_package_of_commands_alone_is_found_listed_and_conforms(tmp_path: Path) -> None:
    commands(tmp_path, "greeter", {"greet": COMMAND})
    for name in ("greeter", "greet"):
        code, plugins = checked(tmp_path, name)
        assert code == 0
        assert list(plugins) == ["greeter"]
        assert {each["of"] for each in plugins["greeter"]["outcomes"]} == {"command/greet"}
    (row,) = json.loads(command(tmp_path, "plugins", "list", "--json").stdout)
    assert (row["name"], row["status"], row["distribution"]) == ("greet", "command", "greeter 2.0")


def test_commands_of_a_plugin_are_checked_with_it(tmp_path: Path) -> None:
    install(tmp_path, "both", "")
    (tmp_path / "both_command.py").write_text(COMMAND)
    info = tmp_path / "cxrbench_both-1.5.dist-info"
    (info / "METADATA").write_text((info / "METADATA").read_text() + "Summary: A test's\n")
    with (info / "entry_points.txt").open("a") as file:
        file.write("[cxrbench.commands.v1]\nboth = both_command:it\n")
    code, plugins = checked(tmp_path)
    assert code == 0
    assert list(plugins) == ["both"]
    of = list(dict.fromkeys(each["of"] for each in plugins["both"]["outcomes"]))
    assert of == ["plugin", "command/both"]


def test_ill_commands_take_no_other_down(ill_commands: Path) -> None:
    told = command(ill_commands, "--help")
    assert told.returncode == 0
    assert " greet " in told.stdout
    assert command(ill_commands, "greet").stdout == "hello\n"
    assert command(ill_commands, "list", "--json").returncode == 0
    assert "Usage" in command(ill_commands, "run", "--help").stdout
