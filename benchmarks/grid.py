"""A grid of 3 networks × 3 losses × 3 calibrators × 4 threshold strategies on the embedded data, in one call.

The cells of a network share its training, so that all but nine of them should cost next to nothing. Prints
the time of the trainings (with their first cells), that of the other cells, and their share of the whole::

    python benchmarks/grid.py
    python benchmarks/grid.py --epochs 2 --train-val 400 --test 120      # in a minute or two

With ``--json``, the times in seconds as one document.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import torch

from cxrbench.grid import cells, parse_axis, run_cells
from cxrbench.plugins import installed
from cxrbench.reporter import Reporter
from cxrbench.specs import RunSpec
from cxrbench.store import Store
from cxrbench.workflow import Job, Workflow

BACKBONES = ("densenet_fpn", "timm/resnet18", "timm/mobilenetv3_small_100")
LOSSES = ("bce", "weighted_bce", "focal")
CALIBRATORS = ("temperature", "platt", "isotonic")
STRATEGIES = ("youden", "precision_f1", "dynamic", "fixed")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backbone", default=",".join(BACKBONES))
    parser.add_argument("--loss", default=",".join(LOSSES))
    parser.add_argument("--calibrator", default=",".join(CALIBRATORS))
    parser.add_argument("--thresholds", default=",".join(STRATEGIES))
    parser.add_argument("--train-val", type=int, help="images of the embedded data to train and tune on")
    parser.add_argument("--test", type=int, help="images of the embedded data to test on")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    sizes = {"train_val": asked.train_val, "test": asked.test}
    given = {
        "dataset": {"name": "phantom", "options": {k: v for k, v in sizes.items() if v}},
        "training": {"epochs": asked.epochs} if asked.epochs else {},
    }
    kinds = ("backbone", "loss", "calibrator", "thresholds")
    axes = {kind: parse_axis(kind, [getattr(asked, kind)]) for kind in kinds}
    registry, reporter = installed().registry, Reporter(quiet=True)
    training, other = [], []

    with tempfile.TemporaryDirectory() as folder:
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        workflow = Workflow(Store(Path(folder), reporter), registry, reporter, device, None)

        def do(place: int, spec: RunSpec, job: Job) -> None:
            before, started = workflow.trainings, time.perf_counter()
            job.do()
            (training if workflow.trainings > before else other).append(time.perf_counter() - started)

        def failed(failure: object) -> None:
            raise SystemExit(str(failure))

        run_cells(cells(given, axes, [], registry), registry, workflow.job, do, failed)

    seconds = {"training_cells": sum(training), "other_cells": sum(other)}
    counts = {"training_cells": len(training), "other_cells": len(other)}
    share = seconds["other_cells"] / sum(seconds.values())
    if asked.json:
        print(json.dumps({"seconds": seconds, "cells": counts, "share_of_other_cells": share}))
        return
    print(f"{counts['training_cells']} cells that train   {seconds['training_cells']:8.1f} s")
    each = seconds["other_cells"] / max(counts["other_cells"], 1)
    print(f"{counts['other_cells']} other cells        {seconds['other_cells']:8.1f} s, {each:.2f} s each")
    print(f"share of the other cells {share:.1%}")


if __name__ == "__main__":
    main()
