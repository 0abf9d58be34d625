"""The model card of an exported network, as Markdown.

Mitchell et al., "Model Cards for Model Reporting", 2019, arXiv:1810.03993.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cxrbench.records import task_kind
from cxrbench.report.names import data_of, system, title, trained_name

_DASH = "–"

_FIGURES = (
    ("macro AUC", "macro_auc"),
    ("macro AP", "macro_ap"),
    ("macro F1", "macro_f1"),
    ("macro recall", "macro_recall"),
    ("macro specificity", "macro_specificity"),
    ("macro Brier", "macro_brier"),
    ("macro ECE", "macro_ece"),
    ("exact match", "exact_match"),
    ("accuracy", "accuracy"),
)

_OF_FINDING = (
    ("AUC", "auc"),
    ("AP", "ap"),
    ("F1", "f1"),
    ("recall", "recall"),
    ("specificity", "specificity"),
    ("ECE", "ece"),
)

_SUBGROUP = (("AUC", "auc"), ("TPR", "tpr"), ("FPR", "fpr"), ("ECE", "ece"))

_ROLES = ("train", "val", "tune", "test")


@dataclass(frozen=True)
class CardFile:
    """A file that was exported.

    Attributes:
        name: of the file.
        size: in bytes.
        sha256: of its content, in hex.
    """

    name: str
    size: int
    sha256: str


def model_card(
    record: Mapping[str, Any], metadata: Mapping[str, Any], form: str, files: Sequence[CardFile], gap: float
) -> str:
    """The card.

    Args:
        record: the run's ``run.json``; what an older one does not have is left out, and said.
        metadata: what the exported file carries (:func:`cxrbench.export.metadata.metadata_of`).
        form: the format.
        files: what was exported.
        gap: the largest difference of a logit between the file and the network.
    """
    parts = [
        [f"# Model card: {_text(record['run_id'])}"],
        ["**Not for clinical use.** This network is an object of research: it is no medical device, and no "
         "decision on a patient may rest on it."],
        _network(record, metadata),
        ["## Limits", *_bullets(_limits(record))],
        _data(record),
        _performance(record),
        _subgroups(record),
        _deciding(record, metadata),
        _files(form, files, gap),
    ]  # fmt: skip
    return "\n\n".join(line for part in parts for line in part) + "\n"


def _network(record: Mapping[str, Any], metadata: Mapping[str, Any]) -> list[str]:
    spec = record["spec"]
    taken = ", ".join(f"{name} {told['shape']}" for name, told in metadata["inputs"].items())
    rows = [
        ("settings", system(record)),
        ("parameters", f"{record['parameters']:,}"),
        ("inputs", taken),
        ("initial weights", spec.get("weights")),
        ("trained on", title(trained_name(record), (record.get("trained_on") or {}).get("drawn"))),
        ("made", record["created"]),
        ("produced by", metadata["producer"]),
        ("intended use", metadata["intended_use"]),
    ]
    return ["## Network", _table(("", ""), rows)]


def _limits(record: Mapping[str, Any]) -> list[str]:
    passport, told = record["passport"], record["per_finding"]
    limits = []
    if passport.get("drawn") or (record.get("trained_on") or {}).get("drawn"):
        limits.append("Images are drawn: nothing here says anything about patients.")
    limits += [each["reason"] for each in record.get("sanity", ())]
    limits += [f"Not conforming: {clause}." for clause in record.get("nonconforming", ())]
    if "sanity" not in record:
        limits.append("An older cxrbench made the run and did not check its figures for what is unsound.")
    for pair, count in passport["shared_patients"].items():
        if count is None:
            limits.append(f"Whether patients are in both roles of {pair} is not known.")
        elif count:
            limits.append(f"{count:,} patients are in both roles of {pair}: figures are too good.")
    if not record.get("test_dataset"):
        limits.append("It was tested on the data set that it was trained on; elsewhere it is unproved.")
    scarce = [row["finding"] for row in told if row["n_pos"] < 10]
    if scarce:
        limits.append(f"Fewer than 10 test images have {_listed(scarce)}: their figures say little.")
    undecided = [row["finding"] for row in told if row["threshold"] is None]
    if undecided and task_kind(record) == "multilabel":
        limits.append(f"There is no threshold, hence no decision, for {_listed(undecided)}.")
    weak = [row["finding"] for row in told if not row["feasible"] and row["threshold"] is not None]
    if weak:
        limits.append(
            f"Thresholds are not what their strategy asks for, as their notes say: {_listed(weak)}."
        )
    if missing := record.get("findings_not_in_test"):
        limits.append(f"Predicted, but not tested: {_listed(missing)}.")
    limits.append(
        "Labels of the data set are its truth here; where these were read from reports, so was what the "
        "network learnt. Other findings, ages, devices and views than the data's are untested."
    )
    return limits


def _data(record: Mapping[str, Any]) -> list[str]:
    passport = record["passport"]
    rows = [
        ("tested on", data_of(record)),
        ("passport", passport["id"]),
        ("labels", passport["label_version"]),
        ("split", passport.get("split", _DASH)),
        ("thresholds and calibration fitted on", passport["tune"]),
        ("left out by a sampler", passport.get("sampler", "none")),
        ("excluded by name", passport.get("excluded", 0)),
    ]
    counts = [
        (role, f"{passport['images'].get(role, 0):,}", f"{passport['patients'].get(role, 0):,}")
        for role in _ROLES
    ]
    return ["## Data passport", _table(("", ""), rows), _table(("role", "images", "patients"), counts)]


def _performance(record: Mapping[str, Any]) -> list[str]:
    intervals = record.get("intervals", {})
    overall = [
        (name, _figure(record["metrics"][key], intervals.get("metrics", {}).get(key)))
        for name, key in _FIGURES
        if key in record["metrics"]
    ]
    bounds = {row["finding"]: row for row in intervals.get("per_finding", ())}
    rows = [
        (
            _plain(row["finding"]),
            *(_figure(row[key], bounds.get(row["finding"], {}).get(key)) for _, key in _OF_FINDING),
            row["n_pos"],
            row["n_neg"],
        )
        for row in record["per_finding"]
    ]
    said = (
        "On the test images, with 95% intervals over resampled patients; network, calibration and thresholds "
        "are held fixed. Another seed varies by more. – is undefined; what is undefined in many resamples "
        "has no interval."
        if intervals
        else "On the test images; an older cxrbench made the run without intervals."
    )
    heads = ("finding", *(head for head, _ in _OF_FINDING), "with it", "without it")
    return ["## Performance", said, _table(("", "value"), overall), _table(heads, rows)]


def _subgroups(record: Mapping[str, Any]) -> list[str]:
    if not (told := record.get("subgroups")):
        return ["## Subgroups", "None were evaluated."]
    rows = [
        (
            f"{row['attribute']}: {row['group']}",
            row["images"],
            row["patients"],
            *(_figure(row[key], _bounds(row, key)) for _, key in _SUBGROUP),
            row["withheld"],
        )
        for row in told
    ]
    heads = ("group", "images", "patients", *(head for head, _ in _SUBGROUP), "withheld")
    return [
        "## Subgroups",
        "Means over the findings of which a group and the rest have labels enough; the others are withheld.",
        _table(heads, rows),
    ]


def _deciding(record: Mapping[str, Any], metadata: Mapping[str, Any]) -> list[str]:
    points = {row["finding"]: row for row in record["per_finding"]}
    rows = []
    for name, threshold in metadata["thresholds"].items():
        point = points.get(name, {})
        rows.append((_plain(name), _figure(threshold, _bounds(point, "threshold")), point.get("reason", "")))
    calibration, rule = metadata["calibration"], metadata["decision"]
    fitted = zip(metadata["classes"], calibration["state"]["fitted"], strict=True)
    raw = [name for name, own in fitted if not own]
    kept = (
        f" It was not fitted, for want of positives or negatives, and changes nothing for {_listed(raw)}."
        if raw and calibration["name"] != "none"
        else ""
    )
    return [
        "## From logits to decisions",
        f"Logits become probabilities by the calibrator `{_text(calibration['name'])}`.{kept} A finding is "
        f"called from its threshold on; the rule for decisions is `{_text(rule['name'])}`. The file carries "
        "the calibrator's state, all thresholds and how inputs are prepared.",
        _table(("finding", "threshold", "note"), rows),
    ]


def _files(form: str, files: Sequence[CardFile], gap: float) -> list[str]:
    return [
        f"## Files ({form})",
        f"Checked by running: in several batches, no logit is more than {gap:.2g} from the network's own.",
        _table(("file", "bytes", "SHA-256"), [(each.name, f"{each.size:,}", each.sha256) for each in files]),
    ]


def _bounds(row: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {"low": row.get(f"{name}_low"), "high": row.get(f"{name}_high")}


def _figure(value: float | None, interval: Mapping[str, Any] | None) -> str:
    if value is None or math.isnan(value):
        return _DASH
    # Zero is added so that what rounds to it has no sign.
    told = f"{round(value, 3) + 0.0:.3f}"
    if interval is None or interval.get("low") is None or interval.get("high") is None:
        return told
    return f"{told} [{interval['low']:.3f}, {interval['high']:.3f}]"


def _table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(_text(cell) for cell in line)} |" for line in lines)


def _bullets(texts: Iterable[str]) -> list[str]:
    return ["\n".join(f"- {_text(each)}" for each in texts)]


def _listed(findings: Sequence[str]) -> str:
    return ", ".join(map(_plain, findings))


def _plain(finding: str) -> str:
    return finding.replace("_", " ")


def _text(value: object) -> str:
    """A text of one line that is no markup: names come from files of others."""
    line = " ".join(str(value).split())
    return line.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("`", "'")
