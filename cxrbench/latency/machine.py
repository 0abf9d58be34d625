"""The machine that is measured on: what it is, its clocks and temperature, its energy and other load."""

from __future__ import annotations

import os
import platform
import re
import resource
import time
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil
import torch

from cxrbench.processors import processors

PACKAGES = ("cxrbench", "torch", "onnxruntime", "onnxruntime-gpu", "openvino", "torch-tensorrt", "tensorrt")
"""Whose versions a record names, as far as they are installed."""


def host() -> dict[str, Any]:
    """What names the machine: processor, cores at hand, memory, GPU with driver, and the system."""
    found: dict[str, Any] = {
        "name": platform.node(),
        "processor": _processor(),
        "cores": processors(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30),
        "system": platform.platform(terse=True),
        "gpu": None,
    }
    if torch.cuda.is_available():
        facts = torch.cuda.get_device_properties(0)
        found["gpu"] = {
            "name": facts.name,
            "memory_gb": round(facts.total_memory / 2**30),
            "cuda": torch.version.cuda,
        }
    return found


def versions() -> dict[str, str]:
    """Versions of Python and of what computes."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        found = re.search(r"^model name\s*:\s*(.+)$", cpuinfo.read_text(encoding="utf-8"), re.MULTILINE)
        if found:
            return found[1].strip()
    return platform.processor() or platform.machine()


@dataclass(frozen=True)
class Moment:
    """The state of the machine at one moment.

    Attributes:
        at: seconds of a clock that never goes back.
        busy: processor seconds spent by everything on the machine since it started.
        own: processor seconds spent by this process.
        load: of the last minute, as the system counts it; None where it does not.
        cpu_mhz: mean clock of the cores; None where nobody says.
        cpu_celsius: the hottest sensor of the processor; None where there is none.
        gpu: clocks, temperature and energy of the GPU; None where there is no GPU or NVML.
    """

    at: float
    busy: float
    own: float
    load: float | None
    cpu_mhz: float | None
    cpu_celsius: float | None
    gpu: dict[str, float] | None

    def record(self) -> dict[str, Any]:
        """As JSON, without what only differences of tell anything."""
        return {
            "load": self.load,
            "cpu_mhz": self.cpu_mhz,
            "cpu_celsius": self.cpu_celsius,
            "gpu": self.gpu,
        }


def now(cuda: bool) -> Moment:
    """The state of the machine now."""
    times = psutil.cpu_times()
    busy = sum(times) - times.idle - getattr(times, "iowait", 0.0) - getattr(times, "guest", 0.0)
    used = resource.getrusage(resource.RUSAGE_SELF)
    frequency = psutil.cpu_freq()
    return Moment(
        time.monotonic(),
        busy,
        used.ru_utime + used.ru_stime,
        os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        round(frequency.current) if frequency and frequency.current else None,
        _celsius(),
        _gpu() if cuda else None,
    )


def other_load(before: Moment, after: Moment) -> float:
    """How many cores something else kept busy meanwhile, on average; 0 on a quiet machine."""
    elapsed = max(after.at - before.at, 1e-9)
    return max(0.0, (after.busy - before.busy) - (after.own - before.own)) / elapsed


def energy_joules(before: Moment, after: Moment) -> float | None:
    """What the GPU used meanwhile; None where NVML does not count it."""
    if before.gpu is None or after.gpu is None or "energy_joules" not in before.gpu:
        return None
    return after.gpu["energy_joules"] - before.gpu["energy_joules"]


def peak_memory_mb() -> float:
    """The most memory that this process has had, in MB (2**20 bytes)."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # macOS counts bytes, Linux kilobytes.
    return peak / 2**20 if platform.system() == "Darwin" else peak / 2**10


def _celsius() -> float | None:
    sensors = psutil.sensors_temperatures() if hasattr(psutil, "sensors_temperatures") else {}
    found = [each.current for name in ("k10temp", "coretemp") for each in sensors.get(name, ())]
    return max(found, default=None)


def _gpu() -> dict[str, float] | None:
    """What NVML says of the first device that this process sees; None where it says nothing."""
    try:
        import pynvml
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:  # no driver of its own, as in some containers
        return None
    try:
        # By its UUID, since CUDA_VISIBLE_DEVICES renumbers devices for CUDA alone.
        handle = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{torch.cuda.get_device_properties(0).uuid}")
        found = {
            "sm_mhz": float(pynvml.nvmlDeviceGetClockInfo(handle, pynvml.NVML_CLOCK_SM)),
            "memory_mhz": float(pynvml.nvmlDeviceGetClockInfo(handle, pynvml.NVML_CLOCK_MEM)),
            "celsius": float(pynvml.nvmlDeviceGetTemperature(handle, pynvml.NVML_TEMPERATURE_GPU)),
            "processes": float(len(pynvml.nvmlDeviceGetComputeRunningProcesses(handle))),
        }
        # Older GPUs do not count it.
        with suppress(pynvml.NVMLError_NotSupported):
            found["energy_joules"] = pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1000
        return found
    except pynvml.NVMLError:  # a part of a GPU (MIG) has no clocks of its own
        return None
    finally:
        pynvml.nvmlShutdown()
