"""Torchxrayvision's published networks: one channel in, one raw logit for each finding out."""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, cast

import torchvision
from torch import Tensor, nn

from cxrbench.backbones.weights import PretrainedPart
from cxrbench.errors import UsageError
from cxrbench.findings import NIH_FINDINGS

with warnings.catch_warnings():
    # The import silences all warnings of the process.
    from torchxrayvision.models import DenseNet, model_urls

PUBLISHED = tuple(name for name in model_urls if name.startswith(("densenet121-res224-", "resnet50-res512-")))
"""Names of the library's networks; it also knows some by the short name of their data."""


@dataclass(frozen=True, kw_only=True)
class XrvNetwork:
    """A network of torchxrayvision (:class:`cxrbench.interfaces.PublishedBackbone`).

    Its logits are the raw ones: the library's scaling by ``op_threshs`` keeps their order, so that AUC is the
    same with and without, and thresholds are cxrbench's to fit.

    Attributes:
        name: as the library spells it: ``densenet121-res224-nih``.
        findings: what it is asked for, of what it was trained on; empty for those of NIH ChestX-ray14 that it
            was trained on. Give it for data with other columns, such as ``["Effusion", "Fracture"]``.

    Raises:
        UsageError: there is no such network, or it was not trained on a finding.
    """

    name: str
    findings: tuple[str, ...] = ()

    inputs: ClassVar[tuple[Literal["image", "patient"], ...]] = ("image",)
    mean: ClassVar[tuple[float, ...]] = (0.5,)
    std: ClassVar[tuple[float, ...]] = (1 / 2048,)
    """The library maps pixels of 0..1 to -1024..1024."""

    def __post_init__(self) -> None:
        if self.name not in PUBLISHED:
            near = difflib.get_close_matches(self.name, PUBLISHED, n=1, cutoff=0.6)
            hint = f"did you mean xrv/{near[0]}?" if near else f"there are {', '.join(PUBLISHED)}."
            raise UsageError(f"torchxrayvision has no network '{self.name}'; {hint}")
        unknown = [finding for finding in self.findings if finding not in self._outputs]
        if unknown or len(set(self.findings)) < len(self.findings):
            what = f"{unknown[0]!r}" if unknown else "a finding twice"
            raise UsageError(
                f"xrv/{self.name} cannot be asked for {what}: it was trained on "
                f"{', '.join(sorted(self._outputs))}."
            )

    @property
    def _outputs(self) -> dict[str, int]:
        """Where each finding stands in its output; places without a name were not trained."""
        return {finding: place for place, finding in enumerate(model_urls[self.name]["labels"]) if finding}

    @property
    def classes(self) -> tuple[str, ...]:
        """The findings of its logits."""
        return self.findings or tuple(finding for finding in NIH_FINDINGS if finding in self._outputs)

    def recommend(self) -> Mapping[str, object]:
        """Evaluated as it is, on whole images of the size that it was trained on."""
        return {"epochs": 0, "image_size": model_urls[self.name]["input_resolution"], "crop": 1.0}

    def build(self, outputs: int, image_size: int, pretrained: bool) -> nn.Module:
        """The network, for images of any size, with random weights.

        Raises:
            UsageError: it has another number of logits, or ImageNet weights are asked for.
        """
        if outputs != len(self.classes):
            told = ", ".join(self.classes)
            raise UsageError(f"xrv/{self.name} tells {len(self.classes)} findings, not {outputs}: {told}.")
        if pretrained:
            raise UsageError(f"xrv/{self.name} has no ImageNet weights; give its own with --weights FILE.")
        places = model_urls[self.name]["labels"]
        published = (
            DenseNet(num_classes=len(places)) if self.name.startswith("dense") else _resnet(len(places))
        )
        return Asked(published, [self._outputs[finding] for finding in self.classes])


def _resnet(outputs: int) -> nn.Module:
    """The network within ``torchxrayvision.models.ResNet``, which cannot be made without its weights."""
    network = torchvision.models.resnet50(num_classes=outputs, weights=None)
    network.conv1 = nn.Conv2d(1, 64, kernel_size=7, stride=2, padding=3, bias=False)
    return cast(nn.Module, network)


class Asked(nn.Module):
    """A published network, of whose outputs some are asked for."""

    pretrained_part = PretrainedPart("network.", without=("op_threshs",))

    def __init__(self, network: nn.Module, places: list[int]) -> None:
        super().__init__()
        self.network = network
        self.places = places

    def forward(self, images: Tensor) -> Tensor:
        """Raw logits ``[B, places]`` of images ``[B, 1, S, S]`` in -1024..1024."""
        logits: Tensor = self.network(images)
        return logits[:, self.places]
