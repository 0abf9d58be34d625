"""Recipes are read, shown, overridden and refused; what they hold says where it comes from."""

import re
from pathlib import Path

import pytest
from conftest import LIGHT, PHANTOM, invoke, job_of

from cxrbench.errors import UsageError
from cxrbench.grid import cells
from cxrbench.plugins import installed
from cxrbench.recipes import FOLDER, combined, names, read
from cxrbench.recipes.page import page
from cxrbench.recipes.smoke import smaller
from cxrbench.recipes.suite import runs_of
from cxrbench.specs import read_config
from cxrbench.training.schedule import most_epochs

ROOT = Path(__file__).parents[2]
MINE = """
dataset = "{dataset}"
backbone = "{backbone}"
thresholds = ["youden", "dynamic"]
[training]
epochs = 2
precision = "fp32"
[recipe]
title = "Mine"
source = "nobody"
"""


@pytest.fixture
def mine(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(MINE.format(dataset=PHANTOM, backbone=LIGHT))
    return path


@pytest.mark.parametrize("name", names())
def test_every_recipe_is_a_set_of_runs(name):
    specs = cells(read(name).given, {}, (), installed().registry)
    several = {"resnet50_gray": 3, "vgg16_finetuned": 2, "resnet152_finetuned": 4, "chexnet_finetuned": 3}
    assert len(specs) == several.get(name, len(specs))
    assert {spec.dataset.name for spec in specs} == {"nih"}


@pytest.mark.parametrize("name", names())
def test_whatever_number_a_recipe_has_is_followed_by_where_it_comes_from(name):
    settings = read(name).text.partition("[recipe]")[0]
    numbered = [line for line in settings.splitlines() if re.search(r"=.*\d", line.partition("#")[0])]
    # What is searched has one source, beside the table's name.
    body, _, searched = settings.partition("[search.space]")
    assert not searched or searched.startswith("  # D")
    for line in numbered:
        if line in body:
            assert re.search(r"#.*\b([ABCDW](, |:| )|ours)", line), line


def test_the_page_of_the_docs_is_what_the_recipes_say():
    committed = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")
    assert committed == page([read(name) for name in names()]), (
        "run 'python -m cxrbench recipes --markdown > docs/recipes.md'"
    )


def test_the_list_names_every_recipe_with_its_source():
    listed = invoke("recipes", "--json").json
    assert [entry["name"] for entry in listed] == names()
    assert all(entry["title"] and re.match(r"[ABCD]: ", entry["source"]) for entry in listed)


def test_a_recipe_is_shown_as_it_is():
    shown = invoke("recipes", "show", "fused_cnn").stdout
    assert shown == (FOLDER / "fused_cnn.toml").read_text(encoding="utf-8")


def test_a_file_of_ones_own_is_run_and_overridden(mine, tmp_path):
    results = ("--results", tmp_path / "r", "--json")
    answer = invoke("run", "--recipe", mine, *results)
    assert answer.exit_code == 0, answer.stderr
    assert [run["thresholds"] for run in answer.json["runs"]] == ["youden", "dynamic"]
    assert [run["spec"]["training"]["epochs"] for run in answer.json["runs"]] == [2, 2]
    again = invoke("run", "--recipe", mine, "--thresholds", "youden", *results)
    assert again.json["trainings"] == 0
    assert [run["run_id"] for run in again.json["runs"]] == [answer.json["runs"][0]["run_id"]]
    # The same file for --config: what it says of itself is no setting.
    assert invoke("run", "--config", mine, "--dry-run", *results).json["trainings"] == 0


def test_few_images_of_each_role_are_the_same_ones_every_time(mine, tmp_path):
    smoke = ("run", "--recipe", mine, "--smoke", "--thresholds", "youden", "--json", "--results")
    (first,) = invoke(*smoke, tmp_path / "a").json["runs"]
    assert set(first["passport"]["images"].values()) == {16}
    again = job_of(tmp_path / "b", **{**smaller(read(str(mine)).given), "thresholds": "youden"})
    assert again.passport.record() == first["passport"]
    assert first["passport"]["dataset"] == "phantom"
    assert first["spec"]["training"]["epochs"] == 1


def test_smoke_keeps_what_else_is_asked_for(mine, tmp_path):
    options = ("--smoke", "--dataset", PHANTOM, "--epochs", 2, "--image-size", 96, "--dry-run", "--json")
    planned = invoke("run", "--recipe", mine, *options, "--results", tmp_path)
    spec = planned.json["runs"][0]["spec"]
    assert spec["dataset"]["options"]["train_val"] == 240
    assert (spec["training"]["epochs"], spec["image_size"]) == (2, 96)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("bacbone = 'x'", "no setting 'bacbone'; did you mean backbone"),
        ("learning_rate = 1", "write training.learning_rate"),
        ("[recipe]\ntitel = 'x'", "'titel' in \\[recipe\\]; did you mean title"),
        ("loss = 'cross_entropy'", "The loss 'cross_entropy' works on singlelabel tasks"),
        ("thresholds = 'argmax'", "The thresholds 'argmax' works on singlelabel tasks"),
        ("task = 'single_label'\nthresholds = 'youden'", "The thresholds 'youden' works on multilabel tasks"),
        ("task = 'single_label'\nloss = 'bce'", "The loss 'bce' works on multilabel tasks"),
        ("task = 'single_label:rest=Effusion'", "the class 'Effusion' twice"),
        ("decision = 'no_finding_exclusive'", "needs a class 'No Finding'"),
        ("backbone = 'torchvision/resnet18'\ntraining = { trainable = 'layer9' }", "layer9"),
    ],
)
def test_what_does_not_fit_is_refused_before_any_work(tmp_path, line, sentence):
    path = tmp_path / "wrong.toml"
    about = "" if "[recipe]" in line else "[recipe]\ntitle = 'x'\nsource = 'y'\n"
    path.write_text(f"dataset = '{PHANTOM}'\n{line}\n{about}")
    answer = invoke("run", "--recipe", path, "--results", tmp_path / "r", "--json")
    assert answer.exit_code == 2
    assert re.search(sentence, " ".join(answer.stderr.split())), answer.stderr
    assert not list(tmp_path.glob("r/runs/*"))


