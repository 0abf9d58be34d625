"""The published networks by every runtime of a CPU, through ``cxrbench latency`` itself.

Each network is trained for a moment on the embedded data (what it computes matters, not how well), then
measured row by row; the best runtime that passes its gate is held against the faster of eager's two layouts,
and each against how fast a large product of matrices is here, which is about what no network can pass::

    python benchmarks/latency_cpu.py --results /tmp/latency --networks densenet_fpn --batch-size 1,16

``--write`` makes ``results/reference/latency-cpu.csv`` and ``.md`` of all that the store holds. Runtimes of
plugins are measured where they are installed (``pip install ./plugins/cxrbench-openvino``).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch.utils.benchmark import Timer

from cxrbench.latency.record import Record, described, records_of
from cxrbench.plugins import installed
from cxrbench.records import read_record
from cxrbench.reporter import Reporter
from cxrbench.store import Store

NETWORKS = ("densenet_fpn", "torchvision/resnet50", "torchvision/vgg16", "fused_cnn")
EAGER = ("eager:layout=contiguous", "eager:layout=channels_last")
REFERENCE = Path(__file__).parent.parent / "results" / "reference"
TRAINED = (
    "--dataset", "phantom:train_val=160,test=60", "--set", "images_per_role=40", "--image-size", "224",
    "--epochs", "1", "--batch-size", "8", "--precision", "fp32",
)  # fmt: skip


def command(*words: object) -> Any:
    """The answer of ``cxrbench … --json``."""
    line = [sys.executable, "-m", "cxrbench", *map(str, words), "--json"]
    return json.loads(subprocess.run(line, check=True, stdout=subprocess.PIPE, text=True).stdout)


def measure(network: str, arguments: argparse.Namespace) -> None:
    """Train a network, where the store has it not, and measure its rows."""
    answer = command("run", *TRAINED, "--backbone", network, "--results", arguments.results)
    run = answer["runs"][0]["run_id"]
    names = {each.name for each in installed().registry.all("runtime")}
    others = [name for name in ("compile", "onnxruntime", "openvino") if name in names]
    runtimes = arguments.runtimes or ",".join([*EAGER, *others])
    command(
        "latency", run, "--runtimes", runtimes, "--batch-size", arguments.batch_size,
        "--seconds", arguments.seconds, "--device", "cpu", "--results", arguments.results,
    )  # fmt: skip


def product_gflops() -> float:
    """What torch reaches in fp32 on a product of large matrices, in 10^9 FLOPs a second: the best of 20."""
    side = 2048
    left, right = torch.rand(side, side), torch.rand(side, side)
    timer = Timer("left @ right", globals={"left": left, "right": right}, num_threads=torch.get_num_threads())
    seconds = [timer.timeit(1).mean for _ in range(20)]
    return 2 * side**3 / min(seconds) / 1e9


def table(results: Path) -> tuple[pd.DataFrame, str]:
    """The last measurement of each row in the store, and the machine."""
    store = Store(results, Reporter(quiet=True), create=False)
    last: dict[tuple[object, ...], Record] = {}
    network_of = {}
    for run in store.runs():
        told = read_record(run)
        network_of[told["run_id"]] = told["backbone"]
        for record in records_of(store, told["training"]):
            row = record.told
            last[row["run_id"], record.runtime, row["precision"], row["batch_size"]] = record
    rows = [row_of(network_of[str(record.told["run_id"])], record) for record in last.values()]
    found = pd.DataFrame(rows).sort_values(["network", "batch_size", "p50_ms"], ignore_index=True)
    eager = found[found["runtime"].isin(EAGER)].groupby(["network", "batch_size"])["p50_ms"].min()
    base = eager.reindex(pd.MultiIndex.from_frame(found[["network", "batch_size"]])).to_numpy()
    found.insert(5, "times_eager", base / found["p50_ms"])
    flops = {name: command("describe", "--backbone", name)["flops"] for name in found["network"].unique()}
    found["gflops"] = found["network"].map(flops) * found["batch_size"] / found["p50_ms"] / 1e6
    told = next(iter(last.values())).told
    machine = (
        f"{described(told['host'], 'cpu')}, {told['host']['memory_gb']} GB, no GPU; "
        f"{told['threads']['intra_op']} threads; Python {told['versions']['python']}, "
        + ", ".join(f"{name} {version}" for name, version in told["versions"].items() if name != "python")
    )
    return found, machine


def row_of(network: str, record: Record) -> dict[str, object]:
    """One row of the table."""
    told = record.told
    found = {each["percent"]: each for each in told["latency"]["percentiles"]}
    return {
        "network": network,
        "batch_size": told["batch_size"],
        "runtime": record.runtime,
        "precision": told["precision"],
        "p50_ms": found[50]["value"],
        "p50_low": found[50]["low"],
        "p50_high": found[50]["high"],
        "p99_ms": found[99]["value"],
        "p99_supported": found[99]["supported"],
        "samples": told["latency"]["samples"],
        "images_per_second": told["throughput"],
        "build_s": told["cold_start"]["build_s"],
        "cold_start_s": told["cold_start"]["total_s"],
        "host_mb": told["memory"]["host_mb"],
        "proved": told["proved_precision"],
        "gate_passed": record.passed,
        "max_abs_logit": told["gate"]["max_abs_logit"],
        "delta_auc": told["gate"]["delta_auc"],
        "flips": told["gate"]["flips"],
        "other_cores_busy": told["machine"]["other_cores_busy"],
        "stable": told["warm_up"]["stable"],
    }


def as_markdown(found: pd.DataFrame, machine: str, product: float) -> str:
    """The table for people."""
    heads = (
        "network",
        "batch",
        "runtime",
        "p50 ms [95%]",
        "× eager",
        "p99 ms",
        "images/s",
        "GFLOP/s",
        "build s",
        "gate",
    )
    busy = found["other_cores_busy"]
    lines = [
        "# Latency on a CPU",
        "",
        "`python benchmarks/latency_cpu.py --write` on "
        + machine
        + ". Images of 224 px, fp32 where no other format is named, inputs in memory; "
        "× eager is against the faster of eager's two memory layouts. ° fewer samples than "
        "MLPerf's rule asks for. "
        "ΔAUC, flips and the largest difference of a logit are in the CSV.",
        "",
        f"Something else kept {busy.min():.1f} to {busy.max():.1f} cores busy meanwhile, by row in the CSV. "
        f"A product of two matrices of 2048 × 2048 reaches {product:.0f} GFLOP/s here at best.",
        "",
        "| " + " | ".join(heads) + " |",
        "|---|---:|---|---:|---:|---:|---:|---:|---:|---|",
    ]
    for row in found.to_dict("records"):
        cells = (
            row["network"],
            row["batch_size"],
            row["runtime"] if row["precision"] == "fp32" else f"{row['runtime']} {row['precision']}",
            f"{row['p50_ms']:.1f} [{row['p50_low']:.1f}, {row['p50_high']:.1f}]",
            f"{row['times_eager']:.2f}" if row["gate_passed"] else "–",
            f"{row['p99_ms']:.1f}{'' if row['p99_supported'] else '°'}",
            f"{row['images_per_second']:.1f}",
            f"{row['gflops']:.0f}",
            f"{row['build_s']:.0f}",
            "passed" if row["gate_passed"] else "failed",
        )
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description="Published networks by every runtime of a CPU.")
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--networks", default=",".join(NETWORKS))
    parser.add_argument("--runtimes", help="as cxrbench latency takes them; all by default")
    parser.add_argument("--batch-size", default="1,16")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each row's samples at most")
    parser.add_argument("--write", action="store_true", help="write the reference tables of the store")
    arguments = parser.parse_args()
    for network in filter(None, arguments.networks.split(",")):
        measure(network, arguments)
    found, machine = table(arguments.results)
    product = product_gflops()
    if arguments.write:
        REFERENCE.mkdir(parents=True, exist_ok=True)
        found.round(6).to_csv(REFERENCE / "latency-cpu.csv", index=False)
        (REFERENCE / "latency-cpu.md").write_text(as_markdown(found, machine, product), encoding="utf-8")
    print(f"{machine}; {product:.0f} GFLOP/s in a product of matrices")
    passed = found[found["gate_passed"]]
    for (network, batch), rows in passed.groupby(["network", "batch_size"]):
        best = rows.loc[rows["p50_ms"].idxmin()]
        print(
            f"{network:24} batch {batch:3}: {best['runtime']} {best['p50_ms']:.1f} ms, "
            f"{best['times_eager']:.2f} × the faster eager, {best['gflops']:.0f} GFLOP/s"
        )


if __name__ == "__main__":
    main()
