"""``cxrbench data preview``: a PNG of training images, and which they are."""

import json

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from conftest import invoke, run
from PIL import Image

from cxrbench.architecture import architecture_of
from cxrbench.cli.main import main
from cxrbench.datasets.phantom import Phantom
from cxrbench.plugins import installed
from cxrbench.preview import previews_of
from cxrbench.selection import Selection
from cxrbench.specs import RunSpec, resolve
from cxrbench.training.checkpoint import load_own_weights
from cxrbench.training.views import central_view, normalised

SMALL = "phantom:train_val=40,test=20"


def preview(*arguments):
    return CliRunner().invoke(main, ["data", "preview", "--dataset", SMALL, *map(str, arguments)])


def previews(images=3, **given):
    registry = installed().registry
    return previews_of(resolve({"dataset": SMALL, **given}, registry), registry, None, images)


def selected():
    return Selection().of(Phantom(train_val=40, test=20).read(None))


def test_a_png_is_written_and_its_path_said(tmp_path):
    path = tmp_path / "shown.png"
    answer = preview("--images", 2, "--output", path)
    assert answer.exit_code == 0
    assert answer.stdout.strip() == str(path)
    with Image.open(path) as image:
        assert image.format == "PNG"
        width, height = image.size
        assert width > height > 300
    assert not (tmp_path / "results").exists()


def test_json_names_file_images_and_settings(tmp_path):
    path = tmp_path / "shown.png"
    answer = json.loads(
        preview(
            *("--images", 2, "--output", path, "--json", "--augmentation", "fpn_fusion:blur=1,degrees=7"),
            *("--preprocessing", "equalize", "--crop", 0.5, "--image-size", 32, "--seed", 3),
        ).stdout
    )
    train = selected().roles.loc[lambda roles: roles == "train"].index
    assert len(answer["images"]) == 2
    assert set(answer["images"]) <= set(train)
    del answer["images"]
    assert answer.pop("resizer") == "none"
    assert answer.pop("run") is None
    assert answer == {
        "path": str(path),
        "dataset": SMALL,
        "preprocessing": "equalize",
        "augmentation": "fpn_fusion:blur=1.0",
        "image_size": 32,
        "crop": 0.5,
        "seed": 3,
    }


def test_a_folder_that_is_not_there_is_refused_before_any_work(tmp_path):
    answer = preview("--output", tmp_path / "absent" / "x.png")
    assert answer.exit_code == 2
    assert "There is no folder" in answer.stderr


@pytest.mark.parametrize("option", [("--augmentation", "sharp"), ("--crop", "1.5"), ("--image-size", "8")])
def test_wrong_settings_are_refused(option, tmp_path):
    assert preview(*option, "--output", tmp_path / "x.png").exit_code == 2


def test_images_follow_from_the_seed():
    assert [p.image_id for p in previews()] == [p.image_id for p in previews(5)][:3]
    assert [p.image_id for p in previews()] != [p.image_id for p in previews(seed=1)]


def test_findings_are_those_of_the_labels():
    labels = selected().collection.labels
    for shown in previews(8):
        present = tuple(labels.columns[labels.loc[shown.image_id] == 1])
        assert shown.findings == (present or ("No Finding",))


def test_pictures_are_what_a_run_sees():
    (shown,) = previews(1, preprocessing="equalize", image_size=40)
    assert (shown.original == Phantom(train_val=40, test=20).pixels(None, shown.image_id, 45)).all()
    assert (shown.preprocessed != shown.original).any()
    stored = torch.from_numpy(shown.preprocessed.copy())[None, None]
    assert np.array_equal(shown.evaluation, central_view(stored, 40, 0.9)[0, 0].numpy())
    assert len({view.tobytes() for view in shown.training}) == 3


def test_without_augmentation_training_sees_what_evaluation_does():
    (shown,) = previews(1, augmentation="none", image_size=40)
    assert all(np.array_equal(view, shown.evaluation) for view in shown.training)
    assert shown.preprocessed is shown.original


