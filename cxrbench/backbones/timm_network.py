"""Any network of timm, by its name."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, cast

import timm
import torch
from annotated_types import Ge, Lt
from torch import nn

from cxrbench.backbones import pretrained as timm_networks
from cxrbench.backbones.weights import PretrainedPart
from cxrbench.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class TimmNetwork:
    """A network of timm on the image alone (:class:`cxrbench.interfaces.Backbone`).

    Attributes:
        name: as timm spells it, with or without the tag of its weights: ``resnet18``, ``resnet18.tv_in1k``.
        drop_rate: dropout before the last layer.

    Raises:
        UsageError: timm has no network of that name; the message gives the near ones.
    """

    name: str
    drop_rate: Annotated[float, Ge(0), Lt(1)] = 0.0

    inputs: ClassVar[tuple[Literal["image", "patient"], ...]] = ("image",)

    def __post_init__(self) -> None:
        known = timm.list_pretrained() if "." in self.name else timm.list_models()
        if self.name not in known:
            near = difflib.get_close_matches(self.name, known, n=3, cutoff=0.5)
            hint = (
                f"did you mean {' or '.join(f'timm/{name}' for name in near)}?"
                if near
                else "see timm.list_models()."
            )
            raise UsageError(f"timm {timm.__version__} has no network '{self.name}'; {hint}")

    @property
    def mean(self) -> tuple[float, ...]:
        """Of each channel in 0..1, as the published weights expect it."""
        return tuple(timm_networks.published(self.name).mean)

    @property
    def std(self) -> tuple[float, ...]:
        """Of each channel in 0..1, as the published weights expect it."""
        return tuple(timm_networks.published(self.name).std)

    def build(self, outputs: int, image_size: int, pretrained: bool) -> nn.Module:
        """The network with ``outputs`` logits.

        A network that is built for one image size is built for ``image_size``; published weights are
        resampled to it by timm where the network allows.

        Raises:
            UsageError: the network cannot take images of this size, or no dropout.
            CxrbenchError: there are no published weights, or they cannot be had here.
        """
        config = timm_networks.published(self.name)
        options: dict[str, Any] = {"drop_rate": self.drop_rate} if self.drop_rate else {}
        # By timm's contract a network of fixed input size takes the argument img_size.
        if config.fixed_input_size and image_size != config.input_size[-1]:
            options["img_size"] = image_size
        try:
            network: Any = timm_networks.create(self.name, pretrained, num_classes=outputs, **options)
            _try_out(network, image_size)
        except (TypeError, ValueError, AssertionError, RuntimeError) as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise UsageError(
                f"timm/{self.name} cannot be built for --image-size {image_size} ({reason}); "
                f"its own size is {config.input_size[-1]}."
            ) from error
        heads = config.classifier or ()
        network.pretrained_part = PretrainedPart("", (heads,) if isinstance(heads, str) else tuple(heads))
        return cast(nn.Module, network)


def _try_out(network: nn.Module, image_size: int) -> None:
    """One black image through the network, so that a wrong size is met here and not in the first step."""
    network.eval()
    with torch.no_grad():
        network(torch.zeros(1, 3, image_size, image_size))
    network.train()
