"""A run's networks on files: decoded ahead of them, a few images at a time, to calibrated decisions."""

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

from cxrbench.canonical import digest
from cxrbench.conformance.marks import nonconforming_since
from cxrbench.data import patient_vectors
from cxrbench.errors import CxrbenchError, UsageError
from cxrbench.interfaces import Dataset
from cxrbench.options import make
from cxrbench.pixels.images import stored_side
from cxrbench.pixels.preparing import in_parallel
from cxrbench.predicting.answer import OfFinding, Predicted, PredictedImage
from cxrbench.predicting.header import Oddity
from cxrbench.predicting.heatmaps import Drawer, Heatmaps
from cxrbench.predicting.patients import Facts, Patients
from cxrbench.predicting.reading import Failed, Reader, ReadImage, Sight
from cxrbench.registry import Registry
from cxrbench.reporter import Advance, Reporter
from cxrbench.store import Store
from cxrbench.training.batches import Rows
from cxrbench.training.devices import deterministic, true_fp32
from cxrbench.training.inference import logits_of
from cxrbench.workflow.composed import Composed, composed
from cxrbench.workflow.deployed import Deployed, deployed
from cxrbench.workflow.trained import Trained

if TYPE_CHECKING:
    from cxrbench.interfaces import FloatArray

AT_ONCE = 32
"""Images in a call of the network; as many are decoded meanwhile."""