def test_what_is_shown_is_selected_as_for_a_run(tmp_path):
    train = selected().roles.loc[lambda roles: roles == "train"].index
    left, path = sorted(train)[:2], tmp_path / "x.png"
    (tmp_path / "out.txt").write_text("\n".join(set(train) - set(left)))
    (tmp_path / "new.csv").write_text(f"image_id,Mass\n{left[0]},1\n")
    shown = previews(exclude=str(tmp_path / "out.txt"), labels=str(tmp_path / "new.csv"))
    assert sorted(each.image_id for each in shown) == left
    assert "Mass" in next(each.findings for each in shown if each.image_id == left[0])
    answer = preview("--exclude", tmp_path / "out.txt", "--output", path, "--json")
    assert sorted(json.loads(answer.stdout)["images"]) == left
    by_patient = [each.image_id for each in previews(16, split="patient")]
    assert by_patient != [each.image_id for each in previews(16)]
    assert preview("--split", "patient", "--sampler", "limit", "--output", path).exit_code == 0


def test_without_a_training_image_it_says_so(tmp_path):
    (tmp_path / "out.txt").write_text("\n".join(selected().roles.loc[lambda r: r == "train"].index))
    answer = preview("--exclude", tmp_path / "out.txt", "--output", tmp_path / "x.png")
    assert answer.exit_code == 1
    assert "has no images for train" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_the_resizer_is_shown_as_it_is_before_training():
    (shown,) = previews(1, image_size=40, resizer="learnable:side=24", backbone="fused_cnn")
    assert shown.resized.shape == (24, 24, 3)
    assert shown.resized.min() >= 0
    assert shown.resized.max() <= 1
    again, other = (
        previews(1, image_size=40, resizer="learnable:side=24", backbone="fused_cnn", seed=seed)[0]
        for seed in (0, 1)
    )
    assert np.array_equal(shown.resized, again.resized)
    assert not np.array_equal(shown.resized, other.resized)
    assert previews(1)[0].resized is None


def test_a_runs_resizer_is_shown_as_it_was_trained(tmp_path):
    settings = ("--image-size", 48, "--set", "images_per_role=16", "--set", "min_positives=0")
    config = tmp_path / "run.toml"
    config.write_text('resizer = "learnable:side=32,filters=4"\naugmentation = "none"\n')
    line = ("--config", config, *settings, "--epochs", 1)
    (made,) = run(tmp_path / "r", *line, backbone="timm/test_resnet").json["runs"]
    path = tmp_path / "x.png"
    given = ("--run", made["run_id"], "--results", tmp_path / "r", "--output", path, "--json")
    answer = invoke("data", "preview", *given, "--images", 1)
    assert answer.json["run"] == made["run_id"]
    assert answer.json["resizer"] == "learnable:side=32,filters=4"
    assert answer.json["image_size"] == 48
    refused = invoke("data", "preview", *given, "--resizer", "none")
    assert refused.exit_code == 2
    assert "leave --resizer out" in refused.stderr

    spec = RunSpec.model_validate(made["spec"])
    registry = installed().registry
    weights = tmp_path / "r" / made["weights"]
    (shown,) = previews_of(spec, registry, None, 1, weights)
    network = architecture_of(spec, registry).build(14, 48, False).eval()
    load_own_weights(network, weights)
    backbone = architecture_of(spec, registry)
    view = torch.from_numpy(shown.evaluation)[None, None]
    with torch.no_grad():
        resized = network.resizer(normalised(view, backbone.mean, backbone.std))[0]
    undone = resized * torch.tensor(backbone.std)[:, None, None] + torch.tensor(backbone.mean)[:, None, None]
    np.testing.assert_allclose(shown.resized, undone.clamp(0, 1).permute(1, 2, 0), atol=1e-6)
