"""The head that a network comes with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

    from cxrbench.interfaces import Backbone


@dataclass(frozen=True, kw_only=True)
class OwnHead:
    """The backbone as it is built by itself."""

    def network(self, backbone: Backbone, outputs: int, image_size: int, pretrained: bool) -> nn.Module:
        """The backbone's own network."""
        return backbone.build(outputs, image_size, pretrained)
