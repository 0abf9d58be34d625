"""The two pages for beginners, run from top to bottom as they are typed, in a shell, on small data.

What is small: ``cxrbench run`` gets ``_SMALL`` behind what the page says, and ``cxrbench latency`` few
samples. NIH's folder is drawn (``benchmarks/nih_lookalike.py``); nothing else is changed.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import subprocess_environment
from snippets import ROOT, command_lines

from cxrbench.findings import NIH_FINDINGS

sys.path.insert(0, str(ROOT / "benchmarks"))
from nih_lookalike import write_nih

pytestmark = pytest.mark.longest

_SMALL = {
    "first_result.md": {"run": "--dataset phantom:train_val=240,test=80 --epochs 2"},
    "tutorial.md": {
        "run": "--epochs 1 --image-size 32 --weights none --batch-size 32",
        "latency": "--samples 30 --seconds 1",
    },
}
_CODES = {"data audit": (0, 1)}
"""Exit codes other than 0 that the page speaks of."""


@pytest.fixture
def home(tmp_path):
    """A home with NIH's folder, and where the commands are typed, predictions of somebody else."""
    root = tmp_path / "home" / "ChestX-ray14"
    root.parent.mkdir()
    write_nih(root, images=240, side=64, films=60)
    tests = (root / "test_list.txt").read_text().split()
    boxes = [f"{name},Cardiomegaly,10,12,20,18,,," for name in tests[2::5]]
    (root / "BBox_List_2017.csv").write_text(
        "Image Index,Finding Label,Bbox [x,y,w,h],,,\n" + "\n".join(boxes)
    )
    here = tmp_path / "here"
    here.mkdir()
    scores = np.random.default_rng(0).uniform(size=(len(tests), len(NIH_FINDINGS)))
    table = pd.DataFrame(scores, columns=list(NIH_FINDINGS)).assign(**{"Image Index": tests})
    table.to_csv(here / "theirs.csv", index=False)
    return root.parent


@pytest.mark.parametrize("page", sorted(_SMALL))
def test_a_page_is_run_from_top_to_bottom(page, home):
    here = home.parent / "here"
    program = Path(sys.executable).with_name("cxrbench")
    environment = {
        **subprocess_environment(),
        "HOME": str(home),
        "PATH": f"{program.parent}:{os.environ['PATH']}",
    }
    assert shutil.which("cxrbench", path=environment["PATH"])
    lines = [line for line in command_lines(ROOT / "docs" / page) if not line.inline]
    for line in lines:
        small = _SMALL[page].get(line.words[0], "")
        done = subprocess.run(
            ["bash", "-c", f"{line.text} {small}"], cwd=here, env=environment, capture_output=True, text=True
        )
        expected = _CODES.get(" ".join(line.words[:2]), (0,))
        assert done.returncode in expected, f"{line}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    for file in ("leaderboard.html", "errors/errors.html"):
        assert (here / file).stat().st_size > 10_000
    if page == "tutorial.md":
        assert (here / "deployed" / "MODEL_CARD.md").exists()
        assert "Effusion" in (here / "findings.csv").read_text()
        assert "theirs" in (here / "leaderboard.csv").read_text()
