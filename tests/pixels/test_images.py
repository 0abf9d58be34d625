"""The image cache through what decodes: a data set that notes each decoding, and real processes."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import tracemalloc
from collections import Counter

import folder_data
import numpy as np
import pytest
import torch
from conftest import PHANTOM, invoke, job_of, subprocess_environment
from folder_data import SIDE, images_of
from PIL import Image

from cxrbench.errors import CxrbenchError
from cxrbench.grid import cells
from cxrbench.plugins import installed
from cxrbench.reporter import Reporter
from cxrbench.store import Store
from cxrbench.workflow import Workflow

HEIGHT, WIDTH = 40, 50


@pytest.fixture
def root(tmp_path):
    """Twelve different PNGs."""
    folder = tmp_path / "films"
    write(folder, range(12))
    return folder


@pytest.fixture
def results(tmp_path):
    return tmp_path / "results"


def write(folder, numbers, *, seed=0):
    folder.mkdir(exist_ok=True)
    for number in numbers:
        pixels = np.random.default_rng([seed, number]).integers(0, 256, (HEIGHT, WIDTH), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:03d}.png")


def decoded(results):
    """How often each image was decoded so far."""
    log = results.parent / "decoded.log"
    return Counter(log.read_text().split() if log.exists() else ())


def stored(images):
    """What networks read, by image id."""
    ids = images.identities.index
    return dict(zip(ids, images.open()[images.rows(ids)], strict=True))


def assert_right(images, root):
    """Every image is what Pillow makes of its file."""
    found = stored(images)
    assert set(found) == {path.name for path in root.glob("*.png")}
    for name, pixels in found.items():
        whole = Image.open(root / name).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
        np.testing.assert_array_equal(pixels, np.asarray(whole))


def process(root, results, seconds):
    return subprocess.Popen(
        [sys.executable, folder_data.__file__, root, results, str(seconds)],
        env=subprocess_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def journal(results):
    (path,) = results.glob("cache/*/index.journal")
    return path


def pixels_file(results):
    return journal(results).with_name("pixels.u8")


def verify(results):
    answer = invoke("verify", "--results", results, "--json")
    return answer.exit_code, answer.json["problems"]


def wait_until(true, process):
    deadline = time.monotonic() + 60
    while not true():
        assert process.poll() is None, "the process ended before"
        assert time.monotonic() < deadline
        time.sleep(0.005)


# What is decoded


def test_each_image_is_decoded_once_and_found_again(root, results):
    assert_right(images_of(root, results), root)
    again = images_of(root, results)
    assert again.unread == again.missing_bytes == 0
    assert_right(again, root)
    assert decoded(results) == dict.fromkeys((path.name for path in root.iterdir()), 1)


def test_before_anything_is_read_it_says_how_much_there_is_to_do(root, results):
    images = images_of(root, results)
    assert (images.unread, images.missing_bytes) == (12, 12 * SIDE * SIDE)
    assert not results.exists()


def test_added_and_changed_images_decode_only_themselves(root, results):
    images_of(root, results).prepare()
    write(root, [12, 13])
    write(root, [5], seed=1)
    images = images_of(root, results)
    assert (images.unread, images.missing_bytes) == (3, 3 * SIDE * SIDE)
    assert_right(images, root)
    assert decoded(results) == {f"{n:03d}.png": 2 if n == 5 else 1 for n in range(14)}


def test_touched_copied_and_renamed_files_and_subsets_share_rows(root, results, tmp_path):
    images_of(root, results).prepare()
    os.utime(root / "003.png")
    assert images_of(root, results).unread == 1
    assert_right(images_of(root, results), root)
    other = tmp_path / "elsewhere"
    shutil.copytree(root, other)
    for number in range(5):
        (other / f"{number:03d}.png").unlink()
    (other / "007.png").rename(other / "renamed.png")
    shutil.copy(other / "008.png", other / "twin.png")
    assert_right(images_of(other, results), other)
    assert set(decoded(results).values()) == {1}
    assert pixels_file(results).stat().st_size == 12 * SIDE * SIDE


def test_another_preprocessing_reads_the_whole_image_into_rows_of_its_own(root, results):
    class FromTheLeft:
        def apply(self, image):
            assert image.shape == (HEIGHT, WIDTH)
            return np.maximum.accumulate(image, axis=1)

    plain = images_of(root, results)
    plain.prepare()
    images = images_of(
        root, results, preprocessing=FromTheLeft(), prepared={"preprocessing": "from the left"}
    )
    assert images.unread == 0
    for name, pixels in stored(images).items():
        swept = np.maximum.accumulate(np.asarray(Image.open(root / name)), axis=1)
        expected = Image.fromarray(swept).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
        np.testing.assert_array_equal(pixels, np.asarray(expected))
    assert_right(plain, root)
    assert images.identities.equals(plain.identities)


def test_another_preprocessing_is_another_network(tmp_path, plugin):
    plugin("""
from cxrbench.hookspecs import hookimpl

