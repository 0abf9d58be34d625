"""What torch's own runtimes need of a device."""

from __future__ import annotations

import torch

from cxrbench.interfaces import DeviceType, NumberFormat


def missing_cuda() -> str:
    """Why there is no CUDA device; empty where there is one."""
    if torch.cuda.is_available():
        return ""
    if not torch.backends.cuda.is_built():  # type: ignore[no-untyped-call]
        return "this torch is built without CUDA; install one that has it, see pytorch.org"
    return "torch finds no CUDA device; use a machine with an NVIDIA GPU, and install its driver"


def torch_precisions(device: DeviceType) -> tuple[NumberFormat, ...]:
    """What torch computes in on the device.

    On a CPU without bf16 of its own that format works too, slowly; that is for the measurement to show.
    """
    if device == "cpu":
        return ("fp32", "bf16")
    ampere = torch.cuda.is_available() and torch.cuda.get_device_capability() >= (8, 0)
    return ("fp32", "tf32", "bf16", "fp16") if ampere else ("fp32", "fp16")
