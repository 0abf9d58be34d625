import pytest
import torch

from cxrbench.training.ema import average_of


def test_statistics_of_batch_normalisation_are_averaged_like_weights():
    network = torch.nn.BatchNorm1d(1)
    average = average_of(network, 0.75)
    for mean in (8.0, 4.0, 0.0):
        network.running_mean.fill_(mean)
        average.update_parameters(network)
    # 8, then 8 - (8 - 4) / 4 = 7, then 7 - 7 / 4
    assert float(average.module.running_mean) == pytest.approx(5.25)


def test_without_a_decay_nothing_is_averaged():
    assert average_of(torch.nn.Linear(1, 1), 0.0) is None
