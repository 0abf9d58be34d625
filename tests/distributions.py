"""Distributions with plugins, as pip would leave them in a folder, and commands that see them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import cxrbench

ROOT = Path(cxrbench.__file__).parents[1]


def install(site: Path, name: str, module: str, group: str = "cxrbench.v1") -> None:
    """A package ``cxrbench-NAME`` 1.5 in ``site``, whose plugin NAME is a module with that text."""
    site.mkdir(parents=True, exist_ok=True)
    (site / f"{name}_plugin.py").write_text(dedent(module))
    info = site / f"cxrbench_{name}-1.5.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: cxrbench-{name}\nVersion: 1.5\n")
    (info / "entry_points.txt").write_text(f"[{group}]\n{name} = {name}_plugin\n")


def seen_beside(site: Path) -> str:
    """``PYTHONPATH`` with what is installed in ``site``."""
    return os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])


def command(site: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """``cxrbench`` in a process of its own, which sees what is installed in ``site``, with a cache there."""
    environment = {
        **os.environ,
        "PYTHONPATH": seen_beside(site),
        "XDG_CACHE_HOME": str(site / "cache"),
        "TERM": "dumb",
        "OMP_NUM_THREADS": "1",
    }
    line = [sys.executable, "-m", "cxrbench", *map(str, arguments)]
    return subprocess.run(line, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
