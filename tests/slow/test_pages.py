"""Every page of the documentation, its command lines run from top to bottom as they are typed.

Each page has a desk of its own (``tests/desk.py``): what it takes for granted is there, what it shows as a
file is written, and what its lines leave is there for the lines behind them. Nothing is left out but what the
tables below name; ``tests/docs/test_snippets.py`` reads those lines all the same.
"""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

import click
import pytest
from conftest import invoke
from desk import Desk, make_desk
from snippets import COMMANDS, PAGES, PAGES_OF_PLUGINS, Line, Page, lines, parsed

pytestmark = pytest.mark.slow

_SMALLER = (
    (r"run (?!.*--backbone xrv/)", "--smoke"),  # sixteen images of each role, one epoch
    (r"run (?!.*--(backbone|recipe|config|epochs))", "--backbone timm/test_resnet"),
    (r"run .*--backbone xrv/", "--set images_per_role=16 --set min_positives=0"),  # nothing is trained
    (r"run .*--runtimes", "--dry-run"),  # hundreds of calls by each of them
    (r"run .*suite\.toml", "--calibrator none --thresholds fixed --seed 0"),  # 216 plans take a minute
    (r"tune ", "--trials 1 --budget 1 --set images_per_role=16 --set training.batch_size=8"),
    (r"latency ", "--precision fp32 --batch-size 1 --samples 30 --seconds 0.1 --no-split"),
    (r"latency (?!.*openvino)", "--runtimes eager"),  # each runtime has tests of its own
    (r"latency .*openvino", "--runtimes openvino"),
    (r"ensemble ", "--min-positives 0 --folds 2"),  # of sixteen images
    (r"ensemble (?!.*pareto)", "--search genetic:population=10,generations=3,restarts=1"),
)
"""What is typed behind lines that begin so, where they would take minutes or more data."""

_NOT_RUN = (
    r".*--device cuda",  # 'make test-gpu'
    r"plugins check |run .*spec90",  # the plugin, installed: tests/slow/test_plugin_tutorial.py
    r"doctor",  # what is wrong with this machine is not the page's affair: tests/doctor
)
"""Lines that are only read."""

_STANDS_FOR = {
    "imagenet": "none",  # there may be no network
    "DIR": "~/ChestX-ray14",
    "FILES": "scans",
    "RECIPE": "scratch_cnn_tuned",
    "--recipe NAME": "fused_cnn",
    "--html FILE": "board.html",
    "--csv FILE": "table.csv",
    "--labels FILE": "labels.csv",
    "--weights FILE": "weights.safetensors",
    "score FILE": "test_preds.csv",
    "loss NAME": "focal",
    "runtime NAME": "eager",
    "new NAME": "my-own",
}
"""Words in capitals, some of them after the word before them; RUN and ID are those of the desk."""

_RUN = re.compile(r"\bRUN\b|[\w.-]+-s\d-(?:1a2b3c4d|5e6f7a8b)|phantom-densenet_fpn(?=\s|$)")
_OF_FPN = re.compile(r"P3|denseblock2|--patients")
"""What only the first run's network has; elsewhere it comes last, being the slowest."""

_CODES = {"data audit": (0, 1)}
"""Exit codes other than 0 that pages speak of."""

_LEFT = re.compile(r" --(?:out|output|html|csv|md|tex|heatmaps|write-exclude) (\S+)")
"""Files and folders that a line says it writes. (A leaderboard has figures of systems above chance alone.)"""

_LEAST = {".txt": -1}
"""Bytes that files have more of: 100, but lists of what is damaged, which is nothing."""


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    with pytest.MonkeyPatch.context() as patch:
        root = tmp_path_factory.mktemp("desk")
        patch.delenv("CXRBENCH_RESULTS", raising=False)
        patch.setenv("XDG_CACHE_HOME", str(root / "cache"))
        return make_desk(root)


def is_run(line: Line) -> bool:
    """Whether a line is more than the name of a command, and nothing stands against it."""
    if not line.is_ours or any(re.match(pattern, " ".join(line.words)) for pattern in _NOT_RUN):
        return False
    try:
        return parsed(line)[1] is not None
    except click.exceptions.Exit:
        return False
    except (click.MissingParameter, click.BadOptionUsage):
        if line.inline:
            return False  # a sentence may leave out what a command needs
        raise


def typed(line: Line, desk: Desk) -> list[str]:
    """The words of a line as its reader would type them here."""
    words, before = [], ""
    fpn, *others = desk.runs
    runs = iter([fpn, *others] if _OF_FPN.search(line.text) else [*others, fpn])
    images = iter(desk.images)
    for word in line.words:
        found = _RUN.sub(lambda _: next(runs), word)
        found = re.sub(r"\bID\b", lambda _: next(images), found)
        found = _STANDS_FOR.get(f"{before} {word}", _STANDS_FOR.get(word, found))
        words.append(found.replace("~/", f"{desk.home}/"))
        before = word
    for pattern, more in _SMALLER:
        if re.match(pattern, " ".join(line.words)):
            words += more.split()
    # What stands in a sentence, or below the options of a command, is planned.
    planned = words[0] == "run" and (line.inline or line.page is COMMANDS)
    return [*words, "--dry-run"] if planned else words


_DONE: set[tuple[str, ...]] = set()
"""Lines on the desk's runs, and examples of single commands: what they do depends on nothing before them, and
several pages show them, so that they are run once."""


def is_done(line: Line, words: list[str]) -> bool:
    """Whether the same was typed on a page before, and would do the same again."""
    alone = line.page is COMMANDS or _RUN.search(line.text)
    leaves = line.output or _LEFT.search(line.text)
    again = alone and not leaves and tuple(words) in _DONE
    _DONE.add(tuple(words))
    return bool(again)


def run_whole(page: Page, desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = desk.laid_for(page, tmp_path / "here")
    monkeypatch.chdir(here.here)
    monkeypatch.setenv("HOME", str(here.home))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("CXRBENCH_RESULTS", raising=False)
    for line in filter(is_run, lines(page)):
        words = typed(line, here)
        if is_done(line, words):
            continue
        call = " ".join(words)
        try:
            answer = invoke(*words)
        except Exception as error:
            error.add_note(f"{line}\ntyped here: cxrbench {call}")
            raise
        told = f"{line}\ntyped here: cxrbench {call}\n{answer.stdout[-2000:]}\n{answer.stderr[-3000:]}"
        assert answer.exit_code in _CODES.get(" ".join(line.words[:2]), (0,)), told
        assert answer.stdout, told
        if line.output:
            Path(line.output).expanduser().parent.mkdir(parents=True, exist_ok=True)
            Path(line.output).expanduser().write_text(answer.stdout, encoding="utf-8")
        for name in _LEFT.findall(f" {call}"):
            assert Path(name).is_dir() or Path(name).stat().st_size > _LEAST.get(Path(name).suffix, 100), told


@pytest.mark.parametrize("page", [*PAGES, COMMANDS], ids=str)
def test_a_page_is_run_from_top_to_bottom(
    page: Page, desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_whole(page, desk, tmp_path, monkeypatch)


@pytest.mark.parametrize("page", PAGES_OF_PLUGINS, ids=str)
def test_what_a_plugin_shows_is_run(
    page: Page, desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if find_spec(page.folder.name.replace("-", "_")) is None:
        pytest.skip(f"{page.folder.name} is not installed here; 'make test-plugins' runs this where it is")
    run_whole(page, desk, tmp_path, monkeypatch)
