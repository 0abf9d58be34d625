"""Weights from a local file, for a whole network or for its pretrained part."""

from __future__ import annotations

import pickle
import re
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from cxrbench.errors import CxrbenchError
from cxrbench.files import sha256

_NESTED_UNDER = ("state_dict", "model", "model_state_dict")
_OLD_DENSENET_NAME = re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12]\.)")
"""torchvision's own files say ``denselayer1.norm.1.weight`` where the network says ``norm1.weight``."""
_NAMES_SHOWN = 3
_DAMAGED = (OSError, EOFError, RuntimeError, LookupError, ValueError, TypeError, AttributeError, struct.error)
"""What torch's unpickler raises, besides UnpicklingError, on bytes that no ``torch.save`` has written."""


class PretrainedPart(NamedTuple):
    """The part of a network that a file of pretrained weights fits: its attribute ``pretrained_part``.

    Attributes:
        prefix: where the pretrained network sits in the network, such as ``branches.image.trunk.``;
            empty where the network is the pretrained one with another head.
        without: names of the pretrained network's own last layers, or of single tensors, which are not taken
            over.
    """

    prefix: str
    without: tuple[str, ...]

    @classmethod
    def within(cls, part: nn.Module, name: str) -> PretrainedPart:
        """That of a network with ``part`` under ``name``: what of ``part`` is pretrained, or all of it."""
        own: PretrainedPart = getattr(part, "pretrained_part", cls("", ()))
        return cls(f"{name}.{own.prefix}", own.without)


def weights_hash(path: Path) -> str:
    """The SHA-256 of the file, in hexadecimal.

    Raises:
        CxrbenchError: the file cannot be read.
    """
    try:
        return sha256(path)
    except OSError as error:
        raise _unreadable(path, error) from error


def load_weights(network: nn.Module, path: Path, *, whole: bool = False) -> str:
    """Load a file's tensors into the network, in place, and say in one sentence which they were.

    The file is safetensors (``.safetensors``) or a PyTorch checkpoint of tensors alone, perhaps nested
    under ``state_dict`` or ``model`` and with a prefix such as ``module.`` before every name. It holds
    the whole network or its ``pretrained_part`` (:class:`PretrainedPart`), with or without a head. Every
    tensor but the head's must fit by name and shape; the network is left as it was where one does not.

    Raises:
        CxrbenchError: the file cannot be read, holds more than tensors, or does not fit; or it lacks a part
            of the network, which has to be ``whole``.
    """
    loaded, fills_all = take_over(network, _read(path), str(path))
    if whole and not fills_all:
        raise CxrbenchError(
            f"{path} holds {loaded} of the network's {len(network.state_dict())} tensors, and nothing is "
            "trained; give a file of the whole network, or --epochs N to train the rest."
        )
    if fills_all:
        return f"All {loaded} tensors of the network were loaded from {path}."
    return (
        f"{loaded} of the network's {len(network.state_dict())} tensors were loaded from {path}; the others "
        "keep their random start."
    )


def take_over(network: nn.Module, tensors: Mapping[str, Tensor], source: str) -> tuple[int, bool]:
    """Put tensors by name into the network, in place, as :func:`load_weights` says.

    Returns:
        How many were taken over, and whether they are the whole network.

    Raises:
        CxrbenchError: they do not fit; ``source`` says where they come from.
    """
    own = network.state_dict()
    whole = PretrainedPart("", ())
    part: PretrainedPart = getattr(network, "pretrained_part", whole)
    problems: list[list[str]] = []
    # Tensors beside all modules would hide the prefix that the others share.
    for given in _without_common_prefixes({n: t for n, t in tensors.items() if n not in part.without}):
        for wanted in (whole, part):
            expected = {
                name.removeprefix(wanted.prefix): tensor
                for name, tensor in own.items()
                if name.startswith(wanted.prefix)
            }
            misfits = _misfits(_headless(expected, wanted), _headless(given, wanted))
            if not misfits:
                taken = {wanted.prefix + name: tensor for name, tensor in _headless(given, wanted).items()}
                network.load_state_dict(taken, strict=False)
                return len(taken), not _missing(own, taken)
            problems.append(misfits)
    closest = min(problems, key=len)
    more = f" and {len(closest) - _NAMES_SHOWN} more" if len(closest) > _NAMES_SHOWN else ""
    raise CxrbenchError(
        f"The weights in {source} do not fit the network: {'; '.join(closest[:_NAMES_SHOWN])}{more}; "
        "use a file of this network or --weights none."
    )


def _read(path: Path) -> dict[str, Tensor]:
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        found: object = torch.load(path, weights_only=True, map_location="cpu")
    except pickle.UnpicklingError as error:
        raise CxrbenchError(
            f"{path} is refused because it is not a PyTorch checkpoint of tensors alone, and reading it "
            "could run code; where you trust it, save its state_dict() to a new file."
        ) from error
    except (*_DAMAGED, SafetensorError) as error:
        raise _unreadable(path, error) from error
    while isinstance(found, Mapping):
        tensors = {str(name): value for name, value in found.items() if isinstance(value, Tensor)}
        if tensors:
            return tensors
        found = next((found[key] for key in _NESTED_UNDER if key in found), None)
    raise CxrbenchError(
        f"{path} holds no weights: no tensors by name, nor any under {', '.join(_NESTED_UNDER)}."
    )


def _unreadable(path: Path, error: Exception) -> CxrbenchError:
    if isinstance(error, FileNotFoundError):
        return CxrbenchError(f"There is no weights file {path}; check the path given to --weights.")
    reason = " ".join(str(error).split()) or type(error).__name__
    return CxrbenchError(
        f"The weights file {path} cannot be read ({reason}); it may be damaged or incomplete."
    )


def _without_common_prefixes(given: Mapping[str, Tensor]) -> Iterator[dict[str, Tensor]]:
    """The tensors by name, again and again with a first part of the name less while all share it."""
    names = {_OLD_DENSENET_NAME.sub(r"\1\2", name): tensor for name, tensor in given.items()}
    while True:
        yield names
        first = {name.partition(".")[0] for name in names}
        if len(first) > 1 or not all("." in name for name in names):
            return
        names = {name.partition(".")[2]: tensor for name, tensor in names.items()}


def _headless(tensors: Mapping[str, Tensor], part: PretrainedPart) -> dict[str, Tensor]:
    return {
        name: tensor
        for name, tensor in tensors.items()
        if not any(name.startswith(f"{head}.") for head in part.without)
    }


def _missing(expected: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> list[str]:
    return [n for n in expected if n not in given and not n.endswith(".num_batches_tracked")]


def _misfits(expected: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> list[str]:
    """What keeps ``given`` from filling ``expected``, one clause each; empty where it fits.

    Files older than PyTorch 0.4.1 have no ``num_batches_tracked``, which nothing here reads.
    """
    missing = _missing(expected, given)
    surplus = [n for n in given if n not in expected]
    shapes = [n for n in expected if n in given and expected[n].shape != given[n].shape]
    return [
        *(f"{n} is {_shape(given[n])} in the file and {_shape(expected[n])} in the network" for n in shapes),
        *(f"{n} is not in the file" for n in missing),
        *(f"{n} is not in the network" for n in surplus),
    ]


def _shape(tensor: Tensor) -> str:
    return "×".join(map(str, tensor.shape)) or "a number"
