"""Makes ``PLUGIN/.venv``: the plugin installed as a user would, in an environment that sees this one.

    python tests/plugin_environment.py plugins/NAME

What this environment has already is not installed again; what the plugin names besides cxrbench, and is not
here, comes in the versions of ``constraints.txt``. The plugin itself is installed without dependencies, so
that pip neither goes through all of cxrbench's nor can change one.
"""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main(plugin: Path) -> None:
    """Make or update the environment of the plugin in that folder."""
    python = environment(plugin.resolve() / ".venv")
    project = tomllib.loads((plugin / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = [*project["dependencies"], *project["optional-dependencies"]["test"]]
    install(python, *(each for each in named if re.split(r"[^\w-]", each)[0] != "cxrbench"))
    install(python, "--no-deps", "--no-build-isolation", "--editable", plugin.resolve())


def environment(folder: Path) -> Path:
    """The Python of an environment in that folder, which is made where it is not there."""
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, symlinks=True)
    of_plugin = Path(sysconfig.get_path("purelib", vars={"base": str(folder)}))
    # Read as a site folder, so that packages which are installed there as editable are seen too.
    outer = sysconfig.get_path("purelib")
    (of_plugin / "outer.pth").write_text(f"import site; site.addsitedir({outer!r})\n", encoding="utf-8")
    return python


def install(python: Path, *what: str | Path) -> None:
    """Install into that Python's environment."""
    options = ("--quiet", "--disable-pip-version-check", "--constraint", ROOT / "constraints.txt")
    words = (python, "-m", "pip", "install", *options, *what)
    subprocess.run([str(word) for word in words], check=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
