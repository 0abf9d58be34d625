"""Images as they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class NoPreprocessing:
    """Leaves images as they are."""

    def apply(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The same image ``[height, width]``."""
        return image
