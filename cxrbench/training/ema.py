"""An exponential moving average of a network's weights."""

from __future__ import annotations

import copy
from itertools import chain, compress

import torch
from torch import Tensor, nn


class WeightAverage:
    """The average of a network's weights over its steps, as a network of its own.

    Batch normalisation's statistics are averaged like weights, since those of the last step belong to
    weights that the average does not have. Whole numbers, such as counts, are taken as they are.

    Attributes:
        network: the one with the averaged weights.
        updates: how many steps were taken in. The first is taken as it is.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        """Begin with a copy of ``network``, which lies on its device already and is not wrapped yet."""
        self.network = copy.deepcopy(network)
        self.updates = 0
        self._decay = decay

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Move the average by ``1 - decay`` towards the weights of ``network``, nothing waiting for it."""
        averages, values = _tensors(self.network), _tensors(network)
        moves = [self.updates > 0 and average.is_floating_point() for average in averages]
        stays = [not each for each in moves]
        # One kernel for many tensors; an empty list is refused.
        if any(moves):
            of, to = list(compress(averages, moves)), list(compress(values, moves))
            torch._foreach_lerp_(of, to, 1 - self._decay)
        if any(stays):
            torch._foreach_copy_(list(compress(averages, stays)), list(compress(values, stays)))
        self.updates += 1


def average_of(network: nn.Module, decay: float) -> WeightAverage | None:
    """An average of the network's weights; None for a decay of 0."""
    return WeightAverage(network, decay) if decay else None


def _tensors(network: nn.Module) -> list[Tensor]:
    return [tensor.detach() for tensor in chain(network.parameters(), network.buffers())]
