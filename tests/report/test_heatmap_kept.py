"""What was explained of a run and cannot be read any more: the other runs' pages are as they were."""

import json

import pytest
from conftest import invoke
from entrants import Hospital, enter, store_at

A = Hospital("hospital A", patients=60)
TOLD = {
    "schema_version": 1,
    "created": "2026-01-01T00:00:00+00:00",
    "explainer": "gradcam",
    "layer": "features",
    "grid": "2 × 2",
    "pictures": [{"file": "0.jpg", "alt": "alt", "name": "<b>name", "caption": "caption"}],
    "localisation": None,
    "sanity": "",
}


@pytest.fixture
def store(tmp_path):
    store = store_at(tmp_path / "results")
    runs = [
        run
        for system in ("one", "other")
        for run in enter(store, A, system, 1.5, (0,), training=f"train/{system}")
    ]
    for run in runs:
        folder = store.explanations(run)
        folder.mkdir(parents=True)
        (folder / "record.json").write_text(json.dumps(TOLD))
        (folder / "0.jpg").write_bytes(b"\xff\xd8")
    return store


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("{", "is damaged"),
        ("[1]", "is damaged"),
        ({"schema_version": 1, "pictures": []}, "is damaged"),
        ({**TOLD, "pictures": [{**TOLD["pictures"][0], "file": "1.jpg"}]}, "is damaged"),
        ({**TOLD, "pictures": [{**TOLD["pictures"][0], "file": ".."}]}, "is damaged"),
        ({**TOLD, "schema_version": 99}, "newer cxrbench"),
    ],
)
def test_one_that_cannot_be_read_is_warned_of_and_left_out(store, tmp_path, change, said):
    damaged, sound = store.run_names()
    text = change if isinstance(change, str) else json.dumps(change)
    (store.explanations(damaged) / "record.json").write_text(text)
    out = tmp_path / "page.html"
    answer = invoke("leaderboard", "--results", store.root, "--html", out)
    assert answer.exit_code == 0, answer.stderr
    assert said in " ".join(answer.stderr.split())
    page = out.read_text()
    assert page.count("data:image/jpeg") == 1
    assert "&lt;b&gt;name" in page
    assert f"cxrbench explain {damaged} --boxes" in page
    assert f"cxrbench explain {sound} --boxes" not in page


def test_it_goes_with_its_run(store):
    gone, stays = store.run_names()
    store.remove_run(store.find_run(gone))
    assert not store.explanations(gone).exists()
    assert store.explanations(stays).exists()