class Negative:
    def apply(self, image):
        return 255 - image

@hookimpl
def register_preprocessing(register):
    register("negative", "THIS:Negative", version="1", summary="Black is white")
""")
    plain, negative = (
        job_of(tmp_path, backbone="timm/test_resnet", image_size=32, preprocessing=name)
        for name in ("none", "negative")
    )
    assert plain.steps.train.id != negative.steps.train.id
    ids = plain.images.identities.index
    one, other = (job.images.open()[job.images.rows(ids)] for job in (plain, negative))
    np.testing.assert_array_equal(other, 255 - one)


OWN_FILMS = """
from pathlib import Path
from folder_data import Folder
from cxrbench.hookspecs import hookimpl

class Films(Folder):
    def __init__(self, half: bool = False):
        super().__init__(Path("decoded.log"))

@hookimpl
def register_datasets(register):
    register("films", "THIS:Films", version="VERSION", summary="A folder of films")
"""


def test_who_decodes_and_its_version_are_part_of_what_networks_saw(root, tmp_path, plugin, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def job(version, **given):
        plugin(OWN_FILMS.replace("VERSION", version))
        registry, reporter = installed().registry, Reporter(quiet=True)
        spec = {"backbone": "timm/test_resnet", "image_size": 32, "training": {"precision": "fp32"}, **given}
        (spec,) = cells(spec, {}, [], registry)
        store = Store(tmp_path / "results", reporter)
        roots = {str(spec.test_dataset): root}
        return Workflow(store, registry, reporter, torch.device("cpu"), root, roots).job(spec).steps

    def external(version):
        return job(version, dataset=PHANTOM, test_dataset="films", sampler="none")

    first, again = job("1", dataset="films"), job("1", dataset="films:half=true")
    assert first.train.id == again.train.id
    assert first.predictions["test"].id == again.predictions["test"].id
    other = external("1")
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    newer = job("2", dataset="films")
    assert newer.train.id != first.train.id
    renewed = external("2")
    assert renewed.train.id == other.train.id
    assert renewed.predictions["test"].id != other.predictions["test"].id


def test_what_networks_saw_is_the_same_at_another_side(root, results):
    small, large = images_of(root, results), images_of(root, results, side=2 * SIDE)
    assert small.seen("train") == large.seen("train")
    assert small.seen("train") != small.seen("val")
    assert small.seen("train") != images_of(root, results, prepared={"preprocessing": "x"}).seen("train")


def test_a_changed_file_changes_what_networks_saw_of_its_role_alone(root, results):
    roles = ("train", "val", "tune", "test")
    before = [images_of(root, results).seen(role) for role in roles]
    write(root, [0], seed=1)
    after = [images_of(root, results).seen(role) for role in roles]
    assert sum(one != other for one, other in zip(before, after, strict=True)) == 1


# Crashes, other processes, damage


def test_rows_that_another_process_freed_and_made_anew_are_read_again(root, results):
    images = images_of(root, results)
    assert_right(images, root)
    assert invoke("store", "gc", "--images", "--results", results).exit_code == 0
    # Other images first: the same rows hold these now.
    other = results.parent / "other"
    write(other, range(90, 102))
    images_of(other, results).prepare()
    images_of(root, results).prepare()
    assert_right(images, root)
    assert verify(results) == (0, [])


def test_a_run_that_began_while_its_images_were_about_to_be_freed_keeps_them(root, results):
    images = images_of(root, results)
    images.prepare()
    with Store(results, Reporter(quiet=True)).needing([images.cache.id]):
        assert not images.cache.free()
        assert_right(images, root)
    assert images.cache.free()
    assert not images.cache.folder.exists()


def test_killed_half_way_it_goes_on_and_decodes_no_kept_image_again(root, results):
    write(root, range(80))
    started = process(root, results, 0.1)
    try:
        wait_until(lambda: list(results.glob("cache/*/index.journal")), started)
    finally:
        started.send_signal(signal.SIGKILL)
        started.communicate()
    kept = set(images_of(root, results).cache.rows())
    assert 0 < len(kept) < 80, "it was killed too early or too late to show anything"
    assert verify(results) == (0, [])
    before = decoded(results)
    images = images_of(root, results)
    assert_right(images, root)
    again = decoded(results) - before
    assert len(again) == 80 - len(kept)
    assert set(again.values()) == {1}
    names = images.identities[images.identities.isin(kept)].index
    assert not set(names) & set(again)
    assert verify(results) == (0, [])


def test_two_processes_at_once_decode_each_image_once(root, results):
    write(root, range(40))
    both = [process(root, results, 0.02) for _ in range(2)]
    for one in both:
        answer, errors = one.communicate(timeout=60)
        assert one.returncode == 0, errors
        assert json.loads(answer) == {"rows": 40}
    assert decoded(results) == {f"{n:03d}.png": 1 for n in range(40)}
    assert_right(images_of(root, results), root)
    assert verify(results) == (0, [])


def test_a_second_process_says_that_it_waits_and_then_finds_the_rows(root, results):
    mine = images_of(root, results)
    with mine.cache.writing():
        other = process(root, results, 0)
        said = other.stderr.readline()
    assert said == f"another process works on {mine.cache.id}; waiting for it\n"
    assert json.loads(other.communicate(timeout=60)[0]) == {"rows": 12}
    mine.prepare()
    assert set(decoded(results).values()) == {1}


def test_garbage_behind_a_crash_is_not_believed(root, results):
    images_of(root, results).prepare()
    with pixels_file(results).open("ab") as file:
        file.write(b"\x55" * (2 * SIDE * SIDE + 7))
    with journal(results).open("ab") as file:
        file.write(b'00000000 [12, "' + b"0" * 64 + b'", 0]\n\xff\x00\n[13')
    assert verify(results) == (0, [])
    write(root, [12, 13])
    assert_right(images_of(root, results), root)
    assert set(decoded(results).values()) == {1}
    assert verify(results) == (0, [])


def test_a_torn_line_costs_its_image_alone(root, results):
    images_of(root, results).prepare()
    journal(results).write_bytes(journal(results).read_bytes()[:-9])
    assert_right(images_of(root, results), root)
    assert sorted(decoded(results).values()) == [1] * 11 + [2]
    assert verify(results) == (0, [])


def test_rows_that_were_cut_off_are_missed_and_made_again(root, results):
    images_of(root, results).prepare()
    os.truncate(pixels_file(results), 9 * SIDE * SIDE + 5)
    code, problems = verify(results)
    assert code == 1
    assert len(problems) == 3
    assert all("missing" in problem for problem in problems)
    # The file grows again beyond them, one image at a time.
    for number in (12, 13):
        write(root, [number])
        assert_right(images_of(root, results), root)
    assert sorted(decoded(results).values()) == [1] * 11 + [2] * 3
    assert verify(results) == (0, [])


def test_verify_finds_a_flipped_byte(root, results):
    images = images_of(root, results)
    images.prepare()
    content = bytearray(pixels_file(results).read_bytes())
    content[4 * SIDE * SIDE + 33] ^= 1
    pixels_file(results).write_bytes(content)
    code, problems = verify(results)
    assert code == 1
    (identity,) = (id_ for id_, row in images.cache.rows().items() if row == 4)
    assert problems == [f"{images.cache.id}: row 4 (image {identity[:12]}) has changed since it was written"]


# What cannot be done


def test_unreadable_images_are_told_together_and_the_others_kept(root, results):
    for name, content in (("001.png", b""), ("003.png", b"no image"), ("008.png", b"\x89PNG\r\n\x1a\n")):
        (root / name).write_bytes(content)
    (root / "010.png").write_bytes((root / "010.png").read_bytes()[:300])
    with pytest.raises(CxrbenchError) as raised:
        images_of(root, results).prepare()
    told = str(raised.value)
    assert told.startswith("4 images cannot be read (001.png has zero bytes; 003.png is not an image")
    assert "008.png" in told
    assert "010.png" not in told
    assert told.endswith("run 'cxrbench data audit' for all of them, or leave them out with --exclude FILE.")
    assert decoded(results) == {f"{n:03d}.png": 1 for n in (0, 2, 4, 5, 6, 7, 9, 11)}
    write(root, (1, 3, 8, 10))
    assert_right(images_of(root, results), root)
    assert set(decoded(results).values()) == {1}


def test_a_file_that_went_away_is_told_like_an_unreadable_one(root, results):
    images = images_of(root, results)
    (root / "002.png").unlink()
    with pytest.raises(CxrbenchError, match=r"^One image cannot be read \(The file 002\.png is missing"):
        images.prepare()
    assert len(images.cache.rows()) == 11


def test_a_disk_that_is_too_small_is_refused_before_anything_is_decoded(root, results):
    images = images_of(root, results, side=10**6)
    with pytest.raises(CxrbenchError, match=r"12 images at 1000000 px need 1\.2e\+04 GB in .* GB are free"):
        images.prepare()
    assert not decoded(results)


def test_a_disk_that_is_full_does_not_stop_a_moved_folder_whose_images_are_stored(root, results, monkeypatch):
    images_of(root, results).prepare()
    moved = root.rename(root.with_name("moved"))
    nothing = shutil.disk_usage(results)._replace(free=0)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: nothing)
    assert_right(images_of(moved, results), moved)
    assert set(decoded(results).values()) == {1}
    write(moved, [12])
    with pytest.raises(CxrbenchError, match="1 images at 16 px need"):
        images_of(moved, results).prepare()


def test_memory_does_not_grow_with_the_number_of_images(root, results):
    class Large:
        """Each image becomes a megabyte; all together would be 400."""

        def apply(self, image):
            return np.full((1000, 1000), image[0, 0], dtype=np.uint8)

    write(root, range(400))
    images = images_of(root, results, preprocessing=Large(), side=1000)
    tracemalloc.start()
    images.prepare()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100e6
    assert pixels_file(results).stat().st_size == 400e6
