"""Which device and number format this machine trains with."""

from __future__ import annotations

from typing import Literal

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState

from cxrbench.errors import UsageError

DeviceName = Literal["auto", "cpu", "cuda"]
Precision = Literal["fp32", "bf16", "fp16"]

_AUTOCAST: dict[Precision, str] = {"fp32": "no", "bf16": "bf16", "fp16": "fp16"}


def device_of(name: DeviceName) -> torch.device:
    """The device of that name; ``auto`` takes CUDA where there is one.

    Raises:
        UsageError: CUDA is asked for and not there.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise UsageError("--device cuda was asked for, but torch finds no CUDA device; use --device cpu.")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def best_precision(device: torch.device) -> Precision:
    """bf16 where the processor computes in it, else fp32."""
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "fp32"
    # Older torch cannot tell; fp32 then costs speed, not results.
    features: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return "bf16" if features.get("avx512_bf16") or features.get("amx_bf16") else "fp32"


def check_precision(precision: Precision, device: torch.device) -> None:
    """Refuse what the device cannot do.

    Raises:
        UsageError: fp16 on a CPU.
    """
    if precision == "fp16" and device.type == "cpu":
        raise UsageError("--precision fp16 needs a CUDA device; a CPU takes bf16 or fp32.")


def accelerator_for(precision: Precision, device: torch.device) -> Accelerator:
    """An accelerator for one training.

    accelerate keeps one state a process and refuses a second precision; each training starts afresh.

    Raises:
        UsageError: the process is one of several.
    """
    AcceleratorState._reset_state(reset_partial_state=True)
    accelerator = Accelerator(mixed_precision=_AUTOCAST[precision], cpu=device.type == "cpu")
    if accelerator.num_processes > 1:
        raise UsageError(
            f"cxrbench was started as {accelerator.num_processes} processes, but trains with one; start it "
            "without 'accelerate launch' or 'torchrun'."
        )
    return accelerator
