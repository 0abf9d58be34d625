"""What an exported network carries along: what its inputs are, and how its logits become decisions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from cxrbench import __version__
from cxrbench.canonical import jsonable
from cxrbench.export.onnx import OUTPUT
from cxrbench.pixels.images import stored_side
from cxrbench.training.views import central_window
from cxrbench.workflow.deployed import Deployed
from cxrbench.workflow.trained import Trained

INTENDED_USE = "research; not for clinical use"


def metadata_of(trained: Trained, behind: Deployed) -> dict[str, Any]:
    """What whoever runs the network elsewhere has to know, as JSON; NaN is null."""
    spec = trained.spec
    told: dict[str, Any] = {
        "producer": f"cxrbench {__version__}",
        "run_id": trained.run_id,
        "training": trained.training,
        "intended_use": INTENDED_USE,
        "task": trained.task.kind,
        "classes": list(trained.task.classes),
        "inputs": {name: _input(trained, name) for name in trained.backbone.inputs},
        "output": {"name": OUTPUT, "shape": ["batch", len(trained.task.classes)], "what": "raw logits"},
        "calibration": {**spec.calibrator.model_dump(), "state": behind.state},
        "thresholds": dict(zip(trained.task.classes, behind.thresholds.tolist(), strict=True)),
        "decision": spec.decision.model_dump(),
    }
    found: dict[str, Any] = jsonable(told)
    return found


def texts(metadata: Mapping[str, Any]) -> dict[str, str]:
    """Each entry as text by keys ``cxrbench.…``, for formats that keep texts; JSON where it is none."""
    return {
        f"cxrbench.{name}": value if isinstance(value, str) else json.dumps(value, allow_nan=False)
        for name, value in metadata.items()
    }


def _input(trained: Trained, name: str) -> dict[str, Any]:
    if name == "patient":
        return {
            "shape": ["batch", 3],
            "what": "age / 100 within 0..1, view (PA 0, AP 1), sex (M 0, F 1); 0.5 where unknown",
        }
    spec, backbone = trained.spec, trained.backbone
    side = stored_side(spec.image_size, spec.crop)
    margin, window = central_window(side, spec.image_size, spec.crop)
    return {
        "shape": ["batch", len(backbone.mean), spec.image_size, spec.image_size],
        "what": "greys 0..255, white is dense, prepared in the order of these entries",
        "preprocessing": spec.preprocessing.model_dump(),
        "resized_to": [side, side],
        "resizing": "bilinear, antialiased, sides apart",
        "cropped_to": [margin, margin, margin + window, margin + window],
        "then_resized_to": [spec.image_size, spec.image_size],
        "divided_by": 255,
        "mean": list(backbone.mean),
        "std": list(backbone.std),
    }
