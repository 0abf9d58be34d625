"""Asks a fresh process for each row, compares what it predicts, and keeps what it found."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from cxrbench.comparing.stored import StoredRun
from cxrbench.conformance.marks import nonconforming_since
from cxrbench.errors import CxrbenchError
from cxrbench.files import read_json
from cxrbench.interfaces import DeviceType
from cxrbench.latency import gate, machine, record
from cxrbench.latency.gate import Gate, Tolerance
from cxrbench.latency.record import Record
from cxrbench.latency.request import (
    Batches,
    Effort,
    Request,
    Row,
    filled,
    write_examples,
    write_rows,
)
from cxrbench.predictions import Predictions
from cxrbench.training.batches import Rows, loader
from cxrbench.training.devices import true_fp32
from cxrbench.training.inference import logits_of
from cxrbench.training.views import network_inputs
from cxrbench.workflow.deployed import deployed
from cxrbench.workflow.opened import OpenedData
from cxrbench.workflow.runs import Workflow
from cxrbench.workflow.trained import Trained, rows_of

if TYPE_CHECKING:
    from cxrbench.interfaces import FloatArray

CALIBRATING_IMAGES = 64
"""Of tune, that int8 finds ranges of activations from."""

_TIMED_FILES = 64
"""Test images that are timed from the file on, one after another."""


@dataclass
class Session:
    """The measuring of one run's network.

    Attributes:
        workflow: its store, components and data.
        trained: the network.
        device: where it is computed.
        threads: of a CPU.
        effort: how much is measured.
        tolerance: of the gate.
    """

    workflow: Workflow
    trained: Trained
    device: DeviceType
    threads: int
    effort: Effort
    tolerance: Tolerance
    _tests: dict[int, Rows] = field(default_factory=dict)
    _references: dict[int, FloatArray] = field(default_factory=dict)

    def measure(self, row: Row) -> Record:
        """Measure a row and append it to the store.

        Raises:
            CxrbenchError: the data cannot be read, or the engine cannot be built or run.
        """
        with tempfile.TemporaryDirectory(prefix="cxrbench-latency-") as name:
            folder = Path(name)
            write_examples(self._examples(row), folder)
            write_rows(self._test(row.image_size), folder)
            # Before the process: what is missing should stop a row before it is measured.
            reference = self._reference(row.image_size)
            told = self._run(row, folder)
            compared = self._compare(reference, folder / "predictions.parquet")
            component = self.workflow.registry.find("runtime", row.runtime.name)
            return record.append(
                self.workflow.store,
                self.trained.training,
                {
                    "run_id": self.trained.run_id,
                    "runtime": row.runtime.model_dump(),
                    "runtime_version": component.version,
                    "precision": row.precision,
                    "batch_size": row.batch_size,
                    "image_size": row.image_size,
                    "device": self.device,
                    "nonconforming": self._nonconforming(row),
                    **told,
                    "gate": compared.record(),
                },
                folder,
            )

    def stored(self, row: Row) -> Record | None:
        """The last measurement of a row of this run, on this machine and with these versions."""
        here = {
            "run_id": self.trained.run_id,
            "runtime": row.runtime.model_dump(),
            "runtime_version": self.workflow.registry.find("runtime", row.runtime.name).version,
            "precision": row.precision,
            "batch_size": row.batch_size,
            "image_size": row.image_size,
            "device": self.device,
            "host": machine.host(),
            "versions": machine.versions(),
        }
        marks = self._nonconforming(row)
        found = record.records_of(self.workflow.store, self.trained.training)
        return next(
            (
                each
                for each in reversed(list(found))
                if each.nonconforming == marks
                and all(each.told.get(name) == value for name, value in here.items())
            ),
            None,
        )

    def _nonconforming(self, row: Row) -> list[str]:
        registry = self.workflow.registry
        return list(nonconforming_since(registry, [self.trained.record], runtime=row.runtime))

    def _run(self, row: Row, folder: Path) -> dict[str, Any]:
        """What a fresh process finds of a row."""
        request = Request(
            results=self.workflow.store.root.absolute(),
            run_id=self.trained.run_id,
            data_root=self._root,
            row=row,
            device=self.device,
            threads=self.threads,
            effort=self.effort,
            sources=self._sources,
            started=time.monotonic(),
        )
        request.write(folder)
        environment = {
            **os.environ,
            "OMP_NUM_THREADS": str(self.threads),
            # What this process can import, plugins among it, the other can too.
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            # Otherwise building would be as fast as what happened to be compiled before.
            "TORCHINDUCTOR_CACHE_DIR": str(folder / "inductor"),
        }
        # Without the folder that one works in, unless this process has it in its path too: its files would
        # hide modules of the same name.
        command = [sys.executable, "-P", "-m", "cxrbench.latency.process", str(folder)]
        with (folder / "stderr").open("w", encoding="utf-8") as errors:
            done = subprocess.run(
                command, env=environment, stdout=errors, stderr=subprocess.STDOUT, check=False
            )
        if done.returncode == 0:
            told: dict[str, Any] = read_json(folder / "result.json")
            return told
        raise CxrbenchError(_why(folder, done.returncode))

    def _compare(self, reference: FloatArray, predictions: Path) -> Gate:
        trained, tests = self.trained, self._stored
        engine = Predictions.read(predictions).matrix(tests.probabilities.index)
        return gate.compare(
            deployed(self.workflow.store, self.workflow.registry, trained.record, trained.task),
            reference,
            engine,
            [trained.task.classes.index(name) for name in tests.probabilities.columns],
            tests.labels,
            tests.patients.to_numpy(str),
            trained.record["passport"]["id"],
            self.tolerance,
        )

    @cached_property
    def _stored(self) -> StoredRun:
        return StoredRun(self.workflow.store, self.trained.record, "latency")

    def _test(self, image_size: int) -> Rows:
        if image_size not in self._tests:
            self._tests[image_size] = rows_of(self.workflow, self.trained, "test", image_size)
        return self._tests[image_size]

    def _reference(self, image_size: int) -> FloatArray:
        """Logits ``[n, c]`` of eager fp32 on the test images: stored, but for another size of images."""
        if image_size not in self._references:
            ids = self._stored.probabilities.index
            if image_size == self.trained.spec.image_size:
                logits = self._stored.logits.loc[ids].to_numpy(np.float64)
            else:
                rows = self._test(image_size)
                found = self._eager(rows, image_size).numpy().astype(np.float64)
                logits = found[rows.image_ids.get_indexer(ids)]
            self._references[image_size] = logits
        return self._references[image_size]

    def _eager(self, rows: Rows, image_size: int) -> torch.Tensor:
        trained = self.trained
        device = torch.device(self.device)
        with true_fp32(), self.workflow.reporter.progress("predicting", len(rows)) as advance:
            return logits_of(
                trained.network(image_size).to(device),
                trained.backbone,
                rows,
                image_size=image_size,
                crop=trained.spec.crop,
                batch_size=trained.spec.training.images_a_step,
                channels_last=False,
                device=device,
                advance=advance,
            )

    def _examples(self, row: Row) -> Batches:
        """Batches of real inputs, of the role that thresholds are fitted on; never of test."""
        trained = self.trained
        rows = rows_of(self.workflow, trained, trained.spec.tune, row.image_size)
        images = max(CALIBRATING_IMAGES if row.precision == "int8" else 1, row.batch_size)
        batches: Batches = []
        for batch in loader(rows, row.batch_size):
            inputs = network_inputs(
                trained.backbone, batch, row.image_size, trained.spec.crop, channels_last=False
            )
            if len(batches) * row.batch_size >= images:
                break
            batches.append(filled(inputs, row.batch_size))
        return batches

    @property
    def _sources(self) -> tuple[tuple[str, str], ...]:
        """Files of test images, to time from there."""
        data = self._tested.data
        return tuple(data.sources(data.image_ids("test")[:_TIMED_FILES]))

    @property
    def _root(self) -> Path | None:
        root = self._tested.data.root
        return root.absolute() if root is not None else None

    @property
    def _tested(self) -> OpenedData:
        spec = self.trained.spec
        opened = self.workflow.open(spec)
        if spec.test_dataset:
            return self.workflow.open_test(spec, spec.test_dataset, opened.data.task)
        return opened


def _why(folder: Path, code: int) -> str:
    """Why the process of a row ended early, in one sentence."""
    if (folder / "error.json").exists():
        return str(read_json(folder / "error.json")["error"])
    lines = (folder / "stderr").read_text(encoding="utf-8", errors="replace").strip().splitlines()
    last = lines[-1].strip().rstrip(".") if lines else "it says nothing"
    how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
    return f"The process that builds and measures the engine {how}: {last}."
