"""Predict: a checkpoint's raw logits on the images of one role."""

from __future__ import annotations

import time
from pathlib import Path

import pandas as pd
import torch
from torch import nn

from cxrbench.errors import CxrbenchError
from cxrbench.files import write_json
from cxrbench.interfaces import Backbone
from cxrbench.predictions import Predictions
from cxrbench.reporter import Reporter
from cxrbench.specs import RunSpec
from cxrbench.stages import features
from cxrbench.task import Task
from cxrbench.training.batches import Rows
from cxrbench.training.checkpoint import load_own_weights
from cxrbench.training.devices import deterministic, true_fp32
from cxrbench.training.inference import logits_of

VERSION = "1"
"""Changes when the same checkpoint and pixels give other logits."""


def trained_network(spec: RunSpec, backbone: Backbone, task: Task, checkpoint: Path) -> nn.Module:
    """The network of a checkpoint."""
    network: nn.Module = backbone.build(len(task.classes), spec.image_size, False)
    load_own_weights(network, checkpoint)
    return network


def run(
    folder: Path,
    spec: RunSpec,
    backbone: Backbone,
    task: Task,
    checkpoint: Path,
    rows: Rows,
    device: torch.device,
    reporter: Reporter,
) -> None:
    """Write ``predictions.parquet``, and how long it took into ``prediction.json``.

    Always in fp32, without TF32: bf16 keeps 8 bits of a logit and makes ties of differences, and a CPU
    should give the same as a GPU. Deterministic where training is.

    Raises:
        CxrbenchError: a logit is not finite, or the device has not the memory for one image.
    """
    network = trained_network(spec, backbone, task, checkpoint)
    if rows.features is not None:
        network = features.head_of(network)
    if spec.training.channels_last:
        network = network.to(memory_format=torch.channels_last)
    started = time.monotonic()
    try:
        with (
            true_fp32(),
            deterministic(spec.training.deterministic),
            reporter.progress("predicting", len(rows)) as advance,
        ):
            logits = logits_of(
                network.to(device),
                backbone,
                rows,
                image_size=spec.image_size,
                crop=spec.crop,
                batch_size=spec.training.images_a_step,
                channels_last=spec.training.channels_last,
                device=device,
                advance=advance,
            )
    except torch.OutOfMemoryError as error:
        raise CxrbenchError(
            f"The device ran out of memory with one image of {spec.image_size} px; free it of other work, or "
            "give --device cpu."
        ) from error
    if not bool(logits.isfinite().all()):
        image = rows.image_ids[int((~logits.isfinite()).any(dim=1).nonzero()[0, 0])]
        raise CxrbenchError(
            f"The network gives a logit that is not finite, first for image {image}; "
            "train it again with --precision fp32."
        )
    write_record(folder, time.monotonic() - started, len(rows))
    table = pd.DataFrame(logits.numpy(), index=rows.image_ids, columns=list(task.classes))
    Predictions(task, table).write(folder / "predictions.parquet")


def write_record(folder: Path, seconds: float, images: int) -> None:
    """Write ``prediction.json``, which is in no key: seconds with all that reads images, no latency."""
    write_json(folder / "prediction.json", {"seconds": seconds, "images": images})
