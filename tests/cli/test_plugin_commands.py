"""Commands of plugins, of packages as pip leaves them: listed from metadata, imported when they are used."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import cxrbench
from cxrbench.commands import BUILT_IN

ROOT = Path(cxrbench.__file__).parents[1]

GREETING = """
import click

@click.command()
@click.argument("name", type=click.Choice(["you", "all"]))
def greet(name):
    print(f"hello {name}")

@click.group()
def many():
    pass

many.add_command(greet)
"""


def package(site, name, text, commands, summary="A test's package"):
    """A distribution with commands, whose module leaves a file where it is imported."""
    marking = "from pathlib import Path\nPath(__file__).with_suffix('.met').touch()\n"
    (site / f"{name}_commands.py").write_text(marking + text)
    info = site / f"{name}-2.0.dist-info"
    info.mkdir()
    told = f"Metadata-Version: 2.1\nName: {name}\nVersion: 2.0\n" + (
        f"Summary: {summary}\n" if summary else ""
    )
    (info / "METADATA").write_text(told)
    lines = [f"{command} = {name}_commands:{attribute}\n" for command, attribute in commands.items()]
    (info / "entry_points.txt").write_text("[cxrbench.commands.v1]\n" + "".join(lines))
    return site / f"{name}_commands.met"


def start(site, *arguments, **more):
    environment = {
        **os.environ,
        "PYTHONPATH": f"{site}{os.pathsep}{ROOT}",
        "TERM": "dumb",
        "COLUMNS": "120",
        **more,
    }
    line = [sys.executable, "-m", "cxrbench", *arguments]
    return subprocess.run(line, cwd=site, env=environment, capture_output=True, text=True, check=False)


def test_a_command_is_listed_by_its_package_and_imported_when_used(tmp_path):
    met = package(tmp_path, "greeter", GREETING, {"greet": "greet", "many": "many"})
    told = start(tmp_path, "--help")
    assert told.returncode == 0
    line = next(line for line in told.stdout.splitlines() if " greet " in line)
    assert "A test's package (greeter)" in line
    assert " many " in told.stdout
    assert not met.exists()
    assert start(tmp_path, "show", "--help").returncode == 0
    assert not met.exists()

    done = start(tmp_path, "greet", "you")
    assert (done.returncode, done.stdout, done.stderr) == (0, "hello you\n", "")
    assert met.exists()
    assert start(tmp_path, "many", "greet", "all").stdout == "hello all\n"
    assert "you|all" in start(tmp_path, "greet", "--help").stdout
    assert start(tmp_path, "greet", "nobody").returncode == 2


def test_plugins_list_names_commands_without_importing_them(tmp_path):
    met = package(tmp_path, "greeter", GREETING, {"greet": "greet"}, summary="")
    (row,) = json.loads(start(tmp_path, "plugins", "list", "--json").stdout)
    assert (row["name"], row["distribution"], row["status"], row["reason"]) == (
        "greet",
        "greeter 2.0",
        "command",
        "",
    )
    assert row["module"] == "greeter_commands:greet"
    assert "A command. (greeter)" in start(tmp_path, "--help").stdout
    assert not met.exists()


BROKEN = {
    "raises": ("raise RuntimeError('no [licence]')", "RuntimeError: no [licence]"),
    "exits": ("import sys; sys.exit('licence expired')", "SystemExit: licence expired"),
    "lacks": ("", "has no attribute 'greet'"),
    "misses": ("import no_such_library_here", "no_such_library_here"),
    "no_command": ("def greet(): pass", "greeter_commands:greet is no click command but function"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_command_that_cannot_be_imported_says_why_and_leaves_others_alone(tmp_path, case):
    text, said = BROKEN[case]
    package(tmp_path, "greeter", text, {"greet": "greet"})
    package(tmp_path, "sound", GREETING, {"other": "greet"})
    done = start(tmp_path, "greet", "you")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: The command 'greet' of greeter 2.0 cannot be used: ")
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "Traceback" in start(tmp_path, "greet", "--debug").stderr
    assert start(tmp_path, "other", "you").stdout == "hello you\n"
    assert "greet" in start(tmp_path, "--help").stdout
    assert start(tmp_path, "plugins", "list").returncode == 0


def test_a_command_does_not_take_the_place_of_another(tmp_path):
    met = package(tmp_path, "greeter", GREETING, {"plugins": "greet", "greet": "greet"})
    package(tmp_path, "second", GREETING, {"greet": "greet"})
    assert "import" in start(tmp_path, "plugins", "list").stdout
    rows = {
        (row["name"], row["distribution"]): row
        for row in json.loads(start(tmp_path, "plugins", "list", "--json").stdout)
    }
    assert {row["status"] for row in rows.values()} == {"set aside"}
    shadowing = rows["plugins", "greeter 2.0"]["reason"]
    assert shadowing == "its command 'plugins' has the name of one of cxrbench; its authors should rename it"
    both = "the command 'greet' comes from both greeter 2.0 and second 2.0; uninstall one of them"
    assert rows["greet", "greeter 2.0"]["reason"] == rows["greet", "second 2.0"]["reason"] == both

    done = start(tmp_path, "greet", "you")
    assert done.returncode == 1
    assert both in done.stderr
    told = start(tmp_path, "--help").stdout
    assert " greet " not in told
    assert told.count(" plugins ") == 1
    assert not met.exists()


def test_a_name_that_is_none_is_refused(tmp_path):
    package(tmp_path, "greeter", GREETING, {"Greet_Me": "greet"})
    (row,) = json.loads(start(tmp_path, "plugins", "list", "--json").stdout)
    assert "'Greet_Me' cannot be the name of a command" in row["reason"]
    assert "Greet_Me" not in start(tmp_path, "--help").stdout


def test_an_unknown_command_is_one_as_ever(tmp_path):
    done = start(tmp_path, "gret")
    assert done.returncode == 2
    assert "gret" in done.stderr


def completed(site, line):
    words = {"_CXRBENCH_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}
    text = "from cxrbench.cli.main import main; main(prog_name='cxrbench')"
    environment = {**os.environ, "PYTHONPATH": f"{site}{os.pathsep}{ROOT}", **words}
    told = subprocess.run(
        [sys.executable, "-c", text], cwd=site, env=environment, capture_output=True, text=True, check=False
    )
    return [offer.removeprefix("plain,") for offer in told.stdout.split()], told.stderr


def test_the_shell_completes_commands_and_what_follows_them(tmp_path):
    met = package(tmp_path, "greeter", GREETING, {"greet": "greet"})
    assert completed(tmp_path, "cxrbench gre") == (["greet"], "")
    assert not met.exists()
    assert completed(tmp_path, "cxrbench greet y") == (["you"], "")
    package(tmp_path, "broken", "raise RuntimeError", {"broken": "greet"})
    assert completed(tmp_path, "cxrbench broken y") == ([], "")


def test_names_of_built_in_commands_are_those_of_help(tmp_path):
    told = start(tmp_path, "--help").stdout
    assert all(f" {name} " in told for name in BUILT_IN)
