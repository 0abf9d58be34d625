"""A plugin of every kind as ``cxrbench plugins new`` writes it: installed, tested and checked.

    python tests/generated_plugins.py FOLDER

All share one environment, which sees this one, and are installed without what they depend on.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from plugin_environment import environment, install

from cxrbench.scaffold.package import KINDS_OF_PLUGINS


def main(folder: Path) -> None:
    """Make the packages in that folder, whose content goes; stop at what fails."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    # What checks find is not kept among what the user's own found.
    os.environ["XDG_CACHE_HOME"] = str(folder.resolve() / "cache")
    for kind in KINDS_OF_PLUGINS:
        new = ("plugins", "new", f"try-{kind}", "--kind", kind, "--into", folder)
        run(sys.executable, "-m", "cxrbench", *new)
    python = environment(folder.resolve() / ".venv")
    packages = sorted(map(str, folder.glob("cxrbench-*")))
    install(python, "--no-deps", "--no-build-isolation", *packages)
    run(python, "-m", "pytest", "-q", "--import-mode", "importlib", "-p", "no:cacheprovider", *packages)
    run(python, "-m", "cxrbench", "plugins", "check")


def run(*words: str | Path) -> None:
    """One command."""
    subprocess.run([str(word) for word in words], check=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
