"""Which part of a network a training changes."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from torch import nn

from cxrbench.backbones.weights import PretrainedPart
from cxrbench.errors import UsageError
from cxrbench.specs import TrainingSpec


def body_of(network: nn.Module) -> dict[str, nn.Module]:
    """The modules of a network's pretrained part, without its last layers, by the names they have there.

    In the order in which they are registered, which torchvision and timm make that of the forward pass; a
    module comes before those within it. A network that does not say what of it is pretrained is all body.
    """
    part: PretrainedPart = getattr(network, "pretrained_part", PretrainedPart("", ()))
    root = part.prefix.removesuffix(".")
    found = {name: module for name, module in network.named_modules() if name == root}
    return {
        name: module
        for base in found.values()
        for name, module in base.named_modules()
        if not any(name == last or name.startswith(f"{last}.") for last in part.without)
    }


def frozen_modules(network: nn.Module, trainable: str) -> list[nn.Module]:
    """The modules whose parameters and statistics a training leaves as they are.

    Args:
        network: whole, with its head and resizer.
        trainable: as :attr:`cxrbench.specs.TrainingSpec.trainable`.

    Raises:
        UsageError: there is no such layer, or nothing to train beside what is frozen.
    """
    if trainable == "all":
        return []
    body = body_of(network)
    if trainable == "head":
        frozen = list(body.values())
        if len(_own_parameters(frozen)) == len(list(network.parameters())):
            raise UsageError(
                "training.trainable=head leaves nothing to train: this network's head is not apart from the "
                "rest; give it one, such as --head dense, or use training.trainable=all."
            )
        return frozen
    if not trainable or trainable not in body:
        near = difflib.get_close_matches(trainable, [name for name in body if name], n=3, cutoff=0.5)
        hint = f"there are {', '.join(near)}" if near else f"its first are {', '.join(_top(body))}"
        raise UsageError(
            f"training.trainable is all, head or a layer of the network, which has no '{trainable}'; {hint}."
        )
    names = list(body)
    return [body[name] for name in names[: names.index(trainable)]]


def _top(body: dict[str, nn.Module]) -> list[str]:
    return [name for name in body if name and "." not in name][:4]


def require_trainable(network: nn.Module, spec: TrainingSpec) -> None:
    """Refuse a training one of whose cycles would train a layer that is not there, or nothing.

    Raises:
        UsageError: as :func:`frozen_modules`.
    """
    for trainable in {spec.trainable, *(cycle.trainable or spec.trainable for cycle in spec.cycles)}:
        frozen_modules(network, trainable)


def freeze(learnt: Sequence[nn.Parameter], frozen: Sequence[nn.Module]) -> None:
    """Have of the parameters that can be ``learnt`` all those want a gradient that are not ``frozen``."""
    kept = _own_parameters(frozen)
    for parameter in learnt:
        parameter.requires_grad_(id(parameter) not in kept)


def _own_parameters(modules: Sequence[nn.Module]) -> set[int]:
    """The ids of the parameters that are these modules' own, not those of modules within them."""
    return {id(parameter) for module in modules for parameter in module.parameters(recurse=False)}
