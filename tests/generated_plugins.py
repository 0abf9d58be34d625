"""A plugin of every kind as ``cxrbench plugins new`` writes it: installed, tested and checked.

    python tests/generated_plugins.py FOLDER

All share one environment, which sees this one, and are installed without what they depend on.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from plugin_environment import environment, install

from cxrbench.scaffold.package import KINDS_OF_PLUGINS

Words = Sequence[str | Path]

AT_ONCE = 2
"""As many as tests run beside each other elsewhere."""


def main(folder: Path) -> None:
    """Make the packages in that folder, whose content goes; stop at what fails."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    # What checks find is not kept among what the user's own found.
    os.environ["XDG_CACHE_HOME"] = str(folder.resolve() / "cache")
    new = (sys.executable, "-m", "cxrbench", "plugins", "new", "--into", folder)
    run(*((*new, f"try-{kind}", "--kind", kind) for kind in KINDS_OF_PLUGINS))
    python = environment(folder.resolve() / ".venv")
    packages = sorted(map(str, folder.glob("cxrbench-*")))
    install(python, "--no-deps", "--no-build-isolation", *packages)
    run(
        (python, "-m", "pytest", "-q", "--import-mode", "importlib", "-p", "no:cacheprovider", *packages),
        *((python, "-m", "cxrbench", "plugins", "check", f"try-{kind}") for kind in KINDS_OF_PLUGINS),
    )


def run(*commands: Words) -> None:
    """Some commands, two at a time; what each says is shown together when it ends.

    Raises:
        CalledProcessError: one failed, of whatever is begun before that is seen.
    """

    def one(words: Words) -> None:
        done = subprocess.run(
            [str(word) for word in words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        print(done.stdout, end="", flush=True)
        done.check_returncode()

    with ThreadPoolExecutor(AT_ONCE) as pool:
        for finished in [pool.submit(one, words) for words in commands]:
            try:
                finished.result()
            except subprocess.CalledProcessError:
                pool.shutdown(cancel_futures=True)
                raise


if __name__ == "__main__":
    main(Path(sys.argv[1]))
