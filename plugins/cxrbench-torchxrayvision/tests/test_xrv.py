"""Torchxrayvision's networks in cxrbench: the library's own classes, with random weights, are the oracle."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torchxrayvision as xrv
from click.testing import CliRunner
from cxrbench_torchxrayvision.networks import PUBLISHED, XrvNetwork
from safetensors.torch import save_file

from cxrbench.backbones.weights import load_weights
from cxrbench.cli.main import main
from cxrbench.errors import CxrbenchError, UsageError
from cxrbench.findings import NIH_FINDINGS
from cxrbench.plugins import installed
from cxrbench.testing import checks_for
from cxrbench.training.views import normalised

torch.set_num_threads(1)

NIH = "densenet121-res224-nih"
SMALL = ("--dataset", "phantom:train_val=160,test=60", "--image-size", "64", "--precision", "fp32")


def test_it_is_installed_and_loads_nothing_heavy():
    (family,) = [c for c in installed().registry.all() if c.name == "xrv/*"]
    assert family.source.startswith("cxrbench-torchxrayvision ")
    asked = "import sys, cxrbench_torchxrayvision; print({'torch', 'torchxrayvision'} & set(sys.modules))"
    told = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "set()"


@pytest.mark.parametrize("check", checks_for("backbone"), ids=str)
def test_conformance(check):
    component = installed().registry.find("backbone", f"xrv/{NIH}")
    check.run(component, {"findings": ["Effusion", "Mass", "Hernia"]})


def library_network(name=NIH):
    torch.manual_seed(0)
    network = xrv.models.DenseNet(num_classes=len(xrv.models.model_urls[name]["labels"]))
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    return network.eval()


def loaded(backbone, path):
    network = backbone.build(len(backbone.classes), 64, False)
    load_weights(network, path, whole=True)
    return network.eval()


def pictures(count=6, side=64):
    return np.random.default_rng(0).integers(0, 256, (count, side, side), dtype=np.uint8)


def as_cxrbench_sees(backbone, images):
    return normalised(torch.from_numpy(images[:, None]).float() / 255, backbone.mean, backbone.std)


def test_densenet_gives_the_logits_of_the_library(tmp_path):
    network, images = library_network(), pictures()
    save_file(network.state_dict(), tmp_path / "nih.safetensors")
    theirs = torch.stack([torch.from_numpy(xrv.utils.normalize(image, 255))[None] for image in images])
    backbone = XrvNetwork(name=NIH)
    ours = loaded(backbone, tmp_path / "nih.safetensors")
    with torch.inference_mode():
        expected, found = network(theirs), ours(as_cxrbench_sees(backbone, images))
    assert backbone.classes == NIH_FINDINGS
    places = [xrv.models.model_urls[NIH]["labels"].index(finding) for finding in backbone.classes]
    torch.testing.assert_close(found, expected[:, places], rtol=1e-4, atol=1e-4)

    # The library scales probabilities by its operating points: the order of images stays.
    points = torch.tensor(xrv.models.model_urls[NIH]["op_threshs"])
    scaled = xrv.models.op_norm(torch.sigmoid(expected), points)[:, places]
    by_logit = scaled.gather(0, expected[:, places].argsort(dim=0))
    assert (by_logit.diff(dim=0) >= 0).all()


def test_weights_saved_by_the_library_with_its_operating_points_fit(tmp_path):
    network = library_network()
    network.op_threshs = torch.tensor(xrv.models.model_urls[NIH]["op_threshs"])
    torch.save(network.state_dict(), tmp_path / "nih.pt")
    assert "op_threshs" in network.state_dict()
    ours = loaded(XrvNetwork(name=NIH), tmp_path / "nih.pt")
    assert torch.equal(ours.network.classifier.weight, network.classifier.weight)


def test_resnet_gives_what_the_library_gives(tmp_path):
    name = "resnet50-res512-all"
    backbone = XrvNetwork(name=name)
    torch.manual_seed(0)
    random = backbone.build(len(backbone.classes), 512, False)
    file = tmp_path / Path(xrv.models.model_urls[name]["weights_url"]).name
    torch.save(random.network.state_dict(), file)
    library = xrv.models.ResNet(weights=name, cache_dir=str(tmp_path))
    torch.save(library.state_dict(), tmp_path / "all of it.pt")
    for path in (file, tmp_path / "all of it.pt"):
        ours, images = loaded(backbone, path), pictures(1, 512)
        theirs = torch.from_numpy(xrv.utils.normalize(images[0], 255))[None, None]
        with torch.inference_mode():
            expected = library(theirs)
            logits = ours(as_cxrbench_sees(backbone, images))
        places = [library.targets.index(finding) for finding in backbone.classes]
        points = library.op_threshs[places]
        torch.testing.assert_close(xrv.models.op_norm(torch.sigmoid(logits), points), expected[:, places])


def test_a_whole_model_is_refused_since_reading_it_runs_code(tmp_path):
    torch.save(library_network(), tmp_path / "nih.pt")
    with pytest.raises(CxrbenchError, match=r"refused .* could run code; .* save its state_dict\(\)"):
        loaded(XrvNetwork(name=NIH), tmp_path / "nih.pt")


@pytest.mark.parametrize("name", PUBLISHED)
def test_findings_are_those_it_was_trained_on(name):
    labels = xrv.models.model_urls[name]["labels"]
    assert XrvNetwork(name=name).classes == tuple(f for f in NIH_FINDINGS if f in labels)
    assert "" not in XrvNetwork(name=name).classes


def test_what_it_does_not_know_is_refused():
    with pytest.raises(UsageError, match=r"no network 'densenet121-res224-nhi'; did you mean xrv/.*nih"):
        XrvNetwork(name="densenet121-res224-nhi")
    with pytest.raises(UsageError, match="cannot be asked for 'Hernia': it was trained on"):
        XrvNetwork(name="densenet121-res224-chex", findings=("Effusion", "Hernia"))
    with pytest.raises(UsageError, match="14 findings, not 3"):
        XrvNetwork(name=NIH).build(3, 64, False)
    asked = XrvNetwork(name="densenet121-res224-chex", findings=("Fracture", "Lung Lesion"))
    assert asked.classes == ("Fracture", "Lung Lesion")


def cxrbench(*arguments):
    return CliRunner().invoke(main, [str(each) for each in arguments])


def test_it_enters_as_an_evaluation_only_system(tmp_path):
    save_file(library_network().state_dict(), tmp_path / "xrv.safetensors")
    results = ("--results", tmp_path / "results", "--json")
    weights = ("--weights", tmp_path / "xrv.safetensors")
    done = cxrbench("run", *SMALL, "--backbone", f"xrv/{NIH}", *weights, *results)
    assert done.exit_code == 0, done.output
    (run,) = json.loads(done.stdout)["runs"]
    record = json.loads((Path(run["path"]) / "run.json").read_text())
    assert record["parameters"] == sum(p.numel() for p in library_network().parameters())
    assert record["flops"] > 1e6
    assert record["training_seconds"] is record["optimizer"] is record["trained_on"] is None
    assert record["passport"]["shared_patients"]["train/test"] is None
    assert record["tune"] == "tune"
    assert record["spec"]["crop"] == 1
    log = (tmp_path / "results" / "label_reads.jsonl").read_text().splitlines()
    assert {json.loads(line)["role"] for line in log} == {"tune", "test"}

    # CheXpert has not all of the findings; its table is another one.
    done = cxrbench("run", *SMALL, "--backbone", "xrv/densenet121-res224-chex", *weights, *results)
    assert done.exit_code == 0, done.output
    (run,) = json.loads(done.stdout)["runs"]
    record = json.loads((Path(run["path"]) / "run.json").read_text())
    assert len(record["per_finding"]) == 7
    (note,) = [note for note in record["notes"] if "Left out" in note]
    assert "Infiltration" in note
    assert "Effusion" not in note

    assert cxrbench("verify", "--roles", "--results", tmp_path / "results").exit_code == 0
    board = cxrbench("leaderboard", "--results", tmp_path / "results")
    assert board.exit_code == 0, board.output
    # Random weights are no better than chance, which is said; both are told for what they are.
    assert board.stdout.count("not trained here") == 2


def test_it_needs_its_weights(tmp_path):
    done = cxrbench("run", *SMALL, "--backbone", f"xrv/{NIH}", "--weights", "none", "--results", tmp_path)
    assert done.exit_code == 2
    assert "give their file with --weights FILE" in " ".join(done.stderr.split())
    assert not any(tmp_path.iterdir())


def test_it_is_described():
    done = cxrbench("describe", "--backbone", "xrv/densenet121-res224-chex", "--image-size", "64", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["layers"][-1]["output"] == [18]
