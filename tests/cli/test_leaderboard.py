import shutil
from pathlib import Path

import pytest
from conftest import invoke
from entrants import FINDINGS, Hospital, enter, store_at
from PIL import Image

A, B = Hospital("hospital A", patients=60), Hospital("hospital B", patients=60)
OLD = Path(__file__).parent.parent / "fixtures" / "store_v1"


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    store = store_at(tmp_path_factory.mktemp("cli") / "results")
    enter(store, A, "good", 1.6, (0, 1))
    enter(store, A, "bad", 0.7, (0, 1))
    enter(store, B, "good", 1.2, (0,))
    return store.root


def test_it_answers_in_the_terminal_with_a_table_for_each_test_set(results):
    shown = invoke("leaderboard", "--results", results).stdout
    assert shown.index("hospital A: ranked by AUC") < shown.index("hospital B: ranked by AUC")
    # Folded, with the other columns in between.
    assert "unknown)" in shown
    assert "always the prevalence" in shown
    assert "Not for clinical use." in shown


def test_json_has_the_boards(results):
    boards = invoke("leaderboard", "--results", results, "--json").json["boards"]
    assert [board["data"] for board in boards] == ["hospital A", "hospital B"]
    assert [system["name"] for system in boards[0]["systems"]] == ["good", "bad"]
    assert sorted(boards[0]["systems"][0]["findings"]) == sorted(FINDINGS)
    assert boards[0]["systems"][0]["costs"]["flops"] is None


def test_one_test_set_is_chosen_by_its_passport(results):
    asked = ("leaderboard", "--results", results, "--json", "--passport")
    (board,) = invoke(*asked, A.cohort.passport).json["boards"]
    assert board["data"] == "hospital A"
    wrong = invoke(*asked, "ffff")
    assert wrong.exit_code == 2
    assert "hospital B" in wrong.stderr


def test_columns_and_the_metric_that_ranks_are_chosen(results):
    asked = ("leaderboard", "--results", results, "--columns", "macro_f1,parameters")
    shown = invoke(*asked, "--sort", "macro_brier").stdout
    assert "ranked by Brier ↓" in shown
    head = next(line for line in shown.splitlines() if line.startswith("group"))
    assert head.split() == ["group", "system", "seeds", "Brier", "↓", "F1", "parameters"]
    for wrong in (("--columns", "macro_auk"), ("--sort", "macro_ack")):
        answer = invoke("leaderboard", "--results", results, *wrong)
        assert answer.exit_code == 2
        assert "macro_auc" in answer.stderr


def test_figures_are_drawn_in_each_form(results, tmp_path):
    forms = ("--format", "png", "--format", "svg", "--format", "pdf")
    answer = invoke("leaderboard", "--results", results, "--figures", tmp_path / "out", *forms, "--json")
    files = sorted(path.name for path in (tmp_path / "out").iterdir())
    expected = [
        f"{A.cohort.passport}-{name}.{form}"
        for name in ("systems", "differences")
        for form in ("png", "svg", "pdf")
    ]
    expected += [f"{B.cohort.passport}-systems.{form}" for form in ("png", "svg", "pdf")]
    assert files == sorted(expected)
    assert sorted(Path(path).name for path in answer.json["files"]) == files
    for path in (tmp_path / "out").glob("*.png"):
        with Image.open(path) as image:
            assert min(image.size) > 100
            assert len(image.convert("L").getcolors()) > 10
    assert all(path.read_bytes().startswith(b"%PDF") for path in (tmp_path / "out").glob("*.pdf"))


def test_runs_of_an_old_store_are_shown_with_a_dash_and_it_is_said(tmp_path):
    shutil.copytree(OLD, tmp_path / "results")
    answer = invoke("leaderboard", "--results", tmp_path / "results", "--html", tmp_path / "page.html")
    assert answer.exit_code == 0
    assert "2 runs without replicates" in answer.stdout
    assert (tmp_path / "page.html").stat().st_size > 10_000


def test_an_empty_store_and_none_are_told_apart(tmp_path):
    assert invoke("leaderboard", "--results", tmp_path / "none").exit_code == 2
    enter_none = store_at(tmp_path / "empty")
    enter_none.log_label_read("test", "labels", "nobody", "evaluate")
    answer = invoke("leaderboard", "--results", tmp_path / "empty", "--html", tmp_path / "page.html")
    assert answer.exit_code == 0
    assert "no runs" in answer.stdout
    assert "no runs" in (tmp_path / "page.html").read_text()
