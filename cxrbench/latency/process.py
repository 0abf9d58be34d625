"""The process of one row: builds the engine, measures it and predicts the test images with it.

``python -m cxrbench.latency.process FOLDER``, the folder holding what :mod:`cxrbench.latency.request` writes.
It leaves ``result.json``, ``samples.parquet`` and ``predictions.parquet`` there.
"""

from __future__ import annotations

import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import torch

from cxrbench.errors import CxrbenchError
from cxrbench.files import write_json
from cxrbench.interfaces import Engine, Runtime
from cxrbench.latency import machine
from cxrbench.latency.measure import Samples, outliers, sample, warm_up
from cxrbench.latency.percentiles import percentiles
from cxrbench.latency.request import Request, filled, read_examples, read_rows
from cxrbench.latency.split import Pipeline, split_of
from cxrbench.options import make
from cxrbench.plugins import installed
from cxrbench.predictions import Predictions
from cxrbench.reporter import Reporter
from cxrbench.store import Store
from cxrbench.training.batches import Rows, loader
from cxrbench.training.views import network_inputs
from cxrbench.workflow.deployed import deployed
from cxrbench.workflow.trained import Trained, trained_network

if TYPE_CHECKING:
    from cxrbench.interfaces import FloatArray


def main(folder: Path) -> None:
    """Measure the row that the folder asks for.

    Raises:
        CxrbenchError: the engine cannot be built, or not run.
    """
    imported = time.monotonic()
    request = Request.read(folder)
    row, cuda = request.row, request.device == "cuda"
    torch.set_num_threads(request.threads)
    store, registry = Store(request.results, Reporter(quiet=True), create=False), installed().registry
    trained = trained_network(store, registry, request.run_id)
    network = trained.network(row.image_size).to(request.device)
    examples = [[each.to(request.device) for each in batch] for batch in read_examples(folder)]
    runtime: Runtime = make(row.runtime, "runtime", registry)
    loaded = time.monotonic()
    engine = runtime.build(network, examples, row.precision)
    built = time.monotonic()
    inputs = examples[0]
    engine.run(inputs).cpu()
    first = time.monotonic()

    def call() -> torch.Tensor:
        return engine.run(inputs)

    warmed = warm_up(call, cuda)
    if cuda:
        torch.cuda.reset_peak_memory_stats()
    before = machine.now(cuda)
    samples = sample(call, cuda, request.effort.samples, request.effort.seconds)
    after = machine.now(cuda)
    count = len(samples.wall_ms)
    joules = machine.energy_joules(before, after)
    memory = {
        "host_mb": machine.peak_memory_mb(),
        "device_mb": torch.cuda.max_memory_allocated() / 2**20 if cuda else None,
    }
    _write_samples(samples, folder / "samples.parquet")
    _predict(engine, trained, request, read_rows(folder), folder / "predictions.parquet")
    split = None
    if request.effort.split:
        pipeline = Pipeline.of(trained, registry, request)
        split = split_of(pipeline, engine, deployed(store, registry, trained.record, trained.task))
    write_json(
        folder / "result.json",
        {
            "proved_precision": engine.proved_precision,
            "facts": dict(engine.facts),
            "cold_start": {
                "total_s": first - request.started,
                "process_s": imported - request.started,
                "load_s": loaded - imported,
                "build_s": built - loaded,
                "first_s": first - built,
            },
            "warm_up": asdict(warmed),
            "latency": described(samples.wall_ms),
            "device_latency": None if samples.device_ms is None else described(samples.device_ms),
            "throughput": row.batch_size * 1000 / float(samples.wall_ms.mean()),
            "memory": memory,
            "energy": {
                "joules_an_image": None if joules is None else joules / (count * row.batch_size),
                "why_not": "" if joules is not None else _no_energy(cuda),
            },
            "machine": {
                "before": before.record(),
                "after": after.record(),
                "other_cores_busy": machine.other_load(before, after),
            },
            "threads": {"intra_op": torch.get_num_threads(), "inter_op": torch.get_num_interop_threads()},
            "split": split,
            "host": machine.host(),
            "versions": machine.versions(),
        },
    )


def described(samples: FloatArray) -> dict[str, Any]:
    """Latencies in numbers, as JSON; all samples count."""
    return {
        "samples": len(samples),
        "mean_ms": float(samples.mean()),
        "min_ms": float(samples.min()),
        "max_ms": float(samples.max()),
        "outliers": outliers(samples),
        "percentiles": [asdict(each) for each in percentiles(samples)],
    }


def _no_energy(cuda: bool) -> str:
    return "NVML does not tell it (pip install nvidia-ml-py)" if cuda else "only GPUs tell it"


def _write_samples(samples: Samples, path: Path) -> None:
    columns = {"wall_ms": samples.wall_ms}
    if samples.device_ms is not None:
        columns["device_ms"] = samples.device_ms
    pd.DataFrame(columns).to_parquet(path, index=False)


def _predict(engine: Engine, trained: Trained, request: Request, rows: Rows, path: Path) -> None:
    """Write the engine's logits on all rows; it is always called with whole batches."""
    size = request.row.batch_size
    parts: list[torch.Tensor] = []
    for batch in loader(rows, size):
        held = {name: tensor.to(request.device) for name, tensor in batch.items()}
        inputs = network_inputs(
            trained.backbone, held, request.row.image_size, trained.spec.crop, channels_last=False
        )
        count = len(batch["row"])
        parts.append(engine.run(filled(inputs, size))[:count].float().cpu())
    table = pd.DataFrame(torch.cat(parts).numpy(), index=rows.image_ids, columns=list(trained.task.classes))
    Predictions(trained.task, table).write(path)


if __name__ == "__main__":
    place = Path(sys.argv[1])
    try:
        main(place)
    except CxrbenchError as error:
        write_json(place / "error.json", {"error": str(error)})
        sys.exit(error.exit_code)
    except torch.OutOfMemoryError:
        write_json(place / "error.json", {"error": "The device ran out of memory; give a smaller batch."})
        sys.exit(1)
