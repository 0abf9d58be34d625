"""Rows of arrays in .npz files: NumPy's own reading of them is the oracle."""

import contextlib
import os
import zipfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cxrbench.errors import CxrbenchError, DamagedImageError
from cxrbench.sources import read_source, read_start, source_stamp

SAVE = {"stored": np.savez, "packed": np.savez_compressed}


def stacks(seed=0):
    draw = np.random.default_rng(seed)
    return {
        "train_images": draw.integers(0, 256, (300, 28, 28), dtype=np.uint8),
        "val_images": draw.integers(0, 256, (7, 5, 3), dtype=np.uint16),
    }


@pytest.mark.parametrize("way", SAVE)
def test_a_row_is_its_bytes_in_any_order(tmp_path, way):
    SAVE[way](tmp_path / "x.npz", **stacks())
    time = (tmp_path / "x.npz").stat().st_mtime_ns
    rows = [("train_images", row) for row in (0, 1, 299, 17, 18, 0)] + [
        ("val_images", 6),
        ("train_images", 2),
    ]
    for name, row in rows:
        source = f"x.npz/{name}/{row}"
        expected = stacks()[name][row].tobytes()
        assert read_source(tmp_path, source) == expected
        assert read_start(tmp_path, source, 9) == expected[:9]
        assert source_stamp(tmp_path, source) == (len(expected), time)


def test_threads_read_at_once(tmp_path):
    np.savez_compressed(tmp_path / "x.npz", **stacks())
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda n: read_source(tmp_path, f"x.npz/train_images/{n}"), range(300)))
    assert found == [image.tobytes() for image in stacks()["train_images"]]


def test_a_file_that_changes_is_read_anew(tmp_path):
    for seed in (0, 1):
        np.savez_compressed(tmp_path / "x.npz", **stacks(seed))
        os.utime(tmp_path / "x.npz", ns=(seed, seed))
        assert read_source(tmp_path, "x.npz/train_images/3") == stacks(seed)["train_images"][3].tobytes()


@pytest.mark.parametrize("row", ["300", "-1", "x", "1.0", "", "²"])
def test_what_is_no_row_is_missing(tmp_path, row):
    np.savez(tmp_path / "x.npz", **stacks())
    for source in (f"x.npz/train_images/{row}", "x.npz/no_such_array/0", "none.npz/train_images/0"):
        with pytest.raises(CxrbenchError, match="is missing in"):
            read_source(tmp_path, source)


def test_nothing_is_unpickled(tmp_path):
    np.savez(tmp_path / "x.npz", images=np.array([{"a": 1}, None], dtype=object))
    with pytest.raises(CxrbenchError, match="not one of rows of numbers"):
        read_source(tmp_path, "x.npz/images/0")


def test_what_is_no_archive_is_refused(tmp_path):
    (tmp_path / "x.npz").write_bytes(b"no archive")
    with pytest.raises(CxrbenchError, match="download it again"):
        read_source(tmp_path, "x.npz/images/0")
    with zipfile.ZipFile(tmp_path / "y.npz", "w") as archive:
        archive.writestr("images.npy", b"no array")
    with pytest.raises(CxrbenchError, match="download it again"):
        read_source(tmp_path, "y.npz/images/0")


def test_an_array_that_is_cut_short_is_damaged(tmp_path):
    np.savez(tmp_path / "whole.npz", images=stacks()["train_images"])
    with zipfile.ZipFile(tmp_path / "whole.npz") as whole, zipfile.ZipFile(tmp_path / "x.npz", "w") as cut:
        cut.writestr("images.npy", whole.read("images.npy")[: 128 + 784 * 10 + 5])
    assert read_source(tmp_path, "x.npz/images/9") == stacks()["train_images"][9].tobytes()
    for row in (10, 200):
        with pytest.raises(DamagedImageError):
            read_source(tmp_path, f"x.npz/images/{row}")


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(at=st.integers(0, 4000), byte=st.integers(0, 255))
def test_a_damaged_archive_raises_what_is_said(tmp_path, at, byte):
    np.savez_compressed(tmp_path / "x.npz", images=stacks()["train_images"][:5])
    content = bytearray((tmp_path / "x.npz").read_bytes())
    content[at % len(content)] = byte
    (tmp_path / "x.npz").write_bytes(content)
    with contextlib.suppress(CxrbenchError):
        read_source(tmp_path, "x.npz/images/4")
