"""What specs of runs that train nothing have in common: scores that others made, and ensembles."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Protocol, TypeVar

from pydantic import BaseModel

from cxrbench.options import Use, bind
from cxrbench.registry import RUN_KINDS, Kind, Registry
from cxrbench.specs import keyed

JUDGING: Mapping[str, Kind] = {"calibrator": "calibrator", "thresholds": "thresholds", "decision": "decision"}
"""The components that judge predictions, by the name of the setting."""


class Named(Protocol):
    """A spec with a system's name (a pydantic model with the settings of :data:`JUDGING`)."""

    @property
    def system(self) -> str:
        """The name of what made the predictions."""

    @property
    def seed(self) -> int:
        """Which of the system's runs it is."""

    @property
    def tune(self) -> str:
        """The role that is fitted on."""

    @property
    def calibrator(self) -> Use:
        """What turns logits into probabilities."""

    @property
    def thresholds(self) -> Use:
        """The strategy for operating points."""

    def model_dump(self, *, mode: str) -> dict[str, Any]:
        """All settings."""


M = TypeVar("M", bound=BaseModel)


def resolved(spec: M, kinds: Mapping[str, Kind], registry: Registry) -> M:
    """The spec with every option of its components (kind by setting) at its value.

    Raises:
        UsageError: an unknown name or option, or a value out of range.
    """
    uses: dict[str, Use] = {}
    for name, kind in kinds.items():
        use: Use = getattr(spec, name)
        uses[name] = Use(name=use.name, options=bind(registry.find(kind, use.name), use.options))
    return spec.model_copy(update=uses)


def described(spec: Named, source: str, kinds: Mapping[str, Kind], registry: Registry) -> dict[str, Any]:
    """As JSON, with the same names that a run has; what only networks have is None."""
    uses: dict[str, Use] = {name: getattr(spec, name) for name in kinds}
    return {
        "source": source,
        "system": spec.system,
        **dict.fromkeys(RUN_KINDS),
        **{name: use.name for name, use in uses.items()},
        "options": {name: keyed(use, kinds[name], registry)["options"] for name, use in uses.items()},
        "seed": spec.seed,
        "tune": spec.tune,
        "spec": spec.model_dump(mode="json"),
    }


def label(spec: Named, source: str) -> str:
    """What names of the run's files start with, so that a person can tell runs apart."""
    names = (source, spec.system, spec.calibrator.name, spec.thresholds.name)
    return "-".join([*(re.sub(r"[^\w.]+", "_", name) for name in names), f"s{spec.seed}"])
