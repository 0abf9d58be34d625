"""The kept leaderboard: the same answer, made again when a run comes or goes."""

import pytest
from entrants import Hospital, enter, store_at

from cxrbench.leaderboard import kept, ranking
from cxrbench.leaderboard.kept import boards_in

A = Hospital("hospital A", patients=60)


@pytest.fixture
def store(tmp_path):
    store = store_at(tmp_path / "results")
    enter(store, A, "good", 1.6, (0, 1))
    return store


@pytest.fixture
def computed(monkeypatch):
    """How often boards were made."""
    calls = []
    made = ranking.boards_of

    def counting(*arguments):
        calls.append(arguments)
        return made(*arguments)

    monkeypatch.setattr(ranking, "boards_of", counting)
    return calls


def test_it_is_made_once_and_again_when_runs_change(store, computed):
    first = boards_in(store, "macro_auc")
    # Compared as text, since NaN is not equal to itself.
    assert repr(boards_in(store, "macro_auc")) == repr(first)
    assert len(computed) == 1
    (added,) = enter(store, A, "bad", 0.7, (0,))
    assert len(boards_in(store, "macro_auc")[0].systems) == 2
    assert len(computed) == 2
    store.remove_run(store.find_run(added))
    assert repr(boards_in(store, "macro_auc")) == repr(first)
    assert len(computed) == 3


def test_each_metric_that_ranks_has_its_own(store, computed):
    by_auc, by_brier = boards_in(store, "macro_auc"), boards_in(store, "macro_brier")
    assert (by_auc[0].metric, by_brier[0].metric) == ("macro_auc", "macro_brier")
    assert boards_in(store, "macro_auc")[0].metric == "macro_auc"
    assert len(computed) == 2


@pytest.mark.parametrize("content", ["", "{", "[]", '[{"made_from": "x"}]'])
def test_a_damaged_file_counts_for_nothing(store, computed, content):
    first = boards_in(store, "macro_auc")
    (store.root / "leaderboard" / "macro_auc.json").write_text(content)
    assert repr(boards_in(store, "macro_auc")) == repr(first)
    assert len(computed) == 2


def test_another_version_makes_it_anew(store, computed, monkeypatch):
    boards_in(store, "macro_auc")
    monkeypatch.setattr(kept, "VERSION", "another")
    boards_in(store, "macro_auc")
    assert len(computed) == 2


def test_a_run_that_cannot_be_read_is_warned_of_each_time(store, computed, capsys):
    (run, _) = store.run_names()
    (store.root / "runs" / run / "artifact.json").write_text("{")
    for _ in range(2):
        assert len(boards_in(store, "macro_auc")[0].systems[0].members) == 1
        assert "damaged" in capsys.readouterr().err
    assert len(computed) == 2
