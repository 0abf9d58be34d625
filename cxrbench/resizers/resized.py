"""A network behind a part that changes the size of its images."""

from __future__ import annotations

from torch import Tensor, nn

from cxrbench.backbones.weights import PretrainedPart


class Resized(nn.Module):
    """``resizer`` on the image among a network's inputs, then the network.

    Attributes:
        resizer: images ``[B, channels, S, S]`` to images of another size.
        network: what takes those, and whatever other inputs there are.
        pretrained_part: what a file of the network's weights fits.
    """

    def __init__(self, resizer: nn.Module, network: nn.Module) -> None:
        super().__init__()
        self.resizer = resizer
        self.network = network
        self.pretrained_part = PretrainedPart.within(network, "network")

    def forward(self, *inputs: Tensor) -> Tensor:
        """Logits ``[B, outputs]`` of the network's inputs."""
        logits: Tensor = self.network(*(self.resizer(x) if x.ndim == 4 else x for x in inputs))
        return logits
