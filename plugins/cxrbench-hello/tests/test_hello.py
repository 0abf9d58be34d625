"""The smallest plugin, seen as its users see it."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner
from cxrbench_hello.top import Top

from cxrbench.cli.main import main
from cxrbench.plugins import installed
from cxrbench.testing import checks_for

SMALL = ("--dataset", "phantom:train_val=160,test=60", "--backbone", "densenet_fpn:use=patient")


def cxrbench(*arguments: object):
    return CliRunner().invoke(main, [str(each) for each in arguments])


def test_it_is_installed_and_loads_nothing_heavy():
    assert installed().registry.find("thresholds", "top").source.startswith("cxrbench-hello ")
    asked = "import sys, cxrbench_hello; print({'torch', 'numpy', 'pandas'} & set(sys.modules))"
    told = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "set()"


@pytest.mark.parametrize("options", [{}, {"share": 0.4}], ids=str)
@pytest.mark.parametrize("check", checks_for("thresholds"), ids=str)
def test_conformance(check, options):
    check.run(installed().registry.find("thresholds", "top"), options)


def test_as_many_are_called_as_asked_for():
    scores = np.random.default_rng(0).random((1000, 3))
    points = Top(share=0.2).fit(scores, np.zeros((1000, 3)), calibrated=True)
    assert [(scores[:, column] >= point.threshold).sum() for column, point in enumerate(points)] == [200] * 3


def test_help_lists_its_command_and_imports_nothing_of_it():
    asked = (
        "import sys\nfrom cxrbench.cli.main import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print([name for name in sys.modules if name.startswith('cxrbench_hello')], file=sys.stderr)"
    )
    told = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert "hello" in told.stdout
    assert "(cxrbench-hello)" in " ".join(told.stdout.split())
    assert told.stderr.strip() == "[]"


def test_a_run_has_its_row_its_section_and_is_counted(tmp_path):
    results = ("--results", tmp_path / "results")
    done = cxrbench("run", *SMALL, "--epochs", 1, "--thresholds", "top:share=0.3", *results, "--json")
    assert done.exit_code == 0, done.output
    (record,) = json.loads(done.stdout)["runs"]
    assert record["thresholds"] == "top"

    said = cxrbench("hello", *results)
    assert said.stdout == f"Hello! Runs in {tmp_path / 'results'}: 1.\n"
    assert json.loads(cxrbench("hello", *results, "--json").stdout) == {"runs": 1}

    page = tmp_path / "board.html"
    assert cxrbench("leaderboard", "--html", page, *results).exit_code == 0
    html = page.read_text(encoding="utf-8")
    assert "<h3>Hello</h3>" in html
    assert "share called" in html
