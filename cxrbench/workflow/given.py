"""Images that are known by their scores and labels alone, as a data set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cxrbench.collection import Collection
from cxrbench.errors import CxrbenchError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class GivenImages:
    """A collection that is there already (:class:`cxrbench.interfaces.Dataset`)."""

    collection: Collection

    def recommend(self) -> Mapping[str, object]:
        """Nothing."""
        return {}

    def read(self, root: Path | None) -> Collection:
        """The collection."""
        return self.collection

    def pixels(self, content: bytes | None, image_id: str, side: int) -> NDArray[np.uint8]:
        """There are none.

        Raises:
            CxrbenchError: always.
        """
        raise CxrbenchError(f"The image {image_id} is known by its scores alone.")
