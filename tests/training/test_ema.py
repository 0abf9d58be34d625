import pytest
import timm
import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from cxrbench.training.ema import average_of


def test_it_is_torchs_average_but_for_whole_numbers():
    torch.manual_seed(0)
    network = timm.create_model("test_resnet", num_classes=3)
    average = average_of(network, 0.9)
    expected = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(0.9), use_buffers=True)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    for _ in range(4):
        network(torch.randn(4, 3, 32, 32)).square().mean().backward()
        optimizer.step()
        average.update(network)
        expected.update_parameters(network)
    assert average.updates == 4
    for (name, ours), torchs in zip(
        average.network.state_dict().items(), expected.module.state_dict().values(), strict=True
    ):
        # How many batches were seen is a count, of which an average would say nothing.
        assert ours == 4 if "num_batches" in name else torch.equal(ours, torchs), name


def test_statistics_of_batch_normalisation_are_averaged_like_weights():
    network = torch.nn.BatchNorm1d(1)
    average = average_of(network, 0.75)
    for mean in (8.0, 4.0, 0.0):
        network.running_mean.fill_(mean)
        average.update(network)
    # 8, then 8 - (8 - 4) / 4 = 7, then 7 - 7 / 4
    assert float(average.network.running_mean) == pytest.approx(5.25)


def test_without_a_decay_nothing_is_averaged():
    assert average_of(torch.nn.Linear(1, 1), 0.0) is None
