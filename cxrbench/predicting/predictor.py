"""A run's network on files: decoded ahead of it, a few images at a time, to calibrated decisions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from torch import nn

from cxrbench.conformance.marks import nonconforming
from cxrbench.data import patient_vectors
from cxrbench.errors import CxrbenchError, UsageError
from cxrbench.options import make
from cxrbench.pixels.images import stored_side
from cxrbench.pixels.preparing import in_parallel
from cxrbench.predicting.answer import OfFinding, Predicted, PredictedImage
from cxrbench.predicting.header import Oddity
from cxrbench.predicting.heatmaps import Drawer, Heatmaps
from cxrbench.predicting.patients import Facts, Patients
from cxrbench.predicting.reading import Failed, Reader, ReadImage
from cxrbench.registry import Registry
from cxrbench.reporter import Advance, Reporter
from cxrbench.store import Store
from cxrbench.training.batches import Rows
from cxrbench.training.devices import deterministic, true_fp32
from cxrbench.training.inference import logits_of
from cxrbench.workflow.deployed import Deployed, deployed
from cxrbench.workflow.trained import Trained, trained_network

if TYPE_CHECKING:
    from cxrbench.interfaces import FloatArray

AT_ONCE = 32
"""Images in a call of the network; as many are decoded meanwhile."""


@dataclass(frozen=True)
class Predictor:
    """A trained network with what stands behind it.

    Attributes:
        trained: the network.
        behind: its calibration, thresholds and rule.
        reader: makes pixels of files.
        patients: where patient data come from.
        device: where the network is computed.
        heatmaps: where they are asked for.
        nonconforming: a clause on each component that failed a check.
    """

    trained: Trained
    behind: Deployed
    reader: Reader
    patients: Patients
    device: torch.device
    heatmaps: Heatmaps | None = None
    nonconforming: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        store: Store,
        registry: Registry,
        run: str,
        patients: Patients,
        device: torch.device,
        heatmaps: Heatmaps | None = None,
    ) -> Predictor:
        """The network of a stored run; nothing of its data set is needed.

        Raises:
            UsageError: there is no such run, or none with exactly one network that can be used so.
            CxrbenchError: what it was made from is missing or damaged.
        """
        trained = trained_network(store, registry, run)
        spec, takes_images = trained.spec, "image" in trained.backbone.inputs
        if "patient" in trained.backbone.inputs and spec.patient_data != "own":
            raise UsageError(
                f"{trained.run_id} was trained with patient data of others, as a control; name another run."
            )
        if heatmaps is not None and not takes_images:
            raise UsageError(f"The network of {trained.run_id} sees no images; leave out --heatmaps.")
        return cls(
            trained,
            deployed(store, registry, trained.record, trained.task),
            Reader(
                # What draws images decodes none.
                None if _drawn(trained) else make(spec.dataset, "dataset", registry),
                make(spec.preprocessing, "preprocessing", registry),
                stored_side(spec.image_size, spec.crop) if takes_images else None,
            ),
            patients,
            device,
            heatmaps,
            (*nonconforming(registry, trained.spec), *(heatmaps.nonconforming if heatmaps else ())),
        )

    def predict(self, files: Sequence[Path], reporter: Reporter) -> Predicted:
        """What the network says of files; those that cannot be read are listed.

        Raises:
            UsageError: heatmaps are asked for, and the network has no such layer.
            CxrbenchError: the device has not the memory for one image.
        """
        drawer = None
        if self.heatmaps is not None:
            drawer = self.heatmaps.of(self.trained, self._network, self.device)
        images: list[PredictedImage] = []
        failed: list[Failed] = []
        with (
            true_fp32(),
            deterministic(self.trained.spec.training.deterministic),
            reporter.progress("predicting", len(files)) as advance,
        ):
            answers = in_parallel(self.reader, files, len(files), AT_ONCE)
            for read in _in_batches(answers, failed, advance):
                for answer in self._predicted(read, len(images), drawer):
                    if isinstance(answer, Failed):
                        failed.append(answer)
                    else:
                        images.append(answer)
                advance(len(read), f"{len(failed)} failed" if failed else "")
        order = {path: place for place, path in enumerate(files)}
        failed.sort(key=lambda each: order[each.path])
        return Predicted(self.trained, self.behind, tuple(images), tuple(failed), self.nonconforming)

    @cached_property
    def _network(self) -> nn.Module:
        network = self.trained.network()
        if self.trained.spec.training.channels_last:
            network = network.to(memory_format=torch.channels_last)
        return network.to(self.device)

    def _predicted(
        self, read: Sequence[ReadImage], before: int, drawer: Drawer | None
    ) -> Iterator[PredictedImage | Failed]:
        facts = [self.patients.of(each.path, each.header) for each in read]
        rows = _rows(read, facts)
        logits = self._logits(rows)
        finite = np.asarray(np.isfinite(logits).all(axis=1))
        probabilities = self.behind.probabilities(np.where(finite[:, None], logits, 0))
        decisions = self.behind.decisions(probabilities)
        drawn: list[dict[str, Path]] = [{} for _ in read]
        if drawer is not None:
            wanted = (decisions == 1) & finite[:, None]
            drawn = drawer.draw(read, rows, wanted, before)
        for place, image in enumerate(read):
            if not finite[place]:
                yield Failed(image.path, "makes the network give a logit that is not finite")
                continue
            yield PredictedImage(
                image.path,
                image.header.patient_id if image.header else "",
                facts[place],
                facts[place].unknown if "patient" in self.trained.backbone.inputs else (),
                _oddities(image),
                tuple(
                    OfFinding(
                        name,
                        float(probabilities[place, column]),
                        float(self.behind.thresholds[column]),
                        float(decisions[place, column]),
                        drawn[place].get(name),
                    )
                    for column, name in enumerate(self.trained.task.classes)
                ),
            )

    def _logits(self, rows: Rows) -> FloatArray:
        spec = self.trained.spec
        try:
            logits = logits_of(
                self._network,
                self.trained.backbone,
                rows,
                image_size=spec.image_size,
                crop=spec.crop,
                batch_size=AT_ONCE // 2,
                channels_last=spec.training.channels_last,
                device=self.device,
            )
        except torch.OutOfMemoryError as error:
            raise CxrbenchError(
                f"The device ran out of memory with one image of {spec.image_size} px; free it of other "
                "work, or give --device cpu."
            ) from error
        return logits.numpy().astype(np.float64)


def _drawn(trained: Trained) -> bool:
    """Whether the images that the network was trained on are drawn."""
    told = trained.record.get("trained_on") or trained.record["passport"]
    # Older records do not say.
    return bool(told.get("drawn", trained.spec.dataset.name == "phantom"))


def _in_batches(
    answers: Iterator[ReadImage | Failed], failed: list[Failed], advance: Advance
) -> Iterator[list[ReadImage]]:
    """Images that could be read, a few at a time; the others are added to ``failed``."""

    def readable() -> Iterator[ReadImage]:
        for answer in answers:
            if isinstance(answer, ReadImage):
                yield answer
            else:
                failed.append(answer)
                advance(1, f"{len(failed)} failed")

    images = readable()
    while batch := list(islice(images, AT_ONCE)):
        yield batch


def _rows(read: Sequence[ReadImage], facts: Sequence[Facts]) -> Rows:
    table = pd.DataFrame(
        {
            "age": [each.age for each in facts],
            "sex": pd.Series([each.sex for each in facts], dtype=object),
            "view": pd.Series([each.view for each in facts], dtype=object),
        }
    )
    pixels = [each.pixels for each in read if each.pixels is not None]
    return Rows(
        pd.Index([str(each.path) for each in read]),
        patient_vectors(table),
        np.stack(pixels) if pixels else None,
        np.arange(len(read)),
        None,
    )


def _oddities(image: ReadImage) -> tuple[Oddity, ...]:
    if image.header is None:
        return ()
    if not image.header.names(str(image.path)):
        return image.header.oddities
    return (
        *image.header.oddities,
        Oddity("path_names_patient", "the file's path holds the patient's name, which the answer repeats"),
    )
