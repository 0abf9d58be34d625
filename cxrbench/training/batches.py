"""Rows of a role as batches: pixels, patient data, labels, and what each image's randomness derives from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from cxrbench.data import Data
from cxrbench.interfaces import SamplePlan
from cxrbench.pixels.images import Images
from cxrbench.training.randomness import derive, hash_ids

if TYPE_CHECKING:
    from numpy.typing import NDArray

Batch = dict[str, Tensor]
"""``row`` int64 ``[B]``; ``patient`` float32 ``[B, 3]``; ``pixels`` uint8 ``[B, 1, side, side]`` where the
network takes images, or in their place ``features`` float32 ``[B, …]``; ``labels`` float32 ``[B, classes]``
where they are known to the reader."""

_COPY = np.uint64(0xD1B54A32D192ED03)
"""Any odd number with about as many ones as zeros: times 1, 2, … it tells copies of an image apart."""


@dataclass(frozen=True)
class Rows:
    """Images of one role: each once in order of its id, or as a sampler wants them.

    Attributes:
        image_ids: ``[n]``.
        patient: float32 ``[n, 3]``, see :class:`cxrbench.interfaces.Backbone`.
        pixels: all images of the data set ``[m, side, side]``, or None where the network takes none.
        positions: int64 ``[n]``, where each image stands in ``pixels`` or ``features``.
        labels: float ``[n, classes]``, or None where only predictions are wanted.
        mirrored: bool ``[n]``, which rows are seen mirrored left to right; None for none of them.
        copies: uint64 ``[n]``, how many rows before this one have the same image; None where they differ.
        features: float32 ``[m, …]``, what a frozen network makes of images, in place of ``pixels``.
        mirrored_features: the same of mirrored images; None where no row is mirrored.
    """

    image_ids: pd.Index[str]
    patient: NDArray[np.float32]
    pixels: NDArray[np.uint8] | None
    positions: NDArray[np.int64]
    labels: NDArray[np.float64] | None
    mirrored: NDArray[np.bool_] | None = None
    copies: NDArray[np.uint64] | None = None
    features: NDArray[np.float32] | None = None
    mirrored_features: NDArray[np.float32] | None = None

    @classmethod
    def of(
        cls,
        data: Data,
        image_ids: pd.Index[str],
        images: Images | None,
        pixels: NDArray[np.uint8] | None,
        labels: NDArray[np.float64] | None = None,
    ) -> Rows:
        """Gather what belongs to these images."""
        positions = np.zeros(len(image_ids), np.int64) if images is None else images.rows(image_ids)
        return cls(image_ids, data.patient_vectors(image_ids), pixels, positions, labels)

    def planned(self, plan: SamplePlan) -> Rows:
        """These rows as a sampler wants them: some left out, some repeated, some mirrored."""
        chosen = plan.rows
        return replace(
            self,
            image_ids=self.image_ids[chosen],
            patient=self.patient[chosen],
            positions=self.positions[chosen],
            labels=None if self.labels is None else self.labels[chosen],
            mirrored=plan.mirrored,
            copies=pd.Series(chosen).groupby(chosen).cumcount().to_numpy().astype(np.uint64),
        )

    def with_patients_shuffled(self) -> Rows:
        """Each image with the patient data of another, which one following from the images' ids alone."""
        order = np.argsort(hash_ids(self.image_ids), kind="stable")
        patient = np.empty_like(self.patient)
        patient[order] = self.patient[np.roll(order, 1)]
        return replace(self, patient=patient)

    def __len__(self) -> int:
        return len(self.image_ids)

    @property
    def known_labels(self) -> NDArray[np.float64]:
        """The labels, of rows that were gathered with them."""
        if self.labels is None:
            raise ValueError("these rows were gathered without labels")
        return self.labels

    def id_hashes(self) -> NDArray[np.uint64]:
        """What each row's randomness derives from ``[n]``: its image's id, and which copy of it this is."""
        hashes = hash_ids(self.image_ids)
        return hashes if self.copies is None else hashes ^ (self.copies * _COPY)


class _Fetch(Dataset[Batch]):
    """Fetches a batch by one indexed read, where a row at a time would cost a Python call an image."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        rows, chosen = self._rows, np.asarray(indices)
        batch = {"row": torch.from_numpy(chosen), "patient": torch.from_numpy(rows.patient[chosen])}
        if rows.pixels is not None:
            pixels = rows.pixels[rows.positions[chosen]]
            if rows.mirrored is not None:
                mirrored = rows.mirrored[chosen]
                pixels[mirrored] = pixels[mirrored, :, ::-1]
            batch["pixels"] = torch.from_numpy(pixels).unsqueeze(1)
        if rows.features is not None:
            features = rows.features[rows.positions[chosen]]
            if rows.mirrored is not None and rows.mirrored_features is not None:
                mirrored = rows.mirrored[chosen]
                features[mirrored] = rows.mirrored_features[rows.positions[chosen[mirrored]]]
            batch["features"] = torch.from_numpy(np.asarray(features))
        if rows.labels is not None:
            batch["labels"] = torch.from_numpy(rows.labels[chosen].astype(np.float32))
        return batch


class SeededOrder(Sampler[int]):
    """A new order for each epoch, from (seed, epoch) alone.

    Attributes:
        epoch: which one the next iteration is for. It is no ``set_epoch`` method, since accelerate would
            call that with its own count, which starts at 0 again in a resumed process.
    """

    def __init__(self, length: int, seed: int) -> None:
        self._length, self._seed = length, seed
        self.epoch = 0

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[int]:
        generator = np.random.Generator(np.random.Philox(derive("order", self._seed, self.epoch)))
        return iter(generator.permutation(self._length).tolist())


def loader(
    rows: Rows, batch_size: int, order: SeededOrder | None = None, *, pin: bool = False
) -> DataLoader[Any]:
    """Batches of ``rows``: all of them in sequence, or in ``order`` without an incomplete last batch.

    A last batch of one image would leave batch normalisation nothing to normalise over.
    """
    drop = order is not None and len(rows) > batch_size
    return DataLoader(
        _Fetch(rows),
        batch_size=batch_size,
        sampler=order,
        drop_last=drop,
        collate_fn=_as_it_is,
        pin_memory=pin,
    )


def _as_it_is(batch: Any) -> Any:
    return batch