def test_a_recipe_that_there_is_not_is_refused_with_the_near_names():
    answer = invoke("run", "--recipe", "fused_cn")
    assert answer.exit_code == 2
    assert "did you mean fused_cnn" in answer.stderr


def test_a_file_without_its_table_is_refused(tmp_path):
    path = tmp_path / "bare.toml"
    path.write_text("dataset = 'phantom'\n")
    with pytest.raises(UsageError, match="no table"):
        read(str(path))


# Suites


def test_a_suite_overrides_all_its_recipes_or_one():
    suite = {
        "recipe": ["vgg16_features", "fused_cnn"],
        "image_size": 64,
        "training": {"epochs": 2},
        "override": {"fused_cnn": {"image_size": 250}},
    }
    first, second = runs_of(suite, (), as_published=False)
    assert (first["image_size"], second["image_size"]) == (64, 250)
    assert first["training"]["epochs"] == second["training"]["epochs"] == 2
    assert first["training"]["batch_size"] == 32  # the recipe's own
    whole = runs_of(suite, (), as_published=True)
    assert [each["training"]["epochs"] for each in whole] == [20, 30]
    (only,) = runs_of(suite, ("fused_cnn",), as_published=False)
    assert only["image_size"] == 250
    with pytest.raises(UsageError, match="did you mean fused_cnn"):
        runs_of({**suite, "override": {"fused": {}}}, (), as_published=False)


def test_settings_of_training_are_combined_one_by_one():
    combination = combined({"seed": 1, "training": {"epochs": 3}}, {"training": {"batch_size": 4}})
    assert combination == {"seed": 1, "training": {"epochs": 3, "batch_size": 4}}


def test_the_suite_of_the_literature_has_every_recipe():
    suite = read_config(ROOT / "benchmarks" / "suites" / "literature.toml")
    assert suite["recipe"] == names()
    specs = [
        spec
        for given in runs_of(suite, (), as_published=False)
        for spec in cells(given, {}, (), installed().registry)
    ]
    assert {(spec.dataset.name, spec.weights) for spec in specs} == {("phantom", "none")}
    assert max(most_epochs(spec.training) for spec in specs) <= 12
