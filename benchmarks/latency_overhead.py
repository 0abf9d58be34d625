"""What the harness of ``cxrbench latency`` adds to a call, against a bare loop of ``torch.utils.benchmark``.

Both time the same engine in turns (A B A B …), so that whatever else the machine does falls on both. Their
means are compared round by round: the harness over the bare loop, 1.00 being no overhead::

    python benchmarks/latency_overhead.py --rounds 100

``timm/test_resnet`` takes a millisecond or so a call, so that what the harness does between calls would show.
"""

from __future__ import annotations

import argparse
import statistics

import torch
from torch.utils.benchmark import Timer

from cxrbench.latency.measure import sample
from cxrbench.options import Use, make
from cxrbench.plugins import installed


def main() -> None:
    parser = argparse.ArgumentParser(description="The harness of latency against torch.utils.benchmark.")
    parser.add_argument("--network", default="timm/test_resnet", help="of the kind 'backbone'")
    parser.add_argument("--image-size", type=int, default=64, metavar="PIXELS")
    parser.add_argument("--calls", type=int, default=20, help="of each way in a round")
    parser.add_argument("--rounds", type=int, default=100)
    arguments = parser.parse_args()

    registry = installed().registry
    torch.manual_seed(0)
    backbone = make(Use(name=arguments.network), "backbone", registry)
    network = backbone.build(14, arguments.image_size, False).eval()
    shapes = {"image": (1, len(backbone.mean), arguments.image_size, arguments.image_size), "patient": (1, 3)}
    inputs = [torch.rand(shapes[name]) for name in backbone.inputs]
    engine = make(Use(name="eager"), "runtime", registry).build(network, [inputs], "fp32")

    def call() -> torch.Tensor:
        return engine.run(inputs)

    bare = Timer("call()", globals={"call": call}, num_threads=torch.get_num_threads())
    ratios, milliseconds = [], []
    for round_ in range(-1, arguments.rounds):
        ours = float(sample(call, False, arguments.calls, 3600).wall_ms.mean())
        theirs = bare.timeit(arguments.calls).mean * 1000
        if round_ >= 0:
            ratios.append(ours / theirs)
            milliseconds.append(theirs)
    quarters = statistics.quantiles(ratios, n=4)
    print(
        f"{arguments.network}, {arguments.image_size} px, {torch.get_num_threads()} threads: "
        f"{statistics.median(milliseconds):.3f} ms a call in torch.utils.benchmark; harness / bare "
        f"{statistics.median(ratios):.4f} (median of {len(ratios)} rounds; middle half "
        f"{quarters[0]:.4f} to {quarters[2]:.4f})"
    )


if __name__ == "__main__":
    main()
