"""What a network computes in, seen from what it does rather than from what was asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from cxrbench.interfaces import NumberFormat

DTYPES: dict[NumberFormat, torch.dtype] = {
    "fp32": torch.float32,
    "tf32": torch.float32,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
}
"""What a network is cast to for each format; int8 is no cast."""

_NAMES = {torch.float32: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16", torch.int8: "int8"}

_PRODUCTS = ("conv", "linear", "mm", "attention")
"""In the names of operators that multiply: nearly all the work of a network, and what a format is about."""


def is_product(operator: object) -> bool:
    """Whether an operator, by its name, is a convolution or matrix product."""
    return any(part in str(operator) for part in _PRODUCTS)


def name_of(dtypes: Iterable[torch.dtype]) -> str | None:
    """Such as ``bf16`` or ``bf16+fp32``; None where there is none.

    fp32 is called tf32 where torch has been told to round it so, and the device does.
    """
    names = sorted({_NAMES.get(dtype, str(dtype).removeprefix("torch.")) for dtype in dtypes})
    if rounds_to_tf32():
        names = ["tf32" if name == "fp32" else name for name in names]
    return "+".join(names) or None


def rounds_to_tf32() -> bool:
    """Whether fp32 products are rounded to TF32 in this process."""
    if not torch.cuda.is_available() or torch.cuda.get_device_capability() < (8, 0):
        return False
    return torch.backends.cuda.matmul.allow_tf32 and torch.backends.cudnn.allow_tf32


class Products(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes the format of each convolution and matrix product that torch does within the block."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.dtypes: set[torch.dtype] = set()

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Do what is asked, and look at what comes of it."""
        outputs = func(*args, **(kwargs or {}))
        if is_product(func) and isinstance(outputs, torch.Tensor):
            self.dtypes.add(outputs.dtype)
        return outputs
