"""Makes ``PLUGIN/.venv``: the plugin installed as a user would, in an environment that sees this one.

    python tests/plugin_environment.py plugins/NAME

What this environment has already is not installed again; what the plugin adds comes in the versions of
``constraints.txt``.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main(plugin: Path) -> None:
    """Make or update the environment of the plugin in that folder."""
    environment = plugin.resolve() / ".venv"
    python = environment / "bin" / "python"
    if not python.exists():
        venv.create(environment, symlinks=True)
    of_plugin = Path(sysconfig.get_path("purelib", vars={"base": str(environment)}))
    # Read as a site folder, so that packages which are installed there as editable are seen too.
    outer = sysconfig.get_path("purelib")
    (of_plugin / "outer.pth").write_text(f"import site; site.addsitedir({outer!r})\n", encoding="utf-8")
    options = ("--quiet", "--disable-pip-version-check", "--constraint", ROOT / "constraints.txt")
    install = (python, "-m", "pip", "install", *options, "--editable", f"{plugin.resolve()}[test]")
    subprocess.run([str(word) for word in install], check=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
