"""What the process of a row is told, as files in a folder that it shares with who asks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file, save_file

from cxrbench.files import read_json, write_json
from cxrbench.interfaces import DeviceType, NumberFormat
from cxrbench.options import Use
from cxrbench.stages.train import Mapped
from cxrbench.training.batches import Rows

Batches = list[list[torch.Tensor]]
"""Batches of a network's inputs, on the CPU."""


@dataclass(frozen=True)
class Row:
    """One row of the answer: how a network is to be computed.

    Attributes:
        runtime: with its options.
        precision: the number format.
        batch_size: images a call.
        image_size: side of the network's input.
    """

    runtime: Use
    precision: NumberFormat
    batch_size: int
    image_size: int

    def __str__(self) -> str:
        return f"{self.runtime} {self.precision}, batch {self.batch_size}, {self.image_size} px"


@dataclass(frozen=True)
class Effort:
    """How much is measured.

    Attributes:
        samples: at most so many calls are timed.
        seconds: for at most so long, whatever they are, but for 30 of them.
        split: whether a request is timed from file to decisions too.
    """

    samples: int = 662
    seconds: float = 30.0
    split: bool = True


@dataclass(frozen=True)
class Request:
    """All that the process of a row is told but images.

    Attributes:
        results: folder of the store.
        run_id: whose network.
        data_root: folder of the data set's files; None where it needs none.
        row: what to measure.
        device: where.
        threads: of a CPU.
        effort: how much.
        sources: (image id, path below the data root) of images to time from the file on.
        started: when the process was asked for, by the clock that all processes share.
    """

    results: Path
    run_id: str
    data_root: Path | None
    row: Row
    device: DeviceType
    threads: int
    effort: Effort
    sources: tuple[tuple[str, str], ...]
    started: float

    def write(self, folder: Path) -> None:
        """Write ``request.json``."""
        told: dict[str, Any] = asdict(self)
        told["results"], told["data_root"] = str(self.results), self.data_root and str(self.data_root)
        told["row"]["runtime"] = self.row.runtime.model_dump()
        write_json(folder / "request.json", told)

    @classmethod
    def read(cls, folder: Path) -> Request:
        """Read what :meth:`write` wrote."""
        told = read_json(folder / "request.json")
        row = {**told.pop("row")}
        row["runtime"] = Use.model_validate(row["runtime"])
        root = told.pop("data_root")
        return cls(
            results=Path(told.pop("results")),
            data_root=Path(root) if root else None,
            row=Row(**row),
            effort=Effort(**told.pop("effort")),
            sources=tuple((image_id, source) for image_id, source in told.pop("sources")),
            **told,
        )


def write_examples(batches: Sequence[Sequence[torch.Tensor]], folder: Path) -> None:
    """Write batches of a network's inputs."""
    tensors = {
        f"{row:04d}.{place}": each.contiguous()
        for row, batch in enumerate(batches)
        for place, each in enumerate(batch)
    }
    save_file(tensors, folder / "examples.safetensors")


def read_examples(folder: Path) -> Batches:
    """Read what :func:`write_examples` wrote."""
    batches: dict[str, dict[int, torch.Tensor]] = {}
    for name, tensor in load_file(folder / "examples.safetensors").items():
        row, _, place = name.partition(".")
        batches.setdefault(row, {})[int(place)] = tensor
    return [[batch[place] for place in sorted(batch)] for _, batch in sorted(batches.items())]


def filled(inputs: Sequence[torch.Tensor], size: int) -> list[torch.Tensor]:
    """A batch with its last image repeated until there are ``size``."""
    return [torch.cat([each, each[-1:].expand(size - len(each), *each.shape[1:])]) for each in inputs]


def write_rows(rows: Rows, folder: Path) -> None:
    """Write what tells of images, and where their pixels are mapped from."""
    ids = np.asarray(rows.image_ids, dtype=str)
    np.savez(folder / "rows.npz", image_ids=ids, patient=rows.patient, positions=rows.positions)
    mapped = None
    if isinstance(rows.pixels, np.memmap):
        at = Mapped.of(rows.pixels)
        mapped = {"path": str(at.path), "dtype": at.dtype, "offset": at.offset, "shape": list(at.shape)}
    write_json(folder / "pixels.json", mapped)


def read_rows(folder: Path) -> Rows:
    """Read what :func:`write_rows` wrote; pixels are mapped again."""
    with np.load(folder / "rows.npz") as arrays:
        ids, patient, positions = (arrays[name] for name in ("image_ids", "patient", "positions"))
    at = read_json(folder / "pixels.json")
    pixels = at and Mapped(Path(at["path"]), at["dtype"], at["offset"], tuple(at["shape"])).open()
    return Rows(pd.Index(ids.tolist(), dtype="str"), patient, pixels, positions, None)
