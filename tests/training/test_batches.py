"""Rows as a sampler wants them, and as batches fetch them."""

import numpy as np
import pandas as pd
import torch

from cxrbench.interfaces import SamplePlan
from cxrbench.samplers.none import NoSampler
from cxrbench.training.batches import Rows, SeededOrder, loader

IDS = pd.Index(["a", "b", "c", "d"], dtype="str")


def rows():
    """Four images that stand in another order among six."""
    pixels = np.random.default_rng(0).integers(0, 256, (6, 5, 5), dtype=np.uint8)
    labels = np.arange(8.0).reshape(4, 2)
    return Rows(IDS, np.arange(12, dtype=np.float32).reshape(4, 3), pixels, np.array([5, 0, 3, 1]), labels)


def plan(*each):
    chosen, mirrored = zip(*each, strict=True)
    return SamplePlan(np.array(chosen), np.array(mirrored))


PLAN = plan((2, False), (0, True), (2, True), (0, False), (2, False))


def test_planned_rows_carry_all_that_belongs_to_their_image():
    whole, planned = rows(), rows().planned(PLAN)
    assert list(planned.image_ids) == ["c", "a", "c", "a", "c"]
    (batch,) = loader(planned, 8)
    assert batch["row"].tolist() == [0, 1, 2, 3, 4]
    for row, image in enumerate(PLAN.rows):
        pixels = torch.from_numpy(whole.pixels[whole.positions[image]])
        seen = pixels.flip(-1) if PLAN.mirrored[row] else pixels
        assert torch.equal(batch["pixels"][row, 0], seen)
        assert batch["labels"][row].tolist() == whole.labels[image].tolist()
        assert batch["patient"][row].tolist() == whole.patient[image].tolist()


def test_mirroring_leaves_the_stored_pixels_alone():
    planned = rows().planned(PLAN)
    before = planned.pixels.copy()
    list(loader(planned, 2, SeededOrder(len(planned), 0)))
    assert np.array_equal(planned.pixels, before)


def test_copies_of_an_image_differ_in_their_randomness_and_first_ones_do_not():
    whole, planned = rows().id_hashes(), rows().planned(PLAN).id_hashes()
    assert planned[[0, 1]].tolist() == whole[[2, 0]].tolist()
    assert len(set(planned)) == 5


def test_the_plan_of_every_image_once_changes_nothing():
    whole = rows()
    every = whole.planned(NoSampler().balance(whole.labels, ("A", "B"), np.zeros(4)))
    assert np.array_equal(every.id_hashes(), whole.id_hashes())
    for one, other in zip(loader(whole, 3), loader(every, 3), strict=True):
        assert all(torch.equal(one[name], other[name]) for name in one)


def test_planned_rows_may_have_neither_pixels_nor_labels():
    bare = Rows(IDS, np.zeros((4, 3), np.float32), None, np.zeros(4, np.int64), None).planned(PLAN)
    (batch,) = loader(bare, 8)
    assert set(batch) == {"row", "patient"}
