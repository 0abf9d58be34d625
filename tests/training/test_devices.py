from dataclasses import replace
from typing import ClassVar

import pytest
import torch
from safetensors.torch import load_file
from test_loop import BACKBONE, TASK, Faulty, fit, rows, same_but_for_times, training
from torch.nn import Linear

from cxrbench.errors import CxrbenchError, UsageError
from cxrbench.reporter import Reporter
from cxrbench.specs import RunSpec, TrainingSpec
from cxrbench.stages import predict
from cxrbench.training.checkpoint import save_weights
from cxrbench.training.devices import check_deterministic
from cxrbench.training.loop import train


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


@pytest.mark.parametrize(
    ("batch_size", "instead"),
    [(8, "try --batch-size 4"), (3, "give a smaller --image-size or --device cpu")],
)
def test_too_large_a_step_names_what_to_try(tmp_path, batch_size, instead):
    loss = Faulty(at=3, error=torch.OutOfMemoryError("CUDA out of memory"))
    with pytest.raises(CxrbenchError, match=rf"with {batch_size} images of 32 px a step; {instead}\.$"):
        fit(tmp_path / "t", loss=loss, batch_size=batch_size)


def test_memory_that_runs_out_beside_the_steps_is_one_sentence_too(tmp_path):
    class FullOnVal(Faulty):
        def __call__(self, logits, labels):
            if not torch.is_grad_enabled():
                raise torch.OutOfMemoryError("CUDA out of memory")
            return super().__call__(logits, labels)

    with pytest.raises(CxrbenchError, match="ran out of memory with 8 images"):
        fit(tmp_path / "t", loss=FullOnVal())


def tf32():
    return torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32


class Noting(Linear):
    """A linear network that notes in which numbers it computes, and how determined."""

    seen: ClassVar[set] = set()

    def forward(self, patient):
        self.seen.add(
            (*tf32(), torch.are_deterministic_algorithms_enabled(), torch.is_autocast_enabled("cpu"))
        )
        return super().forward(patient)


@pytest.fixture
def network():
    Noting.seen.clear()
    return Noting(3, 2)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_fp32_is_true_fp32_and_val_is_judged_in_it(tmp_path, network, precision):
    before = tf32()
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    try:
        tried = replace(training(epochs=1, precision=precision), network=network)
        train(tried, tmp_path, torch.device("cpu"), Reporter(quiet=True))
        assert tf32() == (True, True)
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before
    stepped = {(False, False, False, precision == "bf16")}
    assert network.seen == stepped | {(False, False, False, False)}


@pytest.mark.parametrize("wanted", [True, False])
def test_predictions_are_true_fp32_and_as_determined_as_training(tmp_path, network, wanted):
    class Backbone(type(BACKBONE)):
        def build(self, outputs, image_size, pretrained):
            return network

    save_weights(network, tmp_path / "weights.safetensors")
    spec = RunSpec(training=TrainingSpec(deterministic=wanted))
    predict.run(
        tmp_path,
        spec,
        Backbone(use="patient"),
        TASK,
        tmp_path / "weights.safetensors",
        rows(9, 1),
        torch.device("cpu"),
        Reporter(quiet=True),
    )
    assert network.seen == {(False, False, wanted, False)}
    assert not torch.are_deterministic_algorithms_enabled()


def test_settings_of_accelerate_that_change_results_are_not_taken(tmp_path, monkeypatch):
    fit(tmp_path / "plain", epochs=1)
    monkeypatch.setenv("ACCELERATE_GRADIENT_ACCUMULATION_STEPS", "4")
    monkeypatch.setenv("ACCELERATE_DYNAMO_BACKEND", "INDUCTOR")
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
    fit(tmp_path / "told", epochs=1)
    same_but_for_times(tmp_path / "plain", tmp_path / "told")


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
