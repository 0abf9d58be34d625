"""Every built-in goes through the conformance kit, with its defaults and with options that matter."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from cxrbench.options import Use
from cxrbench.plugins import load_plugins
from cxrbench.registry import KINDS, Kind
from cxrbench.testing import Check, checks_for

REGISTRY = load_plugins([]).registry
MEMBERS = {"timm/*": "timm/test_resnet", "torchvision/*": "torchvision/resnet18"}
"""A small network for each family."""
SMALL_PHANTOM = {"train_val": 60, "test": 20}
SMALL_SEARCH = {"population": 10, "generations": 5, "restarts": 2}
SLOW = {
    ("scratch_cnn_a", "runs_in_bf16"),
    ("compile", "keeps_calls_apart"),
    ("compile", "proves_its_format"),
}
"""By name and check: convolutions of 11×11 take minutes in bf16 where the processor has none; each engine of
``compile`` is compiled anew."""
# By name, with the kind before it where two kinds share a name.
VARIANTS: dict[str, list[dict[str, Any]]] = {
    "single_label": [{}, {"classes": "chestxray8", "rest": "Other"}, {"classes": ("Mass", "Nodule")}],
    "phantom": [SMALL_PHANTOM, {**SMALL_PHANTOM, "label_noise": 0.2, "prevalence_shift": 2.0}],
    "affine": [{}, {"degrees": 180.0, "scale": 0.5, "mirror": 0.5}],
    "augmentation fpn_fusion": [{}, {"blur": 1.0, "kernel": 9}],
    "four_class": [{}, {"contrast": 1.0, "degrees": 180.0}],
    "otsu_mask": [{}, {"sigma": 0.0}],
    "limit": [{}, {"no_finding": 0.2}, {"max_per_class": 20}, {"total_per_class": 20}],
    "sampler fpn_fusion": [{}, {"preset": "as_fitted"}, {"mirror_below": 40, "repeat_to": 60}],
    "csv": [{"table": "images.csv"}, {"config": "map.toml", "uncertain": "one"}],
    "densenet_fpn": [{}, {"use": "image"}, {"use": "patient"}],
    "timm/*": [{}, {"drop_rate": 0.3}],
    "torchvision/*": [{}, {"grey": True}],
    "fused_cnn": [{}, {"base": True}],
    "eager": [{}, {"layout": "contiguous"}, {"layout": "channels_last"}],
    "learnable": [{"side": 40}, {"side": 24, "blocks": 2, "filters": 4}],
    "dense": [
        {},
        {"pooling": "flatten", "layers": 2, "neurons": 16, "dropout": 0.3, "l2": 0.01},
        {"pooling": "lse", "layers": 0},
    ],
    "transition": [{}, {"channels": 16, "side": 5, "pooling": "lse"}, {"pooling": "max"}],
    "weighted_bce": [{}, {"weights": "ratio"}, {"weights": "published", "overrides": {"Mass": 2.0}}],
    "cross_entropy": [{}, {"label_smoothing": 0.1, "weights": "balanced"}],
    "focal": [{}, {"gamma": 0.5, "alpha": 0.25}],
    "asymmetric": [{}, {"gamma_neg": 0.5, "clip": 0.0}],
    "temperature": [{}, {"scope": "shared"}],
    "precision_f1": [{}, {"grid": "scores", "infeasible": "best_f1"}, {"min_precision": 1.0}],
    "dynamic": [{}, {"low_f1": 1.0}],
    "sensitivity": [{}, {"target": 1.0}],
    "specificity": [{}, {"target": 1.0}],
    "cost": [{}, {"fn": 0.1, "fp": 5.0}],
    "genetic": [
        SMALL_SEARCH,
        {**SMALL_SEARCH, "seed_uniform": False, "elitism": 0.0, "crossover_genes": 1.0},
    ],
    "per_finding": [SMALL_SEARCH],
    "greedy": [{"picks": 10}, {"picks": 10, "start": 2}],
    "differential_evolution": [{"generations": 5}],
    "f_beta": [{}, {"beta": 0.5}],
    "expected_cost": [{}, {"fn": 1.0, "fp": 3.0}],
    "pareto": [{"generations": 5}, {"generations": 5, "cost": "members", "budget": 2.0}],
}


def marks_of(kind: Kind, name: str, check: Check) -> tuple[pytest.MarkDecorator, ...]:
    """What compiles a network takes long, for all but the smallest ones longer than each change should."""
    if check.long and kind == "backbone" and name not in ("timm/test_resnet", "prior"):
        return (pytest.mark.longest,)
    return (pytest.mark.slow,) if check.long or (name, check.name) in SLOW else ()


def cases() -> Iterator[Any]:
    for kind in KINDS:
        for component in REGISTRY.all(kind):
            name = MEMBERS.get(component.name, component.name)
            variants = VARIANTS.get(f"{kind} {component.name}") or VARIANTS.get(component.name, [{}])
            for options in variants:
                for check in checks_for(kind):
                    marks = marks_of(kind, name, check)
                    case = f"{Use(name=name, options=options)} {check}"
                    yield pytest.param(kind, name, options, check, id=case, marks=marks)


@pytest.mark.parametrize(("kind", "name", "options", "check"), list(cases()))
def test_built_in(kind: Kind, name: str, options: dict[str, Any], check: Check, own_images: Path) -> None:
    check.run(REGISTRY.find(kind, name), options, own_images if name == "csv" else root_of(name))


@pytest.fixture(scope="module")
def own_images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images of a user's own, with a table whose columns have usual names and a map of them."""
    root = tmp_path_factory.mktemp("own")
    rows = ["path,patient,age,sex,view,split,Mass,Fracture"]
    for number in range(40):
        name, role = f"{number:02d}.png", ("train", "val", "tune", "test")[number // 4 % 4]
        Image.new("L", (40, 50), number).save(root / name)
        rows.append(f"{name},p{number // 2},{30 + number},{'MF'[number % 2]},PA,{role},{number % 2},-1")
    (root / "images.csv").write_text("\n".join(rows))
    (root / "map.toml").write_text('table = "images.csv"\n[findings]\nNodule = "Mass"\nOther = "Fracture"\n')
    return root


def root_of(name: str) -> Path | None:
    """The real data of a data set that has files; skips where they are absent."""
    if name != "nih":
        return None
    data = Path(os.environ.get("CXRBENCH_TEST_DATA", Path(__file__).parents[1] / "../shared/data"))
    if not (data / "nih_subset").is_dir():
        pytest.skip(f"there are no test data in {data} (CXRBENCH_TEST_DATA)")
    return data / "nih_subset"
