from dataclasses import replace

import pytest
import torch
from conftest import LIGHT, PHANTOM
from test_loop import BACKBONE, rows, training

from cxrbench.errors import CxrbenchError
from cxrbench.plugins import installed
from cxrbench.reporter import Reporter
from cxrbench.specs import resolve
from cxrbench.store import Store
from cxrbench.training.batch_size import largest_share, remember, remembered
from cxrbench.workflow import Job, Workflow


class Limited(torch.nn.Module):
    """A network on a device that holds so many images."""

    def __init__(self, holds):
        super().__init__()
        self.holds, self.inner = holds, BACKBONE.build(2, 32, False)

    def forward(self, patient):
        if len(patient) > self.holds:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return self.inner(patient)


def largest(holds, most, **settings):
    tried = replace(training(batch_size=2, **settings), network=Limited(holds), train=rows(1, 1))
    return largest_share(tried, most, torch.device("cpu"))


@pytest.mark.parametrize(("holds", "most", "found"), [(20, 1024, 16), (16, 1024, 16), (20, 15, 8), (2, 9, 2)])
def test_the_largest_power_of_two_that_fits_and_is_wanted(holds, most, found):
    assert largest(holds, most) == found
    assert largest(holds, most, ema=0.9) == found


def test_nothing_fits():
    with pytest.raises(CxrbenchError, match="with 2 images of 32 px a step; give a smaller --image-size or"):
        largest(1, 64)


def test_the_second_step_must_fit_beside_the_optimizers_state():
    class Growing(Limited):
        """Holds half as many once there is a gradient's moment, as the optimizer keeps it."""

        def forward(self, patient):
            self.calls = getattr(self, "calls", 0) + 1
            if self.calls == 2 and len(patient) == 2:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return super().forward(patient)

    tried = replace(training(batch_size=2), network=Growing(64), train=rows(1, 1))
    with pytest.raises(CxrbenchError, match="ran out of memory with 2 images"):
        largest_share(tried, 64, torch.device("cpu"))


def test_what_was_found_is_remembered(tmp_path):
    path = tmp_path / "sizes.json"
    assert remembered(path, "a") is None
    remember(path, "a", 64)
    remember(path, "b", 32)
    assert [remembered(path, key) for key in "abc"] == [64, 32, None]
    path.write_text("[")
    with pytest.raises(CxrbenchError, match=r"sizes\.json is damaged; remove it"):
        remembered(path, "a")


def test_a_later_call_takes_the_size_that_was_found_and_is_the_same_run(tmp_path, monkeypatch):
    found = iter([64, 128])
    monkeypatch.setattr(Job, "fitting_batch_size", lambda job: next(found))
    name = "One GPU"
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: name)

    def size(seed=0):
        registry, reporter = installed().registry, Reporter(quiet=True)
        given = {"dataset": PHANTOM, "backbone": LIGHT, "seed": seed}
        spec = resolve({**given, "training": {"precision": "fp32", "batch_size": "auto"}}, registry)
        workflow = Workflow(Store(tmp_path, reporter), registry, reporter, torch.device("cuda"), None)
        return workflow.job(spec).spec.training.batch_size

    assert [size(), size(), size(seed=1)] == [64, 64, 64]
    name = "Another GPU"
    assert size() == 128
