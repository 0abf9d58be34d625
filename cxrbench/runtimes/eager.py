"""torch as it is: what other runtimes are held against."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from cxrbench.interfaces import DeviceType, Engine, NumberFormat
from cxrbench.runtimes.casting import Layout, cast
from cxrbench.runtimes.devices import missing_cuda, torch_precisions
from cxrbench.runtimes.proof import Products, name_of


@dataclass(frozen=True, kw_only=True)
class Eager:
    """torch's own kernels, one after another (:class:`cxrbench.interfaces.Runtime`).

    Attributes:
        layout: how maps lie in memory; by default whichever of both is faster here, so that others are not
            held against a needlessly slow one.
    """

    layout: Layout = "auto"

    def unavailable(self, device: DeviceType) -> str:
        """Empty wherever the device is there."""
        return missing_cuda() if device == "cuda" else ""

    def precisions(self, device: DeviceType) -> tuple[NumberFormat, ...]:
        """Those that torch computes in on the device."""
        return torch_precisions(device)

    def build(
        self, network: nn.Module, examples: Sequence[Sequence[Tensor]], precision: NumberFormat
    ) -> Engine:
        """The network, cast."""
        ready = cast(network, examples[0], precision, self.layout)

        def run(inputs: Sequence[Tensor]) -> Tensor:
            with torch.inference_mode():
                logits: Tensor = ready(*inputs)
                return logits

        with Products() as seen:
            run(examples[0])
        return Engine(run, name_of(seen.dtypes), {"layout": ready.layout})
