"""As many images as NIH ChestX-ray14 has, if asked: through cache, audit and an epoch of a tiny network.

Small PNGs in NIH's layout, each another file, are made on the spot: 1,000, 10,000, and as many as are asked
for, 20,000 unless ``--images`` says otherwise.
Each command is a process of its own; its peak memory is what the operating system says, the pages of the
memory-mapped cache that it read among them. "Beyond" is the time of each image more than at the size
before, which leaves out what a command needs to start::

    python benchmarks/full_size.py --images 112120
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from nih_lookalike import write_nih

SIDE = 64
RUN = (
    *("run", "--backbone", "timm/test_resnet", "--weights", "none", "--image-size", "32", "--epochs", "1"),
    *("--batch-size", "64", "--learning-rate", "1e-3"),
)


def measure(arguments: tuple[str, ...], root: Path, results: Path) -> tuple[float, float, int]:
    """Seconds, peak memory in MB, and exit code of a command on a data set."""
    where = ("--dataset", "nih", "--data-root", str(root), "--json")
    kept = ("--results", str(results)) if arguments[0] == "run" else ()
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "cxrbench", *arguments, *where, *kept], stdout=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    # Linux counts in KiB, macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    return time.perf_counter() - started, usage.ru_maxrss * unit / 1e6, os.waitstatus_to_exitcode(status)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=20_000, help="of the largest size (NIH: 112120)")
    largest = parser.parse_args().images
    print(f"{'images':>8}  {'command':12}{'seconds':>9}{'ms/image':>10}{'beyond':>9}{'peak MB':>9}")
    before: dict[str, tuple[int, float]] = {}
    for images in (1_000, 10_000, largest):
        with tempfile.TemporaryDirectory() as folder:
            root, results = Path(folder) / "nih", Path(folder) / "results"
            write_nih(root, images, SIDE, films=64)
            for command in (RUN, ("data", "audit")):
                name = " ".join(part for part in command[:2] if not part.startswith("-"))
                seconds, peak, code = measure(command, root, results)
                fewer, less = before.get(name, (0, 0.0))
                more = 1e3 * (seconds - less) / max(images - fewer, 1)
                before[name] = images, seconds
                print(
                    f"{images:8,}  {name:12}{seconds:9.1f}{1e3 * seconds / images:10.2f}{more:9.2f}"
                    + f"{peak:9,.0f}"
                    + (f"  exit code {code}" if code else ""),
                    flush=True,
                )


if __name__ == "__main__":
    main()
