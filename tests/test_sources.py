"""Bytes below a data root: files, members of zip files, and what is refused."""

import os
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cxrbench.errors import CxrbenchError, DamagedImageError
from cxrbench.sources import names_in, read_source, source_stamp


def write_zip(path, members, method=zipfile.ZIP_DEFLATED):
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def test_a_file_is_its_bytes(tmp_path):
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/x.png").write_bytes(b"content")
    assert read_source(tmp_path, "a/b/x.png") == b"content"
    facts = (tmp_path / "a/b/x.png").stat()
    assert source_stamp(tmp_path, "a/b/x.png") == (7, facts.st_mtime_ns)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_member_of_a_zip_file_is_its_bytes(tmp_path, method):
    members = {"images/x.png": b"one" * 100, "images/y.png": b"", "z.png": os.urandom(70_000)}
    write_zip(tmp_path / "data/Parts.ZIP", members, method)
    time = (tmp_path / "data/Parts.ZIP").stat().st_mtime_ns
    for name, content in members.items():
        assert read_source(tmp_path, f"data/Parts.ZIP/{name}") == content
        assert source_stamp(tmp_path, f"data/Parts.ZIP/{name}") == (len(content), time)


def test_a_zip_file_that_changes_is_read_anew(tmp_path):
    write_zip(tmp_path / "a.zip", {"x": b"old"})
    assert read_source(tmp_path, "a.zip/x") == b"old"
    write_zip(tmp_path / "a.zip", {"x": b"newer", "y": b""})
    assert read_source(tmp_path, "a.zip/x") == b"newer"
    assert sorted(names_in(tmp_path, "a.zip")) == ["x", "y"]


def test_many_threads_read_one_zip_file(tmp_path):
    members = {f"images/{k}.png": os.urandom(2000 + k) for k in range(200)}
    write_zip(tmp_path / "a.zip", members)
    start = threading.Barrier(4)

    def read(part):
        start.wait()
        return [read_source(tmp_path, f"a.zip/{name}") == members[name] for name in list(members)[part::4]]

    with ThreadPoolExecutor(4) as pool:
        assert all(all(found) for found in pool.map(read, range(4)))


def test_a_folder_may_be_named_like_a_zip_file(tmp_path):
    (tmp_path / "a.zip").mkdir()
    (tmp_path / "a.zip/x.png").write_bytes(b"plain")
    assert read_source(tmp_path, "a.zip/x.png") == b"plain"
    assert names_in(tmp_path, "a.zip") == ["x.png"]


def test_names_of_folders(tmp_path):
    (tmp_path / "images/deeper").mkdir(parents=True)
    (tmp_path / "images/x.png").touch()
    write_zip(tmp_path / "a.zip", {"images/": b"", "images/y.png": b"", "images/deeper/z.png": b"", "w": b""})
    assert names_in(tmp_path, "images") == ["x.png"]
    assert names_in(tmp_path, ".") == ["a.zip"]
    assert names_in(tmp_path, "a.zip/images") == ["y.png"]
    assert names_in(tmp_path, "a.zip") == ["w"]
    assert names_in(tmp_path, "nowhere") == names_in(tmp_path, "a.zip/nowhere") == []
    assert names_in(tmp_path, "images/x.png") == []


@pytest.mark.parametrize(
    "source", ["../secret", "a/../../secret", "{root}/x", "/etc/passwd", "", "a.zip/../secret"]
)
def test_a_source_stays_below_the_root(tmp_path, source):
    root = tmp_path / "root"
    (root / "a").mkdir(parents=True)
    (root / "x").touch()
    (tmp_path / "secret").touch()
    write_zip(root / "a.zip", {"../secret": b"no"})
    with pytest.raises(CxrbenchError, match="leads out of"):
        read_source(root, source.format(root=root))


def test_links_are_followed(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk/x").write_bytes(b"elsewhere")
    (tmp_path / "root").mkdir()
    (tmp_path / "root/images").symlink_to(tmp_path / "disk")
    assert read_source(tmp_path / "root", "images/x") == b"elsewhere"


@pytest.mark.parametrize("source", ["gone.png", "gone/x.png", "x/y.png", "a.zip/gone.png", "gone.zip/x.png"])
@pytest.mark.parametrize("ask", [read_source, source_stamp])
def test_what_is_missing_is_named(tmp_path, ask, source):
    (tmp_path / "x").touch()
    write_zip(tmp_path / "a.zip", {"x.png": b""})
    with pytest.raises(CxrbenchError, match=rf"The file {source} is missing in .*; put it back"):
        ask(tmp_path, source)


def test_a_folder_is_no_file(tmp_path):
    (tmp_path / "images").mkdir()
    with pytest.raises(CxrbenchError, match=r"The file images in .* cannot be read"):
        read_source(tmp_path, "images")


def test_a_zip_file_cut_short_is_named(tmp_path):
    write_zip(tmp_path / "a.zip", {"x.png": os.urandom(1000)})
    (tmp_path / "a.zip").write_bytes((tmp_path / "a.zip").read_bytes()[:500])
    for ask in (read_source, source_stamp):
        with pytest.raises(CxrbenchError, match=r"The zip file .*a\.zip is damaged .*; download it again"):
            ask(tmp_path, "a.zip/x.png")
    with pytest.raises(CxrbenchError, match="is damaged"):
        names_in(tmp_path, "a.zip")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 299), byte=st.integers(1, 255), method=st.sampled_from([0, 8]))
def test_a_damaged_member_is_read_whole_or_named(tmp_path, at, byte, method):
    """Whatever byte of the member is changed, its content comes back as it was, or one sentence."""
    content = bytes(range(100)) * 3
    write_zip(tmp_path / "a.zip", {"x.png": content}, method)
    damaged = bytearray((tmp_path / "a.zip").read_bytes())
    damaged[at % (len(damaged) - 80)] ^= byte
    (tmp_path / "b.zip").write_bytes(damaged)
    sentence, found = "", content
    try:
        found = read_source(tmp_path, "b.zip/x.png")
    except CxrbenchError as error:
        sentence = str(error)
    assert "x.png" in sentence or found == content


def test_a_damaged_member_is_a_damaged_image(tmp_path):
    write_zip(tmp_path / "a.zip", {"x.png": b"content" * 20}, zipfile.ZIP_STORED)
    damaged = (tmp_path / "a.zip").read_bytes().replace(b"contentcontent", b"contenttnetnoc", 1)
    (tmp_path / "a.zip").write_bytes(damaged)
    with pytest.raises(DamagedImageError, match=r"x\.png in .*a\.zip is damaged in its zip file"):
        read_source(tmp_path, "a.zip/x.png")


def test_a_rare_way_of_packing_is_named(tmp_path):
    write_zip(tmp_path / "a.zip", {"x.png": b"content" * 20}, zipfile.ZIP_LZMA)
    with pytest.raises(CxrbenchError, match="packed in a rare way; unpack the zip file"):
        read_source(tmp_path, "a.zip/x.png")
