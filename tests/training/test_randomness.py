import numpy as np
import pandas as pd
from scipy import stats

from cxrbench.training.batches import Rows, SeededOrder, loader
from cxrbench.training.randomness import derive, hash_ids, uniforms

IDS = pd.Index([f"{n:08d}_000.png" for n in range(20_000)])
HASHES = hash_ids(IDS)


def test_an_image_draws_the_same_whatever_stands_beside_it():
    whole = uniforms(HASHES, 3, "view", 0, 1)
    chosen = np.random.default_rng(0).permutation(len(IDS))[:50]
    assert np.array_equal(uniforms(HASHES[chosen], 3, "view", 0, 1), whole[chosen])


def test_draws_differ_by_seed_epoch_purpose_and_image():
    base = uniforms(HASHES, 3, "view", 0, 1)
    for other in (("view", 1, 1), ("view", 0, 2), ("crop", 0, 1)):
        changed = uniforms(HASHES, 3, *other)
        assert (changed != base).mean() > 0.999
        assert abs(np.corrcoef(changed.ravel(), base.ravel())[0, 1]) < 0.02
    assert len(np.unique(base[:, 0])) > 0.99 * len(IDS)


def test_draws_are_uniform_and_independent():
    numbers = uniforms(HASHES, 4, "view", 7, 3).astype(float)
    assert numbers.min() >= 0
    assert numbers.max() < 1
    for column in numbers.T:
        assert stats.kstest(column, "uniform").pvalue > 1e-3
    off_diagonal = np.corrcoef(numbers.T)[~np.eye(4, dtype=bool)]
    assert np.abs(off_diagonal).max() < 4 / np.sqrt(len(IDS))


def test_successive_epochs_of_one_image_are_uniform():
    numbers = np.array([uniforms(HASHES[:1], 1, "view", 0, epoch)[0, 0] for epoch in range(2000)])
    assert stats.kstest(numbers, "uniform").pvalue > 1e-3
    assert abs(np.corrcoef(numbers[1:], numbers[:-1])[0, 1]) < 4 / np.sqrt(len(numbers))


def test_seeds_do_not_run_into_each_other():
    assert derive("order", 1, 12) != derive("order", 11, 2)
    assert 0 <= derive("x") < 2**63


def order_of(seed, epoch, length=100):
    order = SeededOrder(length, seed)
    order.epoch = epoch
    return list(order)


def test_each_epoch_has_its_own_order_that_only_seed_and_epoch_decide():
    assert sorted(order_of(0, 1)) == list(range(100))
    assert order_of(0, 1) == order_of(0, 1)
    assert len({tuple(order_of(seed, epoch)) for seed in (0, 1) for epoch in (1, 2)}) == 4


def rows(n, labels=True):
    ids = IDS[:n]
    pixels = np.arange(n, dtype=np.uint8).reshape(n, 1, 1).repeat(4, 1).repeat(4, 2)
    patient = np.arange(n * 3, dtype=np.float32).reshape(n, 3)
    known = np.arange(n * 2, dtype=np.float64).reshape(n, 2) if labels else None
    return Rows(ids, patient, pixels, np.arange(n)[::-1].astype(np.int64), known)


def test_a_batch_holds_what_belongs_together():
    batches = list(loader(rows(10), 4))
    assert [len(batch["row"]) for batch in batches] == [4, 4, 2]
    for batch in batches:
        for place, row in enumerate(batch["row"].tolist()):
            assert batch["patient"][place].tolist() == [3 * row, 3 * row + 1, 3 * row + 2]
            assert batch["labels"][place].tolist() == [2 * row, 2 * row + 1]
            assert batch["pixels"][place].unique().tolist() == [9 - row]  # positions are reversed


def test_training_leaves_out_an_incomplete_last_batch_and_prediction_does_not():
    order = SeededOrder(10, 0)
    order.epoch = 1
    trained = [row for batch in loader(rows(10), 4, order) for row in batch["row"].tolist()]
    assert trained == order_of(0, 1, 10)[:8]
    predicted = [row for batch in loader(rows(10, labels=False), 4) for row in batch["row"].tolist()]
    assert predicted == list(range(10))


def test_fewer_rows_than_a_batch_are_one_batch():
    assert [len(batch["row"]) for batch in loader(rows(3), 4, SeededOrder(3, 0))] == [3]