@dataclass(frozen=True)
class Predictor:
    """The networks of a run with what stands behind them.

    Attributes:
        composed: the networks, and what becomes of their logits.
        behind: calibration, thresholds and rule of the run.
        reader: makes pixels of files.
        patients: where patient data come from.
        device: where networks are computed.
        heatmaps: where they are asked for.
        nonconforming: a clause on each component that failed a check.
    """

    composed: Composed
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
        """The networks of a stored run; nothing of its data set is needed.

        Raises:
            UsageError: there is no such run, or none with networks that can be used so.
            CxrbenchError: what it was made from is missing or damaged.
        """
        source = composed(store, registry, run)
        networks = list(source.networks.values())
        for each in networks:
            if "patient" in each.backbone.inputs and each.spec.patient_data != "own":
                raise UsageError(
                    f"{each.run_id} was trained with patient data of others, as a control; name another run."
                )
        if heatmaps is not None and len(networks) > 1:
            raise UsageError(
                f"Heatmaps are of one network, and {source.run_id} has {len(networks)}; leave out "
                "--heatmaps, or name a run of one of them."
            )
        if heatmaps is not None and not _takes_images(networks[0]):
            raise UsageError(f"The network of {networks[0].run_id} sees no images; leave out --heatmaps.")
        behind = deployed(store, registry, source.record, source.task)
        reader, uses = Reader(_sights(networks, registry)), {"explainer": heatmaps.use} if heatmaps else {}
        marks = nonconforming_since(registry, source.records, **uses)
        return cls(source, behind, reader, patients, device, heatmaps, marks)

    def predict(self, files: Sequence[Path], reporter: Reporter) -> Predicted:
        """What the run says of files; those that cannot be read are listed.

        Raises:
            UsageError: heatmaps are asked for, and the network has no such layer.
            CxrbenchError: the device has not the memory for one image.
        """
        drawer = None
        if self.heatmaps is not None:
            ((training, network),) = self._networks.items()
            drawer = self.heatmaps.of(self.composed.networks[training], network, self.device)
        images: list[PredictedImage] = []
        failed: list[Failed] = []
        specs = [each.spec.training for each in self.composed.networks.values()]
        with (
            true_fp32(),
            deterministic(any(each.deterministic for each in specs)),
            reporter.progress("predicting", len(files)) as advance,
        ):
            answers, before = in_parallel(self.reader, files, len(files), AT_ONCE), 0
            for read in _in_batches(answers, failed, advance):
                for answer in self._predicted(read, before, drawer):
                    if isinstance(answer, Failed):
                        failed.append(answer)
                    else:
                        images.append(answer)
                before += len(read)
                advance(len(read), f"{len(failed)} failed" if failed else "")
        order = {path: place for place, path in enumerate(files)}
        failed.sort(key=lambda each: order[each.path])
        return Predicted(
            self.composed.record,
            self.composed.networks_of,
            self.behind,
            tuple(images),
            tuple(failed),
            self.nonconforming,
        )

    @cached_property
    def _networks(self) -> dict[str, nn.Module]:
        return {name: self._placed(each) for name, each in self.composed.networks.items()}

    def _placed(self, trained: Trained) -> nn.Module:
        network = trained.network()
        if trained.spec.training.channels_last:
            network = network.to(memory_format=torch.channels_last)
        return network.to(self.device)

    @cached_property
    def _takes_patients(self) -> bool:
        return any("patient" in each.backbone.inputs for each in self.composed.networks.values())

    def _predicted(
        self, read: Sequence[ReadImage], before: int, drawer: Drawer | None
    ) -> Iterator[PredictedImage | Failed]:
        facts = [self.patients.of(each.path, each.header) for each in read]
        found = {
            name: self._logits(trained, self._networks[name], _rows(read, facts, trained))
            for name, trained in self.composed.networks.items()
        }
        finite = np.asarray(
            np.all([np.isfinite(logits).all(axis=1) for logits in found.values()], axis=0), bool
        )
        logits = self.composed.logits(
            {name: np.where(finite[:, None], each, 0) for name, each in found.items()}
        )
        probabilities = self.behind.probabilities(logits)
        decisions = self.behind.decisions(probabilities)
        drawn: list[dict[str, Path]] = [{} for _ in read]
        if drawer is not None:
            wanted = (decisions == 1) & finite[:, None]
            drawn = drawer.draw(read, _rows(read, facts, drawer.trained), wanted, before)
        for place, image in enumerate(read):
            if not finite[place]:
                yield Failed(image.path, "makes the network give a logit that is not finite")
                continue
            yield PredictedImage(
                image.path,
                image.header.patient_id if image.header else "",
                facts[place],
                facts[place].unknown if self._takes_patients else (),
                _oddities(image),
                tuple(
                    OfFinding(
                        name,
                        float(probabilities[place, column]),
                        float(self.behind.thresholds[column]),
                        float(decisions[place, column]),
                        drawn[place].get(name),
                    )
                    for column, name in enumerate(self.composed.task.classes)
                ),
            )

    def _logits(self, trained: Trained, network: nn.Module, rows: Rows) -> FloatArray:
        spec = trained.spec
        try:
            logits = logits_of(
                network,
                trained.backbone,
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


def _takes_images(trained: Trained) -> bool:
    return "image" in trained.backbone.inputs


def _sight_name(trained: Trained) -> str:
    """Networks of one name see the same pixels of a file."""
    spec = trained.spec
    # Decoding does not depend on options of data sets.
    dataset = None if _drawn(trained) else spec.dataset.name
    return digest([dataset, spec.preprocessing.model_dump(), stored_side(spec.image_size, spec.crop)])


def _sights(networks: Sequence[Trained], registry: Registry) -> dict[str, Sight]:
    datasets: dict[str, Dataset] = {}
    sights = {}
    for trained in filter(_takes_images, networks):
        spec, decoder = trained.spec, None
        # What draws images decodes none.
        if not _drawn(trained):
            decoder = datasets.setdefault(spec.dataset.name, make(spec.dataset, "dataset", registry))
        sights[_sight_name(trained)] = Sight(
            decoder,
            make(spec.preprocessing, "preprocessing", registry),
            stored_side(spec.image_size, spec.crop),
        )
    return sights


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


def _rows(read: Sequence[ReadImage], facts: Sequence[Facts], trained: Trained) -> Rows:
    """The images as a network sees them."""
    table = pd.DataFrame(
        {
            "age": [each.age for each in facts],
            "sex": pd.Series([each.sex for each in facts], dtype=object),
            "view": pd.Series([each.view for each in facts], dtype=object),
        }
    )
    pixels = None
    if _takes_images(trained):
        name = _sight_name(trained)
        pixels = np.stack([each.pixels[name] for each in read])
    return Rows(
        pd.Index([str(each.path) for each in read]),
        patient_vectors(table),
        pixels,
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
