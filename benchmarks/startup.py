"""How long ``cxrbench --help`` and ``cxrbench list`` take, beside Python itself and Python with click.

Each is a process of its own, started in turns so that a busy moment meets all alike; medians of 11. The last
rows are of an environment with ten plugins of twenty components each besides. Byte code is kept in a folder
here, as an installation has it, whatever ``PYTHONDONTWRITEBYTECODE`` says.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
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
    "--help, 10 plugins": ["-m", "cxrbench", "--help"],
    "list, 10 plugins": ["-m", "cxrbench", "list"],
}
PLUGINS, COMPONENTS = 10, 20
HOOK = """
from cxrbench.hookspecs import hookimpl

@hookimpl
def register_thresholds(register):
    for number in range({components}):
        register(f"p{plugin}_{{number}}", "somewhere:P", version="1", summary="Nothing")
"""


def install(site: Path) -> None:
    """Plugins in a folder, as pip would leave them."""
    for plugin in range(PLUGINS):
        (site / f"many{plugin}.py").write_text(HOOK.format(components=COMPONENTS, plugin=plugin))
        info = site / f"cxrbench_many{plugin}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: cxrbench-many{plugin}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[cxrbench.v1]\nmany{plugin} = many{plugin}\n")


def run(arguments: list[str], environment: Mapping[str, str]) -> str:
    """Standard error of one process."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=True,
    ).stderr


def seconds(arguments: list[str], environment: Mapping[str, str]) -> float:
    started = time.perf_counter()
    run(arguments, environment)
    return time.perf_counter() - started


def heavy_modules(arguments: list[str], environment: Mapping[str, str]) -> set[str]:
    """The heavy libraries that a command imports."""
    lines = run(["-X", "importtime", *arguments], environment).splitlines()
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in lines}
    return imported & HEAVY


def measure(folder: Path) -> None:
    """Start each command in turns, some of them beside plugins in ``folder``."""
    site = folder / "site"
    site.mkdir()
    install(site)
    alone = {**os.environ, "PYTHONPYCACHEPREFIX": str(folder / "bytecode")}
    alone.pop("PYTHONDONTWRITEBYTECODE", None)
    seen = os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])
    environments = {name: alone | ({"PYTHONPATH": seen} if "plugins" in name else {}) for name in COMMANDS}
    for name, arguments in COMMANDS.items():
        run(arguments, environments[name])  # once, so that byte code is there
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(ROUNDS):
        for name, arguments in COMMANDS.items():
            times[name].append(seconds(arguments, environments[name]))
    medians = {name: statistics.median(values) for name, values in times.items()}
    print(f"{'':22} {'ms':>6} {'x python':>9} {'x click':>8}  heavy imports")
    for name, median in medians.items():
        bare, click = median / medians["python -c pass"], median / medians["import click"]
        heavy = ", ".join(sorted(heavy_modules(COMMANDS[name], environments[name]))) or "none"
        print(f"{name:22} {1000 * median:6.0f} {bare:9.1f} {click:8.1f}  {heavy}")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        measure(Path(folder))


if __name__ == "__main__":
    main()
