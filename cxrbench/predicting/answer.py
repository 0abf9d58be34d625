"""What was predicted, as JSON and as a table with a row for each image and finding."""

from __future__ import annotations

import csv
import io
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cxrbench.options import Use
from cxrbench.predicting.header import Oddity
from cxrbench.predicting.patients import ASSUMED, Facts
from cxrbench.predicting.reading import Failed
from cxrbench.workflow.deployed import Deployed

COLUMNS = (
    *("file", "patient_id", "age", "sex", "view", "assumed", "warnings"),
    *("finding", "probability", "threshold", "decision", "heatmap", "error"),
)


@dataclass(frozen=True)
class OfFinding:
    """What a run says of a finding in an image.

    Attributes:
        finding: its name.
        probability: calibrated as the run's.
        threshold: NaN where the run has none.
        decision: 1, 0, or NaN where undecided.
        heatmap: its file, where one was drawn.
    """

    finding: str
    probability: float
    threshold: float
    decision: float
    heatmap: Path | None

    @property
    def called(self) -> bool | None:
        """Whether the finding is called; None where undecided."""
        return None if math.isnan(self.decision) else self.decision == 1


@dataclass(frozen=True)
class PredictedImage:
    """What a run says of an image.

    Attributes:
        path: of the file.
        patient_id: of DICOM; empty where there is none, or where it is withheld.
        facts: of the patient.
        assumed: which facts the network takes that are unknown.
        oddities: what the user is warned of.
        findings: in the task's order.
    """

    path: Path
    patient_id: str
    facts: Facts
    assumed: tuple[str, ...]
    oddities: tuple[Oddity, ...]
    findings: tuple[OfFinding, ...]

    @property
    def called(self) -> tuple[OfFinding, ...]:
        """The findings that are called."""
        return tuple(each for each in self.findings if each.called)


@dataclass(frozen=True)
class Predicted:
    """What a run says of files, in their order.

    Attributes:
        record: the run's ``run.json``.
        networks: the runs that the networks were trained in.
        behind: its calibration, thresholds and rule.
        images: those that could be read.
        failed: the others.
        nonconforming: a clause on each component that failed a check.
    """

    record: Mapping[str, Any]
    networks: tuple[str, ...]
    behind: Deployed
    images: tuple[PredictedImage, ...]
    failed: tuple[Failed, ...]
    nonconforming: tuple[str, ...] = ()

    @property
    def run_id(self) -> str:
        """Of the run."""
        return str(self.record["run_id"])

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences on what was assumed, odd or unreadable, each with a count."""
        assumed = Counter(name for image in self.images for name in image.assumed)
        odd = Counter(each.name for image in self.images for each in image.oddities)
        what = {each.name: each.what for image in reversed(self.images) for each in image.oddities}
        notes = [
            f"{count:,} of {len(self.images):,} images: {name} unknown, {ASSUMED[name]} assumed"
            for name, count in assumed.items()
        ]
        notes += [
            f"{name}: {count:,} of {len(self.images):,} images, such as: {what[name]}"
            for name, count in odd.items()
        ]
        if self.failed:
            notes.append(f"{len(self.failed):,} of {len(self.images) + len(self.failed):,} files failed")
        return tuple(notes)

    def document(self) -> dict[str, Any]:
        """As JSON; what is unknown or undecided is null."""
        return {
            "run_id": self.run_id,
            "networks": list(self.networks),
            "intended_use": "research; not for clinical use",
            "calibrator": Use.model_validate(self.record["spec"]["calibrator"]).model_dump(),
            "thresholds": dict(zip(self.behind.task.classes, self.behind.thresholds.tolist(), strict=True)),
            "images": [_image(each) for each in self.images],
            "failed": [{"file": str(each.path), "why": each.why} for each in self.failed],
            "notes": list(self.notes),
            "nonconforming": list(self.nonconforming),
        }

    def as_csv(self) -> str:
        """A row for each image and finding, and one for each file that failed; columns :data:`COLUMNS`."""
        text = io.StringIO()
        writer = csv.DictWriter(text, COLUMNS, restval="", lineterminator="\n")
        writer.writeheader()
        for image in self.images:
            facts = {
                "file": str(image.path),
                "patient_id": image.patient_id,
                "age": "" if math.isnan(image.facts.age) else f"{image.facts.age:.4g}",
                "sex": image.facts.sex or "",
                "view": image.facts.view or "",
                "assumed": "; ".join(f"{name} {ASSUMED[name]}" for name in image.assumed),
                "warnings": "; ".join(f"{each.name}: {each.what}" for each in image.oddities),
            }
            for each in image.findings:
                writer.writerow(
                    {
                        **facts,
                        "finding": each.finding,
                        "probability": each.probability,
                        "threshold": _known(each.threshold),
                        "decision": "" if each.called is None else int(each.called),
                        "heatmap": each.heatmap or "",
                    }
                )
        for failure in self.failed:
            writer.writerow({"file": str(failure.path), "error": failure.why})
        return text.getvalue()


def _known(value: float) -> float | str:
    return "" if math.isnan(value) else value


def _image(image: PredictedImage) -> dict[str, Any]:
    return {
        "file": str(image.path),
        "patient_id": image.patient_id or None,
        "age": image.facts.age,
        "sex": image.facts.sex,
        "view": image.facts.view,
        "assumed": {name: ASSUMED[name] for name in image.assumed},
        "warnings": [vars(each) for each in image.oddities],
        "findings": [
            {
                "finding": each.finding,
                "probability": each.probability,
                "threshold": each.threshold,
                "decision": each.called,
                "heatmap": str(each.heatmap) if each.heatmap else None,
            }
            for each in image.findings
        ],
    }
