"""What torch-tensorrt's dynamo compiler is to be told, by its version.

From the published wheels: 2.10 to 2.12 (TensorRT 10) take ``use_explicit_typing`` and ``enabled_precisions``;
with the first, engines compute in the formats of the module's own tensors, and the second must stay at its
default. From 2.13 (TensorRT 11) every network is strongly typed and both are gone: they would be swallowed by
``**kwargs``, and by ``torch_tensorrt.compile``, without a word. So the module is cast, or autocast told of
the format, and explicit typing is asked for where there is another.

Engines are cached only where their weights can be refitted (``immutable_weights=False``); otherwise the
compiler logs a warning and builds anew. What formats layers compute in stands in an engine's layer
information only where it was built with detailed profiling, which nothing but the ``Debugger`` asks for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from cxrbench.interfaces import NumberFormat

SUPPORTED = ((2, 10), (2, 14))
"""The first and last version that this adapter was written for."""

_STRONGLY_TYPED = (2, 13)

Casting = Literal["module", "autocast"]
"""Who casts to fp16 or bf16: this project, all of the module; or the compiler, where it finds that safe."""


@dataclass(frozen=True)
class Wish:
    """What an engine should be, whatever the version.

    Attributes:
        precision: the number format.
        casting: who casts to it.
        workspace_mb: memory that tactics may use at most, in MB (2**20 bytes); 0 for as much as there is.
        cache: folder of built engines, to be taken from there again; None for none.
    """

    precision: NumberFormat
    casting: Casting = "module"
    workspace_mb: int = 0
    cache: Path | None = None


def version_of(text: str) -> tuple[int, int]:
    """``(2, 14)`` of ``2.14.0+cu130``."""
    major, minor = re.findall(r"\d+", text)[:2]
    return int(major), int(minor)


def unsupported(version: tuple[int, int]) -> str:
    """Why this version cannot be used; empty where it can."""
    first, last = (".".join(map(str, each)) for each in SUPPORTED)
    if SUPPORTED[0] <= version <= SUPPORTED[1]:
        return ""
    return (
        f"torch-tensorrt {version[0]}.{version[1]} is not one of {first} to {last}, which cxrbench knows: "
        f"pip install 'torch-tensorrt>={first},<{last.partition('.')[0]}.{SUPPORTED[1][1] + 1}'"
    )


def compile_arguments(version: tuple[int, int], wish: Wish, low_precision: object) -> dict[str, Any]:
    """Keywords of ``torch_tensorrt.dynamo.compile`` beside the program and its inputs.

    Args:
        version: of torch-tensorrt.
        wish: what the engine should be.
        low_precision: the torch dtype of the format, for autocast.
    """
    arguments: dict[str, Any] = {
        "disable_tf32": wish.precision != "tf32",
        "workspace_size": wish.workspace_mb * 2**20,
        # One layer in an engine of its own costs a switch between TensorRT and torch.
        "min_block_size": 5,
    }
    if version < _STRONGLY_TYPED:
        arguments["use_explicit_typing"] = True
    if wish.casting == "autocast" and wish.precision in ("fp16", "bf16"):
        arguments |= {"enable_autocast": True, "autocast_low_precision_type": low_precision}
    if wish.cache is not None:
        arguments |= {
            "cache_built_engines": True,
            "reuse_cached_engines": True,
            "engine_cache_dir": str(wish.cache),
            "immutable_weights": False,
        }
    return arguments


def debugger_arguments(folder: Path) -> dict[str, Any]:
    """Keywords of ``torch_tensorrt.dynamo.Debugger`` for engines that tell the formats of their layers."""
    return {
        "log_level": "error",
        "save_engine_profile": True,
        "engine_builder_monitor": False,
        "logging_dir": str(folder),
    }


_FORMATS = {
    "fp32": r"\b(fp32|float|float32)\b",
    "fp16": r"\b(fp16|half|float16)\b",
    "bf16": r"\b(bf16|bfloat16)\b",
    "int8": r"\bint8\b",
    "fp8": r"\bfp8\b",
}
_PRODUCTS = re.compile(r"conv|gemm|matmul|matrix|dense|attention|mha", re.IGNORECASE)


def formats_of(layer_information: Iterable[str]) -> tuple[str, ...]:
    """The formats that convolutions and matrix products compute in, by engines' own layer information.

    Args:
        layer_information: of each engine, as its inspector writes it: JSON with a list ``Layers`` of objects
            that name their inputs and outputs, each with a ``Format/Datatype`` such as ``Half``.

    Returns:
        Such as ``("fp16",)``, sorted; of no layer where information is of names alone.
    """
    found: set[str] = set()
    for text in layer_information:
        for layer in json.loads(text).get("Layers", ()):
            if isinstance(layer, Mapping) and _PRODUCTS.search(_kind(layer)):
                for tensor in layer.get("Inputs", ())[:1]:
                    found.update(_formats(tensor))
    return tuple(sorted(found))


def _kind(layer: Mapping[str, Any]) -> str:
    return " ".join(str(layer.get(name, "")) for name in ("LayerType", "ParameterType", "Name", "TacticName"))


def _formats(tensor: Mapping[str, Any]) -> set[str]:
    told = str(tensor.get("Format/Datatype") or tensor.get("Datatype") or "")
    return {name for name, pattern in _FORMATS.items() if re.search(pattern, told, re.IGNORECASE)}
