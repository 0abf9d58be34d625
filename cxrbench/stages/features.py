"""Features: what a frozen network makes of the images of one role, so that heads train without running it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from cxrbench.backbones.trial import tried_out
from cxrbench.errors import CxrbenchError
from cxrbench.heads.headed import Headed
from cxrbench.heads.pooling import Pooling
from cxrbench.training.devices import deterministic, true_fp32
from cxrbench.training.inference import outputs_of
from cxrbench.training.schedule import cycles_of
from cxrbench.training.trainable import frozen_modules

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cxrbench.interfaces import Backbone
    from cxrbench.reporter import Reporter
    from cxrbench.specs import RunSpec
    from cxrbench.training.batches import Rows

VERSION = "1"
"""Changes when the same frozen network and pixels give other features."""

_FILE = "features.npy"


@dataclass(frozen=True)
class FeatureKind:
    """What is stored of an image.

    Attributes:
        shape: of its features: ``(C,)``, or ``(C, h, w)`` where the head does not begin with pooling.
        pooling: over the maps' area, in words; empty where they are stored as they are.
    """

    shape: tuple[int, ...]
    pooling: str

    @property
    def bytes_an_image(self) -> int:
        """What they take, as float32."""
        return 4 * math.prod(self.shape)


def are_stored(spec: RunSpec, backbone: Backbone) -> bool:
    """Whether a run's training sees the same of each image in every epoch and leaves all but the head alone.

    With a resizer it does not, since that is trained with the head.
    """
    return (
        spec.training.trains
        and all(cycle.trainable == "head" for cycle in cycles_of(spec.training))
        and spec.augmentation.name == "none"
        and spec.resizer.name == "none"
        and backbone.inputs == ("image",)
    )


def split(network: nn.Module) -> tuple[nn.Module, nn.Module] | None:
    """The frozen part of a network whose head alone is trained, and the rest, modules shared with it.

    Pooling that a head begins with holds nothing to be trained, so that it goes with the frozen part. None
    where the network is not a :class:`cxrbench.heads.headed.Headed` on features that are wholly frozen.
    """
    if not isinstance(network, Headed):
        return None
    frozen = {id(each) for module in frozen_modules(network, "head") for each in module.parameters()}
    if frozen != {id(each) for each in network.features.parameters()}:
        return None
    head = network.head
    if isinstance(head, nn.Sequential) and isinstance(head[0], Pooling):
        return nn.Sequential(network.features, head[0]), head[1:]
    return network.features, head


def head_of(network: nn.Module) -> nn.Module:
    """The part that stored features are given to."""
    parts = split(network)
    if parts is None:
        raise ValueError("features are stored of networks alone that can be split")
    return parts[1]


def kind_of(network: nn.Module, channels: int, image_size: int) -> FeatureKind | None:
    """What is stored of each image for a network on ``channels``; None where it cannot be split."""
    if (parts := split(network)) is None:
        return None
    frozen, _ = parts
    pooling = frozen[1].extra_repr() if isinstance(frozen, nn.Sequential) and len(frozen) == 2 else ""
    return FeatureKind(tuple(tried_out(frozen, channels, image_size).shape[1:]), pooling)


def run(
    folder: Path,
    spec: RunSpec,
    backbone: Backbone,
    network: nn.Module,
    rows: Rows,
    device: torch.device,
    reporter: Reporter,
) -> None:
    """Write ``features.npy``: float32 ``[n, *FeatureKind.shape]`` in the order of the rows, in eval mode.

    Always in fp32, without TF32, like predictions; what is written is not held in memory.

    Raises:
        CxrbenchError: a feature is not finite.
        torch.OutOfMemoryError: not even one image fits the device.
    """
    parts = split(network)
    if parts is None:
        raise ValueError("features are stored of networks alone that can be split")
    frozen = parts[0]
    if spec.training.channels_last:
        frozen = frozen.to(memory_format=torch.channels_last)
    reporter.say(f"running the frozen part of {spec.backbone.name} once over {len(rows)} images")
    stored: np.memmap[Any, Any] | None = None
    done = 0
    with (
        true_fp32(),
        deterministic(spec.training.deterministic),
        reporter.progress("features", len(rows)) as advance,
    ):
        for batch in outputs_of(
            frozen.to(device),
            backbone,
            rows,
            image_size=spec.image_size,
            crop=spec.crop,
            batch_size=spec.training.images_a_step,
            channels_last=spec.training.channels_last,
            device=device,
            advance=advance,
        ):
            part = batch.numpy()
            if not np.isfinite(part).all():
                raise CxrbenchError(
                    f"The frozen part of {spec.backbone.name} gives features that are not finite; use other "
                    "--weights."
                )
            if stored is None:
                shape = (len(rows), *part.shape[1:])
                stored = np.lib.format.open_memmap(folder / _FILE, "w+", np.float32, shape)
            stored[done : done + len(part)] = part
            done += len(part)
    if stored is not None:
        stored.flush()


def read(folder: Path) -> NDArray[np.float32]:
    """What :func:`run` wrote, mapped into memory."""
    features: NDArray[np.float32] = np.load(folder / _FILE, mmap_mode="r", allow_pickle=False)
    return features
