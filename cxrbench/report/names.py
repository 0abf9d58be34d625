"""What tables and figures call runs: their data, and what sets one apart from another."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from cxrbench.judged_spec import JUDGING
from cxrbench.options import Use
from cxrbench.registry import RUN_KINDS
from cxrbench.report.systems import SETTINGS_OF_FILES
from cxrbench.specs import RunSpec

_TOLD = (
    "system",
    "split",
    "task",
    "sampler",
    "preprocessing",
    "resizer",
    "backbone",
    "trained",
    "head",
    "loss",
    "calibrator",
    "thresholds",
    "decision",
    "patient_data",
    "averaged",
    "relabelled_by",
    "seed",
    "tune",
    "tune_from",
)
"""Told of every run; the other settings only where they differ."""

_OF_TRAINING = ("loss", "sampler", "augmentation", "averaged", "relabelled_by", "seed")
"""Settings that say nothing of a network which was not trained here."""

_UNSAID = {
    ("split", "official"),
    ("task", "findings"),
    ("sampler", "none"),
    ("preprocessing", "none"),
    ("resizer", "none"),
    ("head", "own"),
    ("decision", "none"),
    ("patient_data", "own"),
    ("averaged", "1"),
    ("relabelled_by", "0"),
    ("tune", "tune"),
    ("tune_from", "file"),
    ("tune_from", "roles"),
}
"""What goes without saying where runs do not differ in it."""

_WORDS = {
    **{(kind, ""): "{}" for kind in ("backbone", "loss", "calibrator", "thresholds")},
    ("calibrator", "none"): "uncalibrated",
    ("patient_data", "shuffled"): "shuffled patient data",
    ("system", ""): "{}",
    ("averaged", ""): "average of {}",
    ("relabelled_by", ""): "relabelled by {}",
    ("seed", ""): "seed {}",
    ("trained", "elsewhere"): "not trained here",
    ("tune_from", "none"): "fitted on nothing",
    ("tune_from", "test_patients"): "tune from test: half of its patients",
    ("tune_from", "file"): "tune from a file of its own",
    ("tune_from", "roles"): "tune by the labels' table",
    ("search", ""): "{}",
    ("tune", ""): "fitted on {}",
}
"""How a setting is told, by name and (empty for any) value; otherwise it is ``name=value``."""


def title(dataset: str, drawn: bool | None = None) -> str:
    """How a table or figure names its data; drawn images are plainly said to be drawn.

    ``drawn`` is None where an old record does not say.
    """
    if drawn is None:
        drawn = dataset == "phantom"
    return f"{dataset} (drawn images, not patients)" if drawn else dataset


def data_of(record: Mapping[str, Any]) -> str:
    """What a run was tested on and, where that is not the data it was trained on, this too."""
    passport, trained_on = record["passport"], record.get("trained_on", {})
    tested = title(passport["dataset"], passport.get("drawn"))
    if not record.get("test_dataset"):
        return tested
    return f"{tested}, trained on {title(trained_name(record), trained_on.get('drawn'))}"


def trained_name(record: Mapping[str, Any]) -> str:
    """The name of the data that a run was trained on; in old records, of the component that read it."""
    name: str = record.get("trained_on", record)["dataset"]
    return name


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
    # What only some have, such as the loss beside scores that others made, is told where it is told of all.
    every = dict.fromkeys(name for each in settings for name in each)
    differing = [
        name
        for name in every
        if len({each.get(name) for each in settings if name in _TOLD or name in each}) > 1
    ]
    if not differing:
        return "", [_told(each, told) for each in settings]
    # In the order of the command's answer: components as they are told, then the others.
    ordered = [*(name for name in told if name in differing), *(n for n in differing if n not in _TOLD)]
    common = _told(settings[0], tuple(name for name in told if name not in differing))
    return common, [_told(each, ordered, unsaid=()) for each in settings]


def _told(
    settings: Mapping[str, str], names: Sequence[str], unsaid: Collection[tuple[str, str]] = _UNSAID
) -> str:
    """The settings of these names in words, less what is ``unsaid``."""
    return ", ".join(
        _WORDS.get((name, settings[name]), _WORDS.get((name, ""), f"{name}={{}}")).format(settings[name])
        for name in names
        if name in settings and (name, settings[name]) not in unsaid
    )


def _cycle(cycle: Mapping[str, Any]) -> str:
    """What a cycle does otherwise than the training as a whole, such as ``epochs=2 loss.gamma=1``."""
    given = {name: value for name, value in cycle.items() if name != "loss" and value is not None}
    given |= {f"loss.{name}": value for name, value in cycle["loss"].items()}
    return " ".join(f"{name}={value}" for name, value in given.items()) or "as the training"


def _settings(record: Mapping[str, Any]) -> dict[str, str]:
    """All that a run was told, flat, in the order of the spec; what an old record lacks is at its default.

    A run of scores that others made has the settings of judging alone, and its system's name; an ensemble
    has those of its search too.
    """
    if record.get("source") in ("scored", "ensemble"):
        spec = {name: value for name, value in record["spec"].items() if name not in SETTINGS_OF_FILES}
        for kind in JUDGING if record["source"] == "scored" else ("search", *JUDGING):
            spec[kind] = Use(name=spec[kind]["name"], options=record["options"][kind])
        if isinstance(spec.get("fitness"), Mapping):
            spec["fitness"] = Use(name=spec["fitness"]["name"], options=record["options"]["fitness"])
        if "members" in spec:
            spec["members"] = "+".join(member[-8:] for member in spec["members"])
        return {name: str(value) for name, value in spec.items()}
    spec = {**RunSpec().model_dump(mode="json"), **record["spec"]}
    training = {**RunSpec().training.model_dump(mode="json"), **spec.pop("training")}
    for kind in RUN_KINDS:
        name = record.get(kind, spec[kind]["name"])
        spec[kind] = Use(name=name, options=record["options"].get(kind, {}))
    if not spec["test_dataset"]:
        spec["test_dataset"] = "none"
    else:
        test = Use.model_validate(spec["test_dataset"])
        spec["test_dataset"] = Use(
            name=test.name, options=record["options"].get("test_dataset", test.options)
        )
    if not training["epochs"] and not training["cycles"]:
        # How it would have been trained is nothing that this network is.
        spec = {name: value for name, value in spec.items() if name not in _OF_TRAINING}
        training = {"trained": "elsewhere"}
    else:
        training["cycles"] = " then ".join(map(_cycle, training["cycles"])) or "none"
    return {name: str(value) for name, value in {**spec, **training}.items()}
