import pytest
import torch
from safetensors.torch import load_file
from test_loop import Faulty, fit

from cxrbench.errors import CxrbenchError, UsageError
from cxrbench.training.devices import check_deterministic


def flags():
    cudnn = torch.backends.cudnn
    return torch.are_deterministic_algorithms_enabled(), cudnn.deterministic, cudnn.benchmark


class Watching(Faulty):
    """BCE that notes whether deterministic algorithms are asked for."""

    seen = False

    def __call__(self, logits, labels):
        self.seen = flags() == (True, True, False)
        return super().__call__(logits, labels)


@pytest.mark.parametrize("error", [None, KeyboardInterrupt()])
def test_deterministic_algorithms_are_asked_for_while_training_and_no_longer(tmp_path, error):
    before, loss = flags(), Watching(at=2, error=error, value=1.0)
    try:
        fit(tmp_path / "t", epochs=1, loss=loss, deterministic=True)
    except KeyboardInterrupt:
        assert error is not None
    assert loss.seen
    assert flags() == before == (False, False, before[2])


def test_what_has_no_deterministic_way_is_one_sentence(tmp_path):
    class Wandering(Faulty):
        def __call__(self, logits, labels):
            raise RuntimeError("f does not have a deterministic implementation, but you set 'x'. You can y.")

    with pytest.raises(CxrbenchError, match=r"training\.deterministic: f does not have .* set 'x'\.$"):
        fit(tmp_path / "t", epochs=1, loss=Wandering(), deterministic=True)


@pytest.mark.parametrize(("value", "refused"), [(None, True), (":0:0", True), (":4096:8", False)])
def test_on_cuda_cublas_must_have_been_told(monkeypatch, value, refused):
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    if value:
        monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", value)
    check_deterministic(torch.device("cpu"))
    if refused:
        with pytest.raises(UsageError, match="CUBLAS_WORKSPACE_CONFIG=:4096:8"):
            check_deterministic(torch.device("cuda"))
    else:
        check_deterministic(torch.device("cuda"))


def test_too_large_a_step_names_the_batch_to_try(tmp_path):
    with pytest.raises(CxrbenchError, match="with 8 images of 32 px a step; try --batch-size 4"):
        fit(tmp_path / "t", loss=Faulty(at=3, error=torch.OutOfMemoryError("CUDA out of memory")))


def test_without_a_compiler_the_way_out_is_said(tmp_path):
    from torch._inductor import config

    with (
        config.patch({"cpp.cxx": (None, "/no/such/compiler"), "fx_graph_cache": False}),
        pytest.raises(CxrbenchError, match=r"cannot be compiled here \(.*training\.compile=false"),
    ):
        fit(tmp_path / "t", compile=True)


@pytest.mark.slow
def test_a_compiled_training_is_a_training_and_its_weights_have_plain_names(tmp_path):
    compiled = fit(tmp_path / "compiled", compile=True, learning_rate=0.05)
    plain = fit(tmp_path / "plain", learning_rate=0.05)
    # Dropout draws otherwise under Inductor, so the losses are near but not the same.
    assert compiled["train_loss"].tolist() == pytest.approx(plain["train_loss"].tolist(), abs=0.05)
    names = [load_file(tmp_path / way / "weights.safetensors").keys() for way in ("compiled", "plain")]
    assert names[0] == names[1]
