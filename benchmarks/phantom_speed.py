"""How fast the phantom is drawn, on one core and on all: ``python benchmarks/phantom_speed.py [SIDE]``."""

from __future__ import annotations

import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor

from cxrbench.datasets.phantom import Phantom

IMAGES = 2000


def draw(job: tuple[list[str], int]) -> int:
    ids, side = job
    phantom = Phantom()
    return sum(phantom.pixels(None, image_id, side).shape[0] > 0 for image_id in ids)


def main() -> None:
    side = int(sys.argv[1]) if len(sys.argv) > 1 else 64
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    ids = list(Phantom().read(None).manifest.index[:IMAGES])
    start = time.perf_counter()
    draw((ids, side))
    alone = len(ids) / (time.perf_counter() - start)
    print(f"one process          {alone:7.0f} images/s at {side} px")
    chunks = [(ids[first : first + 50], side) for first in range(0, len(ids), 50)]
    with ProcessPoolExecutor(cores) as pool:
        list(pool.map(draw, [(ids[:1], side)] * cores))  # workers are up and know the patients
        start = time.perf_counter()
        drawn = sum(pool.map(draw, chunks))
        together = drawn / (time.perf_counter() - start)
    print(f"{cores:2d} processes         {together:7.0f} images/s, {together / alone:.2f} times one")


if __name__ == "__main__":
    main()
