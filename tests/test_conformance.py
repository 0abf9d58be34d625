"""Every built-in goes through the conformance kit, with its defaults and with options that matter."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cxrbench.options import Use
from cxrbench.plugins import load_plugins
from cxrbench.registry import KINDS, Kind
from cxrbench.testing import Check, checks_for

REGISTRY = load_plugins([]).registry
MEMBERS = {"timm/*": "timm/test_resnet"}
"""A small network for each family."""
SMALL_PHANTOM = {"train_val": 60, "test": 20}
VARIANTS: dict[str, list[dict[str, Any]]] = {
    "phantom": [SMALL_PHANTOM, {**SMALL_PHANTOM, "label_noise": 0.2, "prevalence_shift": 2.0}],
    "limit": [{}, {"no_finding": 0.2}, {"max_per_class": 20}],
    "fpn_fusion": [{}, {"preset": "as_fitted"}, {"mirror_below": 40, "repeat_to": 60}],
    "densenet_fpn": [{}, {"use": "image"}, {"use": "patient"}],
    "timm/*": [{}, {"drop_rate": 0.3}],
    "weighted_bce": [{}, {"weights": "ratio"}, {"weights": "published", "overrides": {"Mass": 2.0}}],
    "temperature": [{}, {"scope": "shared"}],
    "precision_f1": [{}, {"grid": "scores", "infeasible": "best_f1"}, {"min_precision": 1.0}],
    "dynamic": [{}, {"low_f1": 1.0}],
}


def cases() -> Iterator[Any]:
    for kind in KINDS:
        for component in REGISTRY.all(kind):
            name = MEMBERS.get(component.name, component.name)
            for options in VARIANTS.get(component.name, [{}]):
                for check in checks_for(kind):
                    yield pytest.param(
                        kind, name, options, check, id=f"{Use(name=name, options=options)} {check}"
                    )


@pytest.mark.parametrize(("kind", "name", "options", "check"), list(cases()))
def test_built_in(kind: Kind, name: str, options: dict[str, Any], check: Check) -> None:
    check.run(REGISTRY.find(kind, name), options, root_of(name))


def root_of(name: str) -> Path | None:
    """The real data of a data set that has files; skips where they are absent."""
    if name != "nih":
        return None
    data = Path(os.environ.get("CXRBENCH_TEST_DATA", Path(__file__).parents[1] / "../shared/data"))
    if not (data / "nih_subset").is_dir():
        pytest.skip(f"there are no test data in {data} (CXRBENCH_TEST_DATA)")
    return data / "nih_subset"
