"""What tables and figures call runs: their data, and what sets one apart from another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cxrbench.options import Use
from cxrbench.registry import KINDS
from cxrbench.specs import RunSpec

_TOLD = ("backbone", "loss", "calibrator", "thresholds", "seed", "tune")
"""Always told of a run; the other settings only where they differ."""

_WORDS = {
    **{(kind, ""): "{}" for kind in ("backbone", "loss", "calibrator", "thresholds")},
    ("calibrator", "none"): "uncalibrated",
    ("seed", ""): "seed {}",
    ("tune", ""): "fitted on {}",
}
"""How a setting is told, by name and (empty for any) value; otherwise it is ``name=value``."""


def title(dataset: str, run_id: str = "") -> str:
    """How a table or figure names its data; drawn images are plainly said to be drawn."""
    name = "phantom (drawn images, not patients)" if dataset == "phantom" else dataset
    return f"{name}: {run_id}" if run_id else name


def data_of(record: Mapping[str, Any]) -> str:
    """What a run was tested on and, where that is not the data it was trained on, this too."""
    tested = title(record["passport"]["dataset"])
    return f"{tested}, trained on {title(record['dataset'])}" if record.get("test_dataset") else tested


def system(record: Mapping[str, Any]) -> str:
    """Components, with options that differ from their defaults, seed, and the role of fitting if unusual."""
    return _told(_settings(record), _TOLD)


def apart(records: Sequence[Mapping[str, Any]], *, seeds: bool = True) -> tuple[str, list[str]]:
    """What runs have in common, and what sets each apart, whichever setting that is.

    Args:
        records: runs, planned runs or failures, as JSON has them.
        seeds: whether the seed is told.
    """
    told = tuple(name for name in _TOLD if seeds or name != "seed")
    settings = [_settings(record) for record in records]
    differing = [name for name in settings[0] if len({each[name] for each in settings}) > 1]
    if not differing:
        return "", [_told(each, told) for each in settings]
    # In the order of the command's answer: components as they are told, then the others.
    ordered = [*(name for name in told if name in differing), *(n for n in differing if n not in _TOLD)]
    common = _told(settings[0], tuple(name for name in told if name not in differing))
    return common, [_told(each, ordered) or "–" for each in settings]


def _told(settings: Mapping[str, str], names: Sequence[str]) -> str:
    """The settings of these names in words; that thresholds are fitted on tune goes without saying."""
    return ", ".join(
        _WORDS.get((name, settings[name]), _WORDS.get((name, ""), f"{name}={{}}")).format(settings[name])
        for name in names
        if (name, settings[name]) != ("tune", "tune")
    )


def _settings(record: Mapping[str, Any]) -> dict[str, str]:
    """All that a run was told, flat, in the order of the spec; what an old record lacks is at its default."""
    spec = {**RunSpec().model_dump(mode="json"), **record["spec"]}
    training = {**RunSpec().training.model_dump(mode="json"), **spec.pop("training")}
    for kind in KINDS:
        name = record.get(kind, spec[kind]["name"])
        spec[kind] = Use(name=name, options=record["options"].get(kind, {}))
    if spec["test_dataset"]:
        spec["test_dataset"] = Use.model_validate(spec["test_dataset"])
    return {name: str(value) for name, value in {**spec, **training}.items()}
