"""How long ``cxrbench --help`` and ``cxrbench list`` take, beside Python itself and Python with click.

Each is a process of its own, started in turns so that a busy moment meets all alike; medians of 11.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROUNDS = 11
HEAVY = {"matplotlib", "numpy", "pandas", "pydantic", "scipy", "sklearn", "timm", "torch"}
COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "import click": ["-c", "import click"],
    "cxrbench --help": ["-m", "cxrbench", "--help"],
    "cxrbench list": ["-m", "cxrbench", "list"],
    "cxrbench list --json": ["-m", "cxrbench", "list", "--json"],
}


def run(arguments: list[str], **environment: str) -> str:
    """Standard error of one process."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=True,
    ).stderr


def seconds(arguments: list[str]) -> float:
    started = time.perf_counter()
    run(arguments)
    return time.perf_counter() - started


def heavy_modules(arguments: list[str]) -> set[str]:
    """The heavy libraries that a command imports."""
    lines = run(["-X", "importtime", *arguments]).splitlines()
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in lines}
    return imported & HEAVY


def main() -> None:
    for arguments in COMMANDS.values():
        run(arguments)  # once, so that byte code is there
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(ROUNDS):
        for name, arguments in COMMANDS.items():
            times[name].append(seconds(arguments))
    medians = {name: statistics.median(values) for name, values in times.items()}
    print(f"{'':22} {'ms':>6} {'x python':>9} {'x click':>8}  heavy imports")
    for name, median in medians.items():
        bare, click = median / medians["python -c pass"], median / medians["import click"]
        heavy = ", ".join(sorted(heavy_modules(COMMANDS[name]))) or "none"
        print(f"{name:22} {1000 * median:6.0f} {bare:9.1f} {click:8.1f}  {heavy}")


if __name__ == "__main__":
    main()
