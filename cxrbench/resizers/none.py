"""No resizer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, kw_only=True)
class NoResizer:
    """Images go into the network as they are."""

    def size(self, image_size: int) -> int:
        """The same."""
        return image_size

    def network(self, network: nn.Module, channels: int, image_size: int) -> nn.Module:
        """The network itself."""
        return network
