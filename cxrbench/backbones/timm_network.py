"""Any network of timm, by its name."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, cast

import timm
from annotated_types import Ge, Lt
from torch import nn

from cxrbench.backbones import pretrained as timm_networks
from cxrbench.backbones.trial import for_images_of, tried_out
from cxrbench.backbones.weights import PretrainedPart
from cxrbench.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class TimmNetwork:
    """A network of timm on the image alone (:class:`cxrbench.interfaces.FeatureBackbone`).

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
        return cast(nn.Module, self._built(image_size, pretrained, num_classes=outputs))

    def features(self, image_size: int, pretrained: bool) -> nn.Module:
        """The network as timm gives it without pooling and classifier; layers are named as timm's.

        Raises:
            UsageError: the network cannot take images of this size, or gives no maps ``[B, C, h, w]``.
            CxrbenchError: there are no published weights, or they cannot be had here.
        """
        network = self._built(image_size, pretrained, num_classes=0, global_pool="")
        if getattr(network, "output_fmt", "NCHW") != "NCHW":
            raise UsageError(
                f"timm/{self.name} gives its features as {network.output_fmt}, on which no head can be put; "
                "use --head own."
            )
        return cast(nn.Module, network)

    def _built(self, image_size: int, pretrained: bool, **options: Any) -> Any:
        config = timm_networks.published(self.name)
        if self.drop_rate:
            options["drop_rate"] = self.drop_rate
        # By timm's contract a network of fixed input size takes the argument img_size.
        if config.fixed_input_size and image_size != config.input_size[-1]:
            options["img_size"] = image_size
        own = f"its own size is {config.input_size[-1]} (--image-size)"
        with for_images_of(image_size, f"timm/{self.name}", own):
            network: Any = timm_networks.create(self.name, pretrained, **options)
            tried_out(network, len(self.mean), image_size)
        heads = config.classifier or ()
        network.pretrained_part = PretrainedPart("", (heads,) if isinstance(heads, str) else tuple(heads))
        return network
