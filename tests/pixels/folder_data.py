"""A data set of PNGs that notes each decoding, and a process of its own that prepares its images::

python folder_data.py ROOT RESULTS SECONDS_A_DECODING
"""

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from cxrbench.collection import BOX_COLUMNS, MANIFEST_COLUMNS, Collection
from cxrbench.data import Data
from cxrbench.decoding import grey_image
from cxrbench.pixels.cache import ImageCache
from cxrbench.pixels.identities import Identities
from cxrbench.pixels.images import Images
from cxrbench.preprocessing.none import NoPreprocessing
from cxrbench.reporter import Reporter
from cxrbench.store import Store
from cxrbench.task import Task

SIDE = 16
PATIENTS = ("1", "0", "3", "test")
"""One of each role."""
PREPARED = {"dataset": "folder", "preprocessing": "none"}


@dataclass(frozen=True)
class Folder:
    """All PNGs of a folder; ``log`` gets a line for each image that is decoded."""

    log: Path
    seconds: float = 0.0

    def recommend(self):
        return {}

    def read(self, root):
        names = sorted(path.name for path in root.glob("*.png"))
        index = pd.Index(names, name="image_id", dtype="str")
        manifest = pd.DataFrame(None, index, MANIFEST_COLUMNS)
        manifest["patient_id"] = [PATIENTS[number % len(PATIENTS)] for number in range(len(names))]
        manifest["official"] = ["test" if p == "test" else "train_val" for p in manifest["patient_id"]]
        manifest["source"] = names
        return Collection(
            name="folder",
            task=Task("multilabel", ("Mass",)),
            manifest=manifest,
            labels=pd.DataFrame(0, index, ["Mass"], np.float32),
            boxes=pd.DataFrame(columns=list(BOX_COLUMNS)),
            label_version="1",
            listed={"train_val": len(names), "test": 0},
        )

    def pixels(self, content, image_id, side):
        time.sleep(self.seconds)
        image = grey_image(content, image_id)
        with self.log.open("a") as file:
            file.write(image_id + "\n")
        return image


def images_of(root, results, *, seconds=0.0, preprocessing=None, prepared=PREPARED, side=SIDE, quiet=True):
    reporter = Reporter(quiet=quiet)
    store = Store(results, reporter)
    data = Data(Folder(results.parent / "decoded.log", seconds), {"name": "folder"}, root, store)
    cache = ImageCache.of(store, prepared, side)
    return Images(data, Identities(data, store), preprocessing or NoPreprocessing(), cache, reporter)


if __name__ == "__main__":
    folder, kept, pause = sys.argv[1:]
    made = images_of(Path(folder), Path(kept), seconds=float(pause), quiet=False)
    made.prepare()
    print(json.dumps({"rows": len(made.cache.rows())}))
