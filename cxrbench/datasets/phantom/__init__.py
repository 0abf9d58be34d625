"""The embedded data set: drawn chest radiographs with the fourteen NIH findings as visible signs.

It is for trying the tool and for testing it. It says nothing about patients.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
from annotated_types import Ge, Le
from numpy.typing import NDArray

from cxrbench.collection import BOX_COLUMNS, MANIFEST_COLUMNS, Collection
from cxrbench.datasets.phantom.anatomy import pose_of, thorax_of
from cxrbench.datasets.phantom.drawing import film
from cxrbench.datasets.phantom.patients import Study, cohort
from cxrbench.datasets.phantom.signs import chest_with_signs
from cxrbench.datasets.phantom.streams import VERSION, stream
from cxrbench.errors import CxrbenchError
from cxrbench.findings import NIH_FINDINGS
from cxrbench.roles import Role, assign_roles
from cxrbench.task import Task

MIN_POSITIVES: dict[Role, int] = {"train": 8, "val": 8, "tune": 8, "test": 20}
"""Images with each finding that every role has at the default size, whatever the seed."""


@dataclass(frozen=True, kw_only=True)
class Phantom:
    """Drawn frontal chest radiographs of patients with several images each.

    Labels and boxes are exact on every machine, pixels within one grey level. A smaller phantom is a part
    of the larger one with the same seed: an image depends on the seed, its id and, in the test list,
    on ``prevalence_shift``, never on the other sizes or on the order of drawing.

    Attributes:
        seed: another seed is another population.
        train_val: images in the train_val list.
        test: images in the test list.
        label_noise: share of the labels of train_val that are flipped: the image (and its boxes) show the
            truth, the label lies. Test labels stay true.
        prevalence_shift: multiplies the prevalence of every finding in the test list.
    """

    seed: Annotated[int, Ge(0)] = 0
    train_val: Annotated[int, Ge(1), Le(100_000)] = 1780
    test: Annotated[int, Ge(1), Le(100_000)] = 600
    label_noise: Annotated[float, Ge(0), Le(0.5)] = 0.0
    prevalence_shift: Annotated[float, Ge(0), Le(4)] = 1.0

    def recommend(self) -> Mapping[str, object]:
        """Settings with which a network learns the phantom on a CPU in minutes.

        The epoch is chosen by loss, which is steadier than AUC on a val role of 161 images.
        """
        return {
            "image_size": 64,
            "weights": "none",
            "epochs": 12,
            "select": "loss",
            "batch_size": 32,
            "learning_rate": 1e-3,
            "schedule": "cosine",
        }

    def read(self, root: Path | None) -> Collection:
        """The tables; ``root`` is not used, there are no files."""
        studies = self._studies()
        index = pd.Index(list(studies), name="image_id", dtype="str")
        manifest = pd.DataFrame(
            {
                "patient_id": [s.patient_id for s in studies.values()],
                "age": np.array([s.age for s in studies.values()], dtype=np.float64),
                "sex": [s.sex for s in studies.values()],
                "view": [s.view for s in studies.values()],
                "official": [s.official for s in studies.values()],
                "role": None,
                "source": "",
            },
            index=index,
            columns=list(MANIFEST_COLUMNS),
        )
        truth = pd.DataFrame(
            [[float(finding in s.findings) for finding in NIH_FINDINGS] for s in studies.values()],
            index=index,
            columns=list(NIH_FINDINGS),
            dtype=np.float32,
        )
        return Collection(
            name="phantom",
            task=Task("multilabel", NIH_FINDINGS),
            manifest=manifest,
            labels=self._noisy(truth, manifest),
            boxes=self._boxes(studies),
            label_version=f"phantom {VERSION}",
            listed={"train_val": self.train_val, "test": self.test},
            notes=self._notes(truth, manifest),
            drawn=True,
        )

    def pixels(self, content: bytes | None, image_id: str, side: int) -> NDArray[np.uint8]:
        """Draw one image ``[side, side]``; the same picture at any side (32 to 1024 is sensible).

        Raises:
            CxrbenchError: the data set has no such image.
        """
        study = self._studies().get(image_id)
        if study is None:
            raise CxrbenchError(f"This phantom has no image '{image_id}'; ids look like phantom-000123_000.")
        return film(self.seed, study, side)

    def _studies(self) -> dict[str, Study]:
        return cohort(self.seed, self.train_val, self.test, self.prevalence_shift)

    def _noisy(self, truth: pd.DataFrame, manifest: pd.DataFrame) -> pd.DataFrame:
        """The labels as they are told."""
        if self.label_noise == 0:
            return truth
        lies = np.array(
            [
                [rng.random() < self.label_noise for _ in NIH_FINDINGS]
                for rng in (stream(self.seed, "label", image_id) for image_id in truth.index)
            ]
        )
        lies &= (manifest["official"] == "train_val").to_numpy()[:, None]
        return truth.mask(lies, 1 - truth)

    def _boxes(self, studies: dict[str, Study]) -> pd.DataFrame:
        rows = []
        for study in studies.values():
            if not study.findings:
                continue
            pose = pose_of(self.seed, study)
            _, signs = chest_with_signs(self.seed, study, thorax_of(self.seed, study))
            for finding in NIH_FINDINGS:
                for box in signs[finding].boxes() if finding in signs else ():
                    x, y, right, bottom = (round(min(max(edge, 0.0), 1.0), 6) for edge in pose.to_film(box))
                    rows.append((study.image_id, finding, x, y, round(right - x, 6), round(bottom - y, 6)))
        return pd.DataFrame(rows, columns=list(BOX_COLUMNS))

    def _notes(self, truth: pd.DataFrame, manifest: pd.DataFrame) -> tuple[str, ...]:
        notes = ["The phantom's images are drawn, not taken: its figures say nothing about patients."]
        roles = assign_roles(manifest)
        short = {r: int((truth[roles == r].sum() < least).sum()) for r, least in MIN_POSITIVES.items()}
        rare = [f"{role} ({number} of 14)" for role, number in short.items() if number]
        if rare:
            notes.append(f"Some findings have under 8 positives (under 20 in test): {', '.join(rare)}.")
        if self.label_noise:
            notes.append(f"{self.label_noise:.0%} of the labels in train_val are flipped on purpose.")
        if self.prevalence_shift != 1:
            notes.append(
                f"Every finding is {self.prevalence_shift:g} times as frequent in test as in train_val."
            )
        return tuple(notes)
