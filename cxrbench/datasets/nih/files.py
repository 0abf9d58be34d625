"""Where the files of NIH ChestX-ray14 lie: as NIH publishes them, as on Kaggle, as on Hugging Face."""

from __future__ import annotations

from pathlib import Path

from cxrbench.errors import CxrbenchError, UsageError
from cxrbench.sources import names_in

OFFICIAL_LISTS = {"train_val": "train_val_list.txt", "test": "test_list.txt"}
LABEL_TABLES = "Data_Entry_2017*.csv"
BOX_TABLE = "BBox_List_2017.csv"

LAYOUT = (
    f"--data-root is the folder with {LABEL_TABLES}, {' and '.join(OFFICIAL_LISTS.values())} (there or in "
    "data/), and images/, images_001/ to images_012/, or images_001.zip to images_012.zip"
)

_PARTS = tuple(f"images_{part:03d}" for part in range(1, 13))
_IMAGE_FOLDERS = tuple(
    f"{base}{folder}"
    for base in ("", "data/")
    for folder in (
        "images",
        *(f"{part}/images" for part in _PARTS),
        # Zip files of the Hugging Face copy, each with images/ in it: unpacked where they lie, each into a
        # folder of its own, or not at all.
        "images/images",
        *(f"images/{part}/images" for part in _PARTS),
        *(f"images/{part}.zip/images" for part in _PARTS),
        *(f"{part}.zip/images" for part in _PARTS),
    )
)


def require_root(root: Path | None) -> Path:
    """The data root, refused where it is not given or not there."""
    if root is None:
        raise UsageError(f"The data set nih needs --data-root DIR; {LAYOUT}.")
    if not root.is_dir():
        raise UsageError(f"There is no folder {root}; {LAYOUT}.")
    return root


def label_table(root: Path) -> Path:
    """The one label table, in the root or in ``data/``; the official lists and the boxes lie beside it."""
    paths = sorted(root.glob(LABEL_TABLES)) or sorted((root / "data").glob(LABEL_TABLES))
    if not paths:
        raise CxrbenchError(f"{LABEL_TABLES} is missing in {root}; {LAYOUT}.")
    if len(paths) > 1:
        names = " and ".join(path.name for path in paths)
        raise CxrbenchError(
            f"{paths[0].parent} holds {names}, whose labels differ; leave only one of them there."
        )
    return paths[0]


def image_sources(root: Path) -> dict[str, str]:
    """The source of each PNG by image id; the first place wins where several hold the same."""
    sources: dict[str, str] = {}
    for folder in _IMAGE_FOLDERS:
        for name in names_in(root, folder):
            if name.endswith(".png"):
                sources.setdefault(name, f"{folder}/{name}")
    return sources
