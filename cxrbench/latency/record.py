"""Records of measurements: appended to a store, under the checkpoint that was measured.

::

    results/latency/TRAINING_KEY/NAME/
      record.json           the row: what, where, how fast, and the gate
      samples.parquet       every latency, in the order in which they were taken
      predictions.parquet   the engine's logits on test
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cxrbench.canonical import digest, jsonable
from cxrbench.errors import CxrbenchError
from cxrbench.files import read_json, sync, write_json
from cxrbench.options import Use
from cxrbench.store import Store

SCHEMA_VERSION = 1
"""Of ``record.json``; readers of newer versions keep reading older ones."""

FILES = ("samples.parquet", "predictions.parquet")


@dataclass(frozen=True)
class Record:
    """One measured row.

    Attributes:
        folder: where it is kept.
        told: ``record.json``.
    """

    folder: Path
    told: Mapping[str, Any]

    @property
    def runtime(self) -> str:
        """The runtime with its options, as the command line takes it."""
        return str(Use.model_validate(self.told["runtime"]))

    @property
    def passed(self) -> bool:
        """Whether it passed the gate, and so may be ranked."""
        return bool(self.told["gate"]["passed"])

    @property
    def nonconforming(self) -> list[str]:
        """A clause on each component that failed a check when it was measured; an older record has none."""
        return list(self.told.get("nonconforming", ()))

    def percentile(self, percent: int) -> dict[str, Any]:
        """See :class:`cxrbench.latency.percentiles.Percentile`."""
        found = self.told["latency"]["percentiles"]
        return next(each for each in found if each["percent"] == percent)


def append(store: Store, training: str, told: Mapping[str, Any], made: Path) -> Record:
    """Add a record and its files, whole or not at all; none is ever changed or replaced.

    Args:
        store: where to.
        training: the id of the checkpoint's training.
        told: the record; schema version and time are added.
        made: folder of its files, which are moved.
    """
    # As it will be read again, undefined figures as None.
    told = jsonable(
        {
            "schema_version": SCHEMA_VERSION,
            "created": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "training": training,
            **told,
        }
    )
    runtime, size = told["runtime"]["name"].replace("/", "_"), told["image_size"]
    label = f"{runtime}-{told['precision']}-b{told['batch_size']}-{size}px"
    folder = _of_training(store, training) / f"{label}-{digest(told)[:8]}"
    building = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
    for name in FILES:
        shutil.move(made / name, building / name)
        sync(building / name)
    write_json(building / "record.json", told)
    building.rename(folder)
    sync(folder.parent)
    return Record(folder, told)


def records_of(store: Store, training: str) -> Iterator[Record]:
    """All records of a checkpoint, the oldest first.

    Raises:
        CxrbenchError: one is damaged, or of a newer cxrbench.
    """
    return _in_order(map(_read, _paths(store, training)))


def readable_records_of(store: Store, training: str) -> Iterator[Record]:
    """Those records of a checkpoint that can be read, the oldest first; the others are warned of."""
    found = []
    for path in _paths(store, training):
        try:
            found.append(_read(path))
        except CxrbenchError as error:
            # One damaged record must not hide the others.
            store.reporter.warn(str(error))
    return _in_order(found)


def _read(path: Path) -> Record:
    try:
        told = read_json(path)
        newer = told["schema_version"] > SCHEMA_VERSION
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CxrbenchError(f"{path} is damaged; remove its folder and measure again.") from error
    if newer:
        raise CxrbenchError(f"{path} was written by a newer cxrbench; update cxrbench to read it.")
    return Record(path.parent, told)


def _in_order(records: Iterable[Record]) -> Iterator[Record]:
    return iter(sorted(records, key=lambda each: str(each.told["created"])))


def described(host: Mapping[str, Any], device: str) -> str:
    """A machine of a record in a few words, such as ``AMD EPYC, 2 cores`` or the GPU's name."""
    if device == "cuda" and host["gpu"]:
        return str(host["gpu"]["name"])
    return f"{host['processor']}, {host['cores']} cores"


def _paths(store: Store, training: str) -> list[Path]:
    return sorted(_of_training(store, training).glob("[!.]*/record.json"))


def _of_training(store: Store, training: str) -> Path:
    return store.root / "latency" / training.rpartition("/")[2]
