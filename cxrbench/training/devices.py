"""Which device and number format this machine trains with."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import GradientAccumulationPlugin

from cxrbench.errors import CxrbenchError, UsageError
from cxrbench.specs import TrainingSpec
from cxrbench.training.processes import current

DeviceName = Literal["auto", "cpu", "cuda"]
Precision = Literal["fp32", "bf16", "fp16"]

_AUTOCAST: dict[Precision, str] = {"fp32": "no", "bf16": "bf16", "fp16": "fp16"}


class StepTooLargeError(CxrbenchError):
    """A step has more images than the device has memory for."""


def device_of(name: DeviceName) -> torch.device:
    """The device of that name; ``auto`` takes CUDA where there is one.

    Raises:
        UsageError: CUDA is asked for and not there.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise UsageError("--device cuda was asked for, but torch finds no CUDA device; use --device cpu.")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def name_of(device: torch.device) -> str:
    """What people call the device: the GPU's model, or ``cpu``."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def best_precision(device: torch.device) -> Precision:
    """bf16 where the processor computes in it, else fp32."""
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
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


def check_deterministic(device: torch.device) -> None:
    """Refuse deterministic training where cuBLAS would not follow.

    Raises:
        UsageError: on CUDA, the variable that cuBLAS reads when it starts is not set.
    """
    if device.type == "cuda" and os.environ.get("CUBLAS_WORKSPACE_CONFIG") not in (":4096:8", ":16:8"):
        raise UsageError(
            "training.deterministic needs cuBLAS to be told before it starts; set the environment variable "
            "CUBLAS_WORKSPACE_CONFIG=:4096:8 and run the same command."
        )


@contextmanager
def deterministic(wanted: bool) -> Iterator[None]:
    """Where ``wanted``, use deterministic algorithms alone within the block; as before behind it."""
    if not wanted:
        yield
        return
    before = torch.are_deterministic_algorithms_enabled()
    warned = torch.is_deterministic_algorithms_warn_only_enabled()
    cudnn = torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before, warn_only=warned)
        torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = cudnn


@contextmanager
def true_fp32() -> Iterator[None]:
    """Let fp32 be fp32 within the block, as before behind it.

    On CUDA torch lets cuDNN round the factors of fp32 convolutions to 10 bits (TF32) unless told otherwise.
    """
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    before = cudnn.allow_tf32, matmul.allow_tf32
    cudnn.allow_tf32 = matmul.allow_tf32 = False
    try:
        yield
    finally:
        cudnn.allow_tf32, matmul.allow_tf32 = before


@contextmanager
def in_one_sentence(spec: TrainingSpec, image_size: int) -> Iterator[None]:
    """Say what a training cannot do on this device, and which setting to change.

    Raises:
        StepTooLargeError: memory ran out; a smaller batch, or smaller images, may fit.
        CxrbenchError: an operation cannot be compiled or has no deterministic way.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        processes = current().count
        less = spec.images_a_step // 2 // processes * processes
        instead = (
            f"try --batch-size {less}"
            if less >= 2 * processes
            else "give a smaller --image-size or --device cpu"
        )
        raise StepTooLargeError(
            f"The device ran out of memory with {spec.images_a_step} images of {image_size} px "
            f"a step; {instead}."
        ) from error
    except RuntimeError as error:
        if spec.deterministic and "determinis" in str(error):
            raise CxrbenchError(
                f"This network cannot be trained with training.deterministic: {_first_sentence(error)}."
            ) from error
        if spec.compile and _is_of_the_compiler(error):
            raise CxrbenchError(
                f"The network cannot be compiled here ({_first_sentence(error)}); train it with "
                "training.compile=false."
            ) from error
        raise


def _is_of_the_compiler(error: RuntimeError) -> bool:
    from torch._dynamo.exc import TorchDynamoException

    return isinstance(error, TorchDynamoException)


def _first_sentence(error: RuntimeError) -> str:
    lines = (line.strip() for line in str(error).splitlines())
    return next((line for line in lines if line), type(error).__name__).partition(". ")[0].rstrip(".:")


def accelerator_for(precision: Precision, device: torch.device) -> Accelerator:
    """An accelerator for one training.

    accelerate keeps one state a process and refuses a second precision; each training starts afresh. What
    its environment variables would otherwise set, and what changes results, is said here.
    """
    AcceleratorState._reset_state(reset_partial_state=True)
    return Accelerator(
        mixed_precision=_AUTOCAST[precision],
        cpu=device.type == "cpu",
        gradient_accumulation_plugin=GradientAccumulationPlugin(num_steps=1),
        dynamo_backend="no",
    )
