import pytest
import timm
import torch
from safetensors import safe_open

from cxrbench.training.checkpoint import (
    TrainingState,
    load_optimizer,
    load_own_weights,
    save_optimizer,
    save_weights,
)


def network():
    torch.manual_seed(0)
    return timm.create_model("test_resnet", num_classes=3).to(memory_format=torch.channels_last)


def steps(model, optimizer, numbers):
    for number in numbers:
        torch.manual_seed(number)
        images = torch.randn(4, 3, 32, 32).to(memory_format=torch.channels_last)
        model(images).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()


def adam(model, kind=torch.optim.Adam, fused=True):
    return kind(model.parameters(), lr=1e-2, weight_decay=0.01, fused=fused)


@pytest.mark.parametrize("kind", [torch.optim.Adam, torch.optim.AdamW])
@pytest.mark.parametrize("fused", [True, False])
def test_a_restored_optimizer_goes_on_bit_for_bit(tmp_path, kind, fused):
    """Also for a fused optimizer on a channels-last network, whose moments lie in memory like its weights."""
    whole = network()
    optimizer = adam(whole, kind, fused)
    steps(whole, optimizer, range(3))
    save_weights(whole, tmp_path / "w")
    save_optimizer(optimizer.state_dict(), tmp_path / "o.safetensors", tmp_path / "o.json")
    steps(whole, optimizer, range(3, 6))

    resumed = network()
    restored = adam(resumed, kind, fused)
    load_own_weights(resumed, tmp_path / "w")
    load_optimizer(restored, tmp_path / "o.safetensors", tmp_path / "o.json")
    steps(resumed, restored, range(3, 6))

    for (name, a), b in zip(whole.state_dict().items(), resumed.state_dict().values(), strict=True):
        assert torch.equal(a, b), name
    expected, state = optimizer.state_dict()["state"], restored.state_dict()["state"]
    assert expected.keys() == state.keys()
    for number, values in expected.items():
        assert values.keys() == state[number].keys()
        assert all(torch.equal(values[name], state[number][name]) for name in values), number
    assert optimizer.state_dict()["param_groups"][0]["lr"] == restored.state_dict()["param_groups"][0]["lr"]


def test_an_optimizer_that_has_not_stepped_round_trips(tmp_path):
    model = network()
    save_optimizer(adam(model).state_dict(), tmp_path / "o.safetensors", tmp_path / "o.json")
    restored = adam(model)
    load_optimizer(restored, tmp_path / "o.safetensors", tmp_path / "o.json")
    assert not restored.state


def keep(state, tmp_path, epoch):
    model = network()
    save_weights(model, tmp_path / "best")
    state.save(epoch, model, tmp_path / "best", adam(model).state_dict(), {"epoch": epoch})


def test_only_the_newest_state_is_kept_and_none_at_the_end(tmp_path):
    state = TrainingState(tmp_path / "work")
    (tmp_path / "work").mkdir()
    assert state.latest() is None
    for epoch in (1, 2, 10):
        keep(state, tmp_path, epoch)
        assert [p.name for p in (tmp_path / "work").iterdir()] == [state.latest().name]
        assert str(epoch) in state.latest().name
    state.clear()
    assert not list((tmp_path / "work").iterdir())


def test_a_state_that_was_not_finished_is_not_gone_on_from(tmp_path):
    state = TrainingState(tmp_path / "work")
    (tmp_path / "work").mkdir()
    keep(state, tmp_path, 1)
    whole = state.latest()
    whole.rename(whole.with_name("aside"))
    keep(state, tmp_path, 2)
    second = state.latest()
    second.rename(second.with_suffix(".tmp"))
    (tmp_path / "work" / "aside").rename(whole)
    assert state.latest() == whole
    keep(state, tmp_path, 2)
    assert state.latest() == second


def test_states_are_ordered_by_epoch_not_by_text(tmp_path):
    state = TrainingState(tmp_path / "work")
    for epoch in (9_999, 10_000):
        keep(state, tmp_path, epoch)
    assert "10000" in state.latest().name


def test_tensors_are_safetensors(tmp_path):
    model = network()
    optimizer = adam(model)
    steps(model, optimizer, [0])
    save_weights(model, tmp_path / "w")
    save_optimizer(optimizer.state_dict(), tmp_path / "o", tmp_path / "o.json")
    for name in ("w", "o"):
        with safe_open(tmp_path / name, "pt") as file:
            assert file.keys()
