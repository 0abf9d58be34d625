import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from test_loop import TASK, Faulty, figures, fit, same_but_for_times, val_probabilities

from cxrbench.losses.bce import Bce
from cxrbench.specs import Cycle

STEPS = 100 // 8
"""Of an epoch of the rows that these trainings have."""


def bce():
    return Bce().build(np.zeros((1, 2)), TASK.classes)


def untaught(logits, labels):
    """A loss that teaches nothing."""
    return logits.sum() * 0


@pytest.mark.parametrize("schedule", ["constant", "cosine", "plateau"])
def test_each_cycle_has_its_epochs_and_begins_with_its_own_rate(tmp_path, schedule):
    cycles = (Cycle(epochs=3, learning_rate=0.01), Cycle(epochs=1), Cycle(learning_rate=0.002))
    epochs = fit(
        tmp_path / "t", cycles=cycles, epochs=2, schedule=schedule, plateau_patience=0, loss=Faulty(val=0.0)
    )  # val loss is never lower than at first, so that a plateau cuts the rate after each epoch but one
    assert epochs["cycle"].tolist() == [1, 1, 1, 2, 3, 3]
    assert epochs["epoch"].tolist() == [1, 2, 3, 4, 5, 6]
    first = epochs.groupby("cycle")["learning_rate"].first()
    assert first.tolist() == pytest.approx([0.01, 1e-3, 0.002])
    within = epochs["learning_rate"][:3].tolist()
    halved = [0.01, 0.01, 0.005]
    cosine = [0.01 * (1 + np.cos(np.pi * done / 3)) / 2 for done in range(3)]
    expected = {"constant": [0.01] * 3, "cosine": cosine, "plateau": halved}
    assert within == pytest.approx(expected[schedule])


def test_each_cycle_has_a_fresh_optimizer(tmp_path):
    fit(tmp_path / "t", cycles=(Cycle(epochs=4), Cycle(epochs=1)))
    moments = load_file(tmp_path / "t" / "optimizer.safetensors")
    taken = {float(value) for name, value in moments.items() if name.endswith(".step")}
    assert taken == {STEPS}


def test_a_cycle_goes_on_from_the_weights_as_they_are_with_its_own_loss(tmp_path):
    epochs = fit(
        tmp_path / "t",
        cycles=(Cycle(epochs=2), Cycle(epochs=2)),
        cycle_losses=(bce(), untaught),
        learning_rate=0.05,
    )
    assert epochs["train_loss"][1] > 0
    assert epochs["train_loss"][2:].tolist() == [0, 0]
    # Nothing is learnt in the second cycle, so val, judged by the run's loss, stays as the first left it.
    assert epochs["val_loss"][0] != epochs["val_loss"][1]
    assert epochs["val_loss"][2:].tolist() == [epochs["val_loss"][1]] * 2


def test_the_kept_weights_are_the_best_of_all_cycles(tmp_path):
    ruinous = Cycle(epochs=2, learning_rate=30)
    epochs = fit(tmp_path / "t", cycles=(Cycle(epochs=3, learning_rate=0.01), ruinous), select="loss")
    best = int(epochs["val_loss"].idxmin())
    assert epochs["cycle"][best] == 1
    assert not epochs["best"][3:].any()
    assert figures(val_probabilities(tmp_path / "t"))["val_loss"] == pytest.approx(epochs["val_loss"][best])


def test_a_cycle_that_gets_no_better_ends_and_the_next_begins(tmp_path):
    cycles = (Cycle(epochs=30), Cycle(epochs=1), Cycle(epochs=30))
    epochs = fit(
        tmp_path / "t", cycles=cycles, cycle_losses=(untaught,) * 3, early_stopping=2, schedule="constant"
    )
    # The first epoch is the best; none after it can be better.
    assert epochs["cycle"].tolist() == [1, 1, 1, 2, 3, 3]


CYCLES = (Cycle(epochs=2, learning_rate=0.02), Cycle(epochs=2), Cycle(epochs=1))


@pytest.mark.parametrize(
    ("cut", "settings"),
    [
        (2 * STEPS + 3, {"schedule": "cosine"}),
        (STEPS + 3, {"schedule": "plateau", "plateau_patience": 0, "ema": 0.9}),
        (5 * STEPS - 1, {"schedule": "plateau", "plateau_patience": 0, "ema": 0.9}),
    ],
)
def test_interrupted_in_any_cycle_it_ends_like_an_uninterrupted_one(tmp_path, cut, settings):
    fit(tmp_path / "whole", cycles=CYCLES, loss=Faulty(), **settings)
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path / "cut", cycles=CYCLES, loss=Faulty(at=cut, error=KeyboardInterrupt()), **settings)
    assert len(pd.read_csv(tmp_path / "cut" / "epochs.csv")) == cut // STEPS
    fit(tmp_path / "cut", cycles=CYCLES, loss=Faulty(), **settings)
    same_but_for_times(tmp_path / "whole", tmp_path / "cut")


def test_killed_after_its_last_epoch_a_training_trains_no_more(tmp_path):
    whole = fit(tmp_path / "t", cycles=CYCLES)
    weights = (tmp_path / "t" / "weights.safetensors").read_bytes()
    again = fit(tmp_path / "t", cycles=CYCLES, loss=Faulty(at=1, error=AssertionError("it trains")))
    assert again.equals(whole)
    assert (tmp_path / "t" / "weights.safetensors").read_bytes() == weights


class Recording(Faulty):
    """BCE that keeps the network's weights as each step finds them."""

    def __init__(self):
        super().__init__()
        self.network, self.seen = None, []

    def __call__(self, logits, labels):
        if torch.is_grad_enabled():
            self.seen.append({name: t.detach().clone() for name, t in self.network.state_dict().items()})
        return super().__call__(logits, labels)


def test_what_is_validated_and_kept_is_the_moving_average_of_the_weights(tmp_path):
    decay, loss = 0.9, Recording()
    epochs = fit(tmp_path / "t", loss=loss, ema=decay, epochs=2, learning_rate=0.005, select="loss")
    (state,) = (tmp_path / "t").glob("state-*")
    passed = [*loss.seen[1:], load_file(state / "weights.safetensors")]
    average = load_file(state / "average.safetensors")
    for name, value in average.items():
        expected = passed[0][name]
        for weights in passed[1:]:
            expected = decay * expected + (1 - decay) * weights[name]
        assert torch.allclose(value, expected, atol=1e-6), name
    assert epochs["best"].tolist() == [True, True]
    kept = load_file(tmp_path / "t" / "weights.safetensors")
    assert all(torch.equal(kept[name], average[name]) for name in average)
    loss_on_val = figures(val_probabilities(tmp_path / "t"))["val_loss"]
    assert loss_on_val == pytest.approx(epochs["val_loss"][1], abs=1e-5)
