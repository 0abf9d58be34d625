"""Any network of torchvision that classifies images, by its name."""

from __future__ import annotations

import difflib
import pickle
from collections import OrderedDict
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, cast

import torch
import torchvision
from torch import nn
from torch.overrides import TorchFunctionMode
from torchvision.models import WeightsEnum

from cxrbench.backbones.pretrained import downloading, require_answer
from cxrbench.backbones.trial import for_images_of, tried_out
from cxrbench.backbones.weights import PretrainedPart, take_over
from cxrbench.errors import CxrbenchError, UsageError

_BEHIND_THE_MAPS = ("avgpool", "classifier", "fc", "heads")
"""What torchvision calls pooling and classifier, the first of which ends the features."""
_AUXILIARY = ("aux1", "aux2", "AuxLogits")
"""Classifiers half way, which GoogLeNet's and Inception's weights have for the training on ImageNet."""

_LARGE_CLASSIFIER = ("alexnet", "vgg")
_DRAWING = ("kaiming_uniform_", "normal_", "uniform_")


@dataclass(frozen=True, kw_only=True)
class TorchvisionNetwork:
    """A network of torchvision on the image alone (:class:`cxrbench.interfaces.FeatureBackbone`).

    ImageNet weights are torchvision's first (``IMAGENET1K_V1``), those of the papers, where there are any;
    GoogLeNet and Inception are without their auxiliary classifiers.

    Attributes:
        name: as torchvision spells it: ``resnet50``.
        grey: take one channel. The first convolution's filters are then those of three summed over colours,
            which on grey is the same but for the normalisation.

    Raises:
        UsageError: torchvision has no network of that name; the message gives the near ones.
    """

    name: str
    grey: bool = False

    inputs: ClassVar[tuple[Literal["image", "patient"], ...]] = ("image",)

    def __post_init__(self) -> None:
        known = torchvision.models.list_models(module=torchvision.models)
        if self.name not in known:
            near = difflib.get_close_matches(self.name, known, n=3, cutoff=0.5)
            hint = " or ".join(f"torchvision/{name}" for name in near)
            raise UsageError(
                f"torchvision {torchvision.__version__} has no network '{self.name}'; "
                f"{f'did you mean {hint}?' if near else 'see torchvision.models.list_models().'}"
            )

    @property
    def mean(self) -> tuple[float, ...]:
        """Of each channel in 0..1, as the published weights expect it; of one channel the mean of three."""
        return self._of_channels(self._normalisation[0])

    @property
    def std(self) -> tuple[float, ...]:
        """Of each channel in 0..1, as the published weights expect it; of one channel the mean of three."""
        return self._of_channels(self._normalisation[1])

    def build(self, outputs: int, image_size: int, pretrained: bool) -> nn.Module:
        """The network with ``outputs`` logits.

        Raises:
            UsageError: the network cannot take images of this size.
            CxrbenchError: the published weights cannot be had here.
        """
        network = self._network(image_size, outputs)
        last = [name for name, module in network.named_modules() if isinstance(module, nn.Linear | nn.Conv2d)]
        network.pretrained_part = PretrainedPart("", (last[-1], *_AUXILIARY))
        self._start(network, pretrained)
        with for_images_of(image_size, f"torchvision/{self.name}", self._advice):
            tried_out(network, len(self.mean), image_size)
        return cast(nn.Module, network)

    def features(self, image_size: int, pretrained: bool) -> nn.Module:
        """The network up to its pooling or classifier; layers are named as torchvision's.

        DenseNet's end with the ReLU that torchvision applies behind its last norm.

        Raises:
            UsageError: the network cannot take images of this size, or gives no maps.
            CxrbenchError: the published weights cannot be had here.
        """
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        with _WithoutClassifier() if self.name.startswith(_LARGE_CLASSIFIER) else nullcontext():
            children = list(self._network(image_size, 1).named_children())
        for name, layer in children:
            if name in _BEHIND_THE_MAPS:
                break
            layers[name] = layer
        if self.name.startswith("densenet"):
            layers["relu"] = nn.ReLU(inplace=True)
        network: Any = nn.Sequential(layers)
        behind = [name for name, _ in children if name not in layers]
        network.pretrained_part = PretrainedPart("", (*behind, *_AUXILIARY))
        self._start(network, pretrained)
        return cast(nn.Module, network)

    def _network(self, image_size: int, outputs: int) -> Any:
        options: dict[str, Any] = {}
        if self._has_auxiliary:
            options = {"aux_logits": False, "init_weights": True}
        if self.name.startswith("vit"):
            options = {"image_size": image_size}
        with for_images_of(image_size, f"torchvision/{self.name}", self._advice):
            return torchvision.models.get_model(self.name, weights=None, num_classes=outputs, **options)

    def _start(self, network: nn.Module, pretrained: bool) -> None:
        if pretrained:
            take_over(network, _published(self.name, self._weights), f"torchvision's {self._weights}")
        if self.grey:
            _take_one_channel(network)

    @property
    def _weights(self) -> WeightsEnum:
        published: Any = torchvision.models.get_model_weights(self.name)
        return cast(WeightsEnum, published.__members__.get("IMAGENET1K_V1", published.DEFAULT))

    @property
    def _advice(self) -> str:
        size = self._weights.transforms().crop_size[0]
        return f"ImageNet's are {size} px (--image-size)"

    @property
    def _has_auxiliary(self) -> bool:
        return self.name.startswith(("googlenet", "inception"))

    @property
    def _normalisation(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        if self._has_auxiliary:
            # They were trained so; torchvision's transform_input would bring its usual figures to these.
            return (0.5,) * 3, (0.5,) * 3
        usual = self._weights.transforms()
        return tuple(usual.mean), tuple(usual.std)

    def _of_channels(self, values: tuple[float, ...]) -> tuple[float, ...]:
        return (sum(values) / 3,) if self.grey else values


class _WithoutClassifier(TorchFunctionMode):
    """Leaves matrices as memory holds them: the 120 million of VGG's dense layers take seconds to draw.

    For networks whose only matrices are those of a classifier that is thrown away.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        drawn = args[0] if args else (kwargs or {}).get("tensor")
        if func.__name__ in _DRAWING and isinstance(drawn, torch.Tensor) and drawn.ndim == 2:
            return drawn
        return func(*args, **(kwargs or {}))


def _published(name: str, weights: WeightsEnum) -> dict[str, torch.Tensor]:
    """The tensors that torchvision publishes, downloaded once into torch's own folder.

    Raises:
        CxrbenchError: they could not be downloaded, or what was downloaded before is damaged.
    """
    kept = Path(torch.hub.get_dir()) / "checkpoints" / weights.url.rpartition("/")[2]
    try:
        with downloading(f"torchvision/{name}"):
            if not kept.exists():
                require_answer(weights.url)
            tensors: dict[str, torch.Tensor] = weights.get_state_dict(
                progress=False, check_hash=True, weights_only=True
            )
            return tensors
    except (RuntimeError, pickle.UnpicklingError) as error:
        raise CxrbenchError(
            f"The ImageNet weights of torchvision/{name} in {kept} are damaged; remove the file, and they "
            "are downloaded again."
        ) from error


def _take_one_channel(network: nn.Module) -> None:
    """Put a convolution of one channel in the place of the first one, its filters summed over colours."""
    name, first = next((n, m) for n, m in network.named_modules() if isinstance(m, nn.Conv2d))
    grey = nn.Conv2d(
        1,
        first.out_channels,
        first.kernel_size,  # type: ignore[arg-type]
        first.stride,  # type: ignore[arg-type]
        first.padding,  # type: ignore[arg-type]
        bias=first.bias is not None,
    )
    with torch.no_grad():
        grey.weight.copy_(first.weight.sum(dim=1, keepdim=True))
        if grey.bias is not None and first.bias is not None:
            grey.bias.copy_(first.bias)
    above, _, attribute = name.rpartition(".")
    setattr(network.get_submodule(above), attribute, grey)
