"""From the file to decisions, stage by stage: what a faster network changes of a whole request."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import numpy as np
import torch

from cxrbench.interfaces import Dataset, DeviceType, Engine, Preprocessing
from cxrbench.latency.request import Request
from cxrbench.options import make
from cxrbench.pixels.images import stored_side
from cxrbench.pixels.preparing import squared
from cxrbench.registry import Registry
from cxrbench.sources import read_source
from cxrbench.training.views import network_inputs
from cxrbench.workflow.deployed import Deployed
from cxrbench.workflow.trained import Trained

if TYPE_CHECKING:
    from numpy.typing import NDArray

P = ParamSpec("P")
T = TypeVar("T")

STAGES = ("decode", "preprocess", "copy", "network", "thresholds")
_MOST_ROUNDS, _SECONDS = 20, 10.0
_UNKNOWN = (0.5, 0.5, 0.5)
"""Patient data as where nothing is known: their values do not change the time."""


@dataclass(frozen=True)
class Pipeline:
    """What happens to images before the network, one image after another as a request has them.

    Attributes:
        trained: the network.
        dataset: decodes files, or draws images.
        preprocessing: of whole images.
        request: sizes, device, and the files.
    """

    trained: Trained
    dataset: Dataset
    preprocessing: Preprocessing
    request: Request

    @classmethod
    def of(cls, trained: Trained, registry: Registry, request: Request) -> Pipeline:
        """That of the data set that the run is tested on."""
        spec = trained.spec
        return cls(
            trained,
            make(spec.test_dataset or spec.dataset, "dataset", registry),
            make(spec.preprocessing, "preprocessing", registry),
            request,
        )

    @property
    def device(self) -> DeviceType:
        """Where the network is."""
        return self.request.device

    @property
    def side(self) -> int:
        """At which images are stored before the crop."""
        return stored_side(self.request.row.image_size, self.trained.spec.crop)

    def decoded(self, images: Sequence[tuple[str, str]]) -> list[NDArray[np.uint8]]:
        """Greyscale images of files, read and decoded; or drawn, where the data set has no files."""
        root = self.request.data_root
        return [
            self.dataset.pixels(
                read_source(root, source) if root is not None and source else None, image_id, self.side
            )
            for image_id, source in images
        ]

    def preprocessed(self, images: Sequence[NDArray[np.uint8]], count: int) -> list[torch.Tensor]:
        """The network's inputs on the CPU."""
        batch = {"patient": torch.tensor([_UNKNOWN] * count)}
        if images:
            square = [squared(self.preprocessing.apply(image), self.side) for image in images]
            batch["pixels"] = torch.from_numpy(np.stack(square)).unsqueeze(1)
        size, crop = self.request.row.image_size, self.trained.spec.crop
        return network_inputs(self.trained.backbone, batch, size, crop, channels_last=False)

    def copied(self, inputs: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """The inputs on the device; on a CPU they are there."""
        return [each.to(self.device) for each in inputs]


def split_of(pipeline: Pipeline, engine: Engine, behind: Deployed) -> dict[str, Any]:
    """Milliseconds of each stage for a batch: the median over rounds, and of the whole, as JSON.

    Args:
        pipeline: the stages before the network.
        engine: the network.
        behind: the stage after it.
    """
    size, sources = pipeline.request.row.batch_size, pipeline.request.sources
    takes_images = "image" in pipeline.trained.backbone.inputs
    times: list[dict[str, float]] = []
    ends = time.perf_counter() + _SECONDS
    for round_ in range(_MOST_ROUNDS + 1):
        chosen = [sources[(round_ * size + place) % len(sources)] for place in range(size)]
        clock = _Clock(pipeline.device == "cuda")
        images = clock("decode", pipeline.decoded, chosen) if takes_images else []
        inputs = clock("preprocess", pipeline.preprocessed, images, size)
        there = clock("copy", pipeline.copied, inputs)
        logits = clock("network", engine.run, there)
        clock("thresholds", _decided, behind, logits)
        if round_:  # the first warms up
            times.append(clock.ms)
        if round_ >= 3 and time.perf_counter() > ends:
            break
    medians = {stage: float(np.median([each[stage] for each in times])) for stage in STAGES}
    whole = float(np.median([sum(each.values()) for each in times]))
    return {
        "ms": medians,
        "total_ms": whole,
        "network_share": medians["network"] / whole,
        "rounds": len(times),
        "drawn": takes_images and not any(source for _, source in sources),
    }


def _decided(behind: Deployed, logits: torch.Tensor) -> None:
    behind.decisions(behind.probabilities(logits.float().cpu().numpy().astype(np.float64)))


class _Clock:
    """Times stages, waiting for the device after each."""

    def __init__(self, cuda: bool) -> None:
        self._cuda = cuda
        self.ms = dict.fromkeys(STAGES, 0.0)

    def __call__(self, stage: str, work: Callable[P, T], *given: P.args, **named: P.kwargs) -> T:
        started = time.perf_counter()
        result = work(*given, **named)
        if self._cuda:
            torch.cuda.synchronize()
        self.ms[stage] = (time.perf_counter() - started) * 1000
        return result
