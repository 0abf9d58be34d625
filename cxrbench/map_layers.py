"""Layers of a network whose outputs are maps of the image: which there are, and which to explain by."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from cxrbench.errors import UsageError

Arrangement = Literal["channels first", "channels last", "tokens"]

_RESIZING = (nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d, nn.Upsample, nn.Dropout)
"""Modules that only bring maps to another size, or leave them as they are."""


@dataclass(frozen=True)
class MapLayer:
    """A layer that gives maps of the image.

    Attributes:
        name: what the network calls it, or the module's name in the network.
        module: the layer.
        grid: height and width of its maps.
        arrangement: of its output: ``[B, C, h, w]``, ``[B, h, w, C]``, or tokens ``[B, prefix + h * w, C]``.
        prefix: tokens that are no place of the image, such as a class token.
    """

    name: str
    module: nn.Module
    grid: tuple[int, int]
    arrangement: Arrangement = "channels first"
    prefix: int = 0

    def maps(self, output: Tensor) -> Tensor:
        """The layer's output (or a gradient of its shape) as maps ``[B, C, h, w]``."""
        if self.arrangement == "channels last":
            return output.movedim(-1, 1)
        if self.arrangement == "tokens":
            maps: Tensor = output[:, self.prefix :].transpose(1, 2)
            return maps.reshape(*maps.shape[:2], *self.grid)
        return output


def named_layers(network: nn.Module, inputs: Sequence[Tensor]) -> dict[str, MapLayer]:
    """The layers that a network is explained by unless another is asked for, the first before all others.

    A network, or the part of it that a resizer or head was put on, says which these are by an attribute
    ``map_layers``: names of its modules by the names that people use, such as the levels of a feature pyramid
    (``{"P3": "pyramid.smooth.0"}``). Of any other network it is the last module that gives maps of more than
    one place, each of which the logits depend on: what is behind it is pooled, or (the class token of a
    transformer) has drawn its information from it.

    Args:
        network: in eval mode; takes ``inputs``.
        inputs: of one image or more, as the network takes them.

    Returns:
        Empty where no module gives maps.
    """
    if not (every := _map_layers(network, inputs)):
        return {}
    for prefix, module in network.named_modules():
        if told := getattr(module, "map_layers", None):
            within = f"{prefix}." if prefix else ""
            return {name: _renamed(every[within + path], name) for name, path in told.items()}
    weights = _weights_of_places(network, inputs, every)
    for layer in reversed(list(every.values())):
        if not isinstance(layer.module, _RESIZING) and int((weights[layer.name] > 0).sum()) > 1:
            return {layer.name: layer}
    return {}


def layer_of(network: nn.Module, inputs: Sequence[Tensor], name: str) -> MapLayer:
    """The layer of that name: one of :func:`named_layers`, or any module whose output is maps.

    What stands before a module's name where a resizer or head was put on its network may be left out:
    ``layer4`` finds ``network.features.layer4``.

    Raises:
        UsageError: there is no such layer, its output is no maps, or several end with that name; the message
            gives near names.
    """
    named = named_layers(network, inputs)
    every = {**_map_layers(network, inputs), **named}
    ending = [each for each in every if each == name or each.endswith(f".{name}")]
    if name in every or len(ending) == 1:
        return every[name if name in every else ending[0]]
    near = ending or difflib.get_close_matches(name, every, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"such as {', '.join([*named][:3]) or 'none'}."
    raise UsageError(f"The network has no layer '{name}' that gives maps once in a forward pass; {hint}")


def without_maps(name: str) -> UsageError:
    """What is said of a network that cannot be explained by maps."""
    return UsageError(f"The network of {name} has no layer that gives maps of an image; explain another run.")


def _renamed(layer: MapLayer, name: str) -> MapLayer:
    return MapLayer(name, layer.module, layer.grid, layer.arrangement, layer.prefix)


def _map_layers(network: nn.Module, inputs: Sequence[Tensor]) -> dict[str, MapLayer]:
    """All modules that give maps, by name, in the order in which they are done; outer ones behind inner ones.

    A module that is called several times in a forward pass is left out: which of its outputs is meant?
    """
    met: dict[str, list[object]] = {}

    def done(name: str, _module: nn.Module, _inputs: object, output: object) -> None:
        # The last call counts for the order.
        met[name] = [*met.pop(name, []), output]

    hooks = [
        module.register_forward_hook(partial(done, name)) for name, module in network.named_modules() if name
    ]
    try:
        with torch.no_grad():
            network(*inputs)
    finally:
        for hook in hooks:
            hook.remove()
    modules = dict(network.named_modules())
    arrange = _Arranged.of(network)
    layers = {}
    for name, outputs in met.items():
        if len(outputs) == 1 and isinstance(outputs[0], Tensor):
            layer = arrange.layer(name, modules[name], outputs[0])
            if layer is not None:
                layers[name] = layer
    return layers


@dataclass(frozen=True)
class _Arranged:
    """How the modules of a network arrange their maps, as timm's networks say it."""

    last: bool
    tokens: bool
    prefix: int
    width: int

    @classmethod
    def of(cls, network: nn.Module) -> _Arranged:
        for module in network.modules():
            if hasattr(module, "num_features"):
                last = getattr(module, "output_fmt", "NCHW") == "NHWC"
                prefix = getattr(module, "num_prefix_tokens", None)
                if last or prefix is not None:
                    return cls(last, prefix is not None, prefix or 0, int(module.num_features))  # type: ignore[arg-type]
        return cls(False, False, 0, 0)

    def layer(self, name: str, module: nn.Module, output: Tensor) -> MapLayer | None:
        if self.tokens:
            # Attention has other outputs of three and four dimensions, which are not places.
            if output.ndim != 3 or output.shape[2] != self.width:
                return None
            places = output.shape[1] - self.prefix
            side = round(max(places, 0) ** 0.5)
            if side < 2 or side**2 != places:
                return None
            return MapLayer(name, module, (side, side), "tokens", self.prefix)
        if output.ndim != 4:
            return None
        if self.last and output.shape[1] == output.shape[2] != output.shape[3]:
            return MapLayer(name, module, (output.shape[1], output.shape[2]), "channels last")
        height, width = output.shape[2:]
        return MapLayer(name, module, (height, width)) if height * width > 1 else None


def _weights_of_places(
    network: nn.Module, inputs: Sequence[Tensor], layers: Mapping[str, MapLayer]
) -> dict[str, Tensor]:
    """How much the logits depend on each place ``[h, w]`` of each layer's maps."""
    outputs: dict[str, Tensor] = {}

    def keep(name: str, _module: nn.Module, _inputs: object, output: Tensor) -> Tensor:
        outputs[name] = output if output.requires_grad else output.detach().requires_grad_()
        # What changes it in place then changes a copy.
        return outputs[name].clone()

    hooks = [layer.module.register_forward_hook(partial(keep, name)) for name, layer in layers.items()]
    try:
        with torch.enable_grad():
            logits = network(*inputs)
            # Weights of both signs: those of a softmax's logits may add up to nothing.
            signs = torch.linspace(-1, 2, logits.shape[1], device=logits.device)
            gradients = torch.autograd.grad((logits * signs).sum(), list(outputs.values()), allow_unused=True)
    finally:
        for hook in hooks:
            hook.remove()
    return {
        name: torch.zeros(layers[name].grid)
        if gradient is None
        else layers[name].maps(gradient).abs().sum(dim=(0, 1)).cpu()
        for name, gradient in zip(outputs, gradients, strict=True)
    }
