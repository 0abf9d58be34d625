"""The leaderboard as CSV, Markdown and LaTeX, of systems whose names are markup."""

import csv
import io
import re
import shutil
import subprocess
from dataclasses import replace

import pytest
from conftest import invoke
from entrants import Hospital, enter, store_at

from cxrbench.leaderboard.columns import DEFAULT_COLUMNS
from cxrbench.leaderboard.kept import boards_in
from cxrbench.report.leaderboard_text import as_latex, latex

NAME = r"a|b_c & 50% $x$ #1 {y} ~^ \input{z} <script> [d]"
A, B = Hospital("hospital_A", patients=60), Hospital("hospital B", patients=60)


@pytest.fixture(scope="module")
def answer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("text")
    store = store_at(folder / "results")
    enter(store, A, "good", 1.6, (0, 1))
    enter(store, A, NAME, 1.0, (0,))
    enter(store, A, "broken", 1.6, (0,), sanity=["All outputs are alike."])
    enter(store, B, "good", 1.2, (0,), old=True)
    files = {form: folder / f"board.{form}" for form in ("csv", "md", "tex")}
    options = [each for form, path in files.items() for each in (f"--{form}", path)]
    found = invoke("leaderboard", "--results", store.root, *options, "--json")
    assert found.exit_code == 0, found.stderr
    assert found.json["files"] == [str(path) for path in files.values()]
    return {"json": found.json, **{form: path.read_text() for form, path in files.items()}}


def test_the_csv_holds_what_the_json_says(answer):
    rows = list(csv.DictReader(io.StringIO(answer["csv"])))
    for board in answer["json"]["boards"]:
        for system in board["systems"]:
            (row,) = [
                row
                for row in rows
                if row["passport"] == board["passport"] and row["system"] == " ".join(system["name"].split())
            ]
            figure = system["figures"]["macro_auc"]
            for column, value in (("", figure["value"]), ("_low", figure["low"]), ("_high", figure["high"])):
                told = row[f"macro_auc{column}"]
                assert told == "" if value is None else float(told) == pytest.approx(value, rel=1e-5)
            assert row["group"] == ("" if system["group"] is None else str(system["group"]))
            assert row["runs"].split() == [member["run_id"] for member in system["members"]]
    kinds = [row["kind"] for row in rows]
    assert [kinds.count(kind) for kind in ("system", "not ranked", "null")] == [3, 1, 4]


def test_the_markdown_table_keeps_its_columns(answer):
    parts = [part.splitlines() for part in answer["md"].split("\n\n")]
    tables = [lines for lines in parts if lines[0].startswith("|")]
    # A table for each board, and one of what is not ranked.
    assert len(tables) == 3
    for table in tables:
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in table}
        assert len(widths) == 1
    assert "<script>" not in answer["md"]
    assert r"a\|b" in answer["md"]
    assert "Not ranked" in answer["md"]


def test_the_latex_is_escaped_and_balanced(answer):
    text = answer["tex"]
    assert text.count(r"\begin{table}") == text.count(r"\end{table}") == 2
    assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}")
    assert r"\input{z}" not in text
    for rule in (r"\toprule", r"\midrule", r"\bottomrule"):
        assert rule in text
    rows = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert len({len(re.findall(r"(?<!\\)&", row)) for row in rows[:5]}) == 1
    body = "\n".join(rows)
    assert not re.findall(r"(?<!\\)[#%_]", body)
    assert text.count("{") - text.count(r"\{") == text.count("}") - text.count(r"\}")


@pytest.fixture(scope="module")
def long(tmp_path_factory):
    """A board of thirty systems, of names without a blank and of such with every sign, in three groups."""
    store = store_at(tmp_path_factory.mktemp("long"))
    enter(store, A, "good", 1.6, (0, 1))
    (board,) = boards_in(store, "macro_auc")
    names = (
        NAME,
        "densenet_fpn:use=image,dropout=0.25",
        "torchvision/resnet50:grey=true",
        "[≥ é “x” – ↓ − ×",
    )
    systems = [replace(board.systems[0], name=names[k % 4], group=1 + k // 10) for k in range(30)]
    return as_latex([replace(board, systems=tuple(systems))], DEFAULT_COLUMNS)


def test_a_long_board_is_a_table_over_pages(long, answer):
    assert r"\begin{longtable}" in long
    assert r"\usepackage{booktabs,longtable}" in long
    assert "longtable" not in answer["tex"]
    assert long.count(r"\addlinespace") == 2
    assert r"densenet\_\allowbreak{}fpn:\allowbreak{}use" in long


def test_latex_takes_it(long, answer, tmp_path):
    if shutil.which("pdflatex") is None:
        pytest.skip("there is no pdflatex; Debian has one: apt-get install texlive-latex-recommended")
    for name, text in (("short", answer["tex"]), ("long", long)):
        head = (
            r"\documentclass{article}\usepackage[a4paper,margin=1in]{geometry}\usepackage{booktabs,longtable}"
        )
        (tmp_path / f"{name}.tex").write_text(f"{head}\\begin{{document}}\n{text}\\end{{document}}\n")
        line = ["pdflatex", "-no-shell-escape", "-halt-on-error", "-interaction=nonstopmode", f"{name}.tex"]
        for _ in range(2):  # longtable settles its widths in the second
            made = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, check=False)
            assert made.returncode == 0, made.stdout[-2000:]
        assert "Overfull" not in made.stdout


def test_each_special_character_is_written_out():
    assert latex(r"\&%$#_{}~^") == (r"\textbackslash{}\&\%\$\#\_\{\}\textasciitilde{}\textasciicircum{}")
