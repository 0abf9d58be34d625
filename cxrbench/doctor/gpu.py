"""torch, and the GPU as the driver and torch see it."""

from __future__ import annotations

import os
import subprocess
import warnings
from types import ModuleType

from cxrbench.doctor.check import Check

_ASK = ("nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader")
_SECONDS = 20
"""In which the driver must have answered."""


def gpu() -> list[Check]:
    """torch, the driver, CUDA and cuDNN."""
    seen = driver()
    try:
        import torch
    except (ImportError, OSError) as error:
        reason = f"cannot be imported: {error}"
        return [
            Check("GPU", "torch", "broken", reason, "pip install --force-reinstall torch torchvision"),
            seen,
        ]
    build = f"built for CUDA {torch.version.cuda}" if torch.version.cuda else "built for processors alone"
    found = Check("GPU", "torch", "ok", f"{torch.__version__}, {build}")
    return [found, seen, cuda(torch, has_driver=seen.state == "ok"), cudnn(torch)]


def driver() -> Check:
    """NVIDIA's driver, by its own tool."""
    try:
        answer = subprocess.run(_ASK, capture_output=True, text=True, check=True, timeout=_SECONDS)
    except FileNotFoundError:
        return Check("GPU", "driver", "absent", "no nvidia-smi: there is no NVIDIA driver")
    except (subprocess.SubprocessError, OSError) as error:
        return Check(
            "GPU",
            "driver",
            "broken",
            f"nvidia-smi fails: {error}",
            "sudo apt-get install --reinstall nvidia-driver",
        )
    return Check("GPU", "driver", "ok", "; ".join(answer.stdout.strip().splitlines()))


def cuda(torch: ModuleType, *, has_driver: bool) -> Check:
    """Whether torch computes on a GPU; one that is there and cannot be used is broken."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        available = torch.cuda.is_available()
    if available:
        return _computes(torch)
    if not has_driver:
        return Check("GPU", "CUDA", "absent", "no GPU: networks compute on the processor")
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    if hidden is not None and hidden.strip() in ("", "-1"):
        return Check("GPU", "CUDA", "absent", f"CUDA_VISIBLE_DEVICES='{hidden}' hides the GPU")
    if torch.version.cuda is None:
        reason = "there is a GPU, and this torch is built without CUDA"
        return Check("GPU", "CUDA", "broken", reason, "pip install --force-reinstall torch torchvision")
    reason = " ".join(str(said[-1].message).split()) if said else "torch does not say why"
    return Check(
        "GPU",
        "CUDA",
        "broken",
        f"there is a GPU, and torch cannot use it: {reason}",
        f"install a driver that has CUDA {torch.version.cuda}: https://www.nvidia.com/drivers",
    )


def _computes(torch: ModuleType) -> Check:
    name = torch.cuda.get_device_name()
    try:
        torch.ones(2, 2, device="cuda").mm(torch.ones(2, 2, device="cuda")).sum().item()
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        mend = "pip install --upgrade torch torchvision"
        return Check("GPU", "CUDA", "broken", f"{name} cannot multiply two matrices: {reason}", mend)
    major, minor = torch.cuda.get_device_capability()
    return Check("GPU", "CUDA", "ok", f"{torch.version.cuda} on {name} (compute capability {major}.{minor})")


def cudnn(torch: ModuleType) -> Check:
    """cuDNN, which torch brings along."""
    found = torch.backends.cudnn.version() if torch.backends.cudnn.is_available() else None
    if found is None:
        return Check("GPU", "cuDNN", "absent", "comes with a torch that is built for CUDA")
    # 9.10.2 is 91002; before version 9 it would have been 8902 for 8.9.2.
    scale = 10_000 if found >= 90_000 else 1_000
    return Check("GPU", "cuDNN", "ok", f"{found // scale}.{found % scale // 100}.{found % 100}")
