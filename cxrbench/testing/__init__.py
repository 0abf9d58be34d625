"""The conformance kit: what every component must do, as small checks that plugin authors run too.

With pytest, for a component that is installed::

    import pytest
    from cxrbench.plugins import installed
    from cxrbench.testing import checks_for

    @pytest.mark.parametrize("check", checks_for("loss"), ids=str)
    def test_conformance(check):
        check.run(installed().registry.find("loss", "my_loss"), {"gamma": 2.0})

Check the options that change what a component does as well as its defaults. Everything here runs on the
CPU, on made-up numbers and the fourteen findings of NIH; data sets are read from ``root``.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from cxrbench.testing.check import Check

if TYPE_CHECKING:
    from cxrbench.registry import Kind

__all__ = ["Check", "checks_for"]

_MODULES: dict[Kind, str] = {
    "dataset": "datasets",
    "task": "tasks",
    "sampler": "samplers",
    "preprocessing": "preprocessing",
    "resizer": "resizers",
    "augmentation": "augmentations",
    "backbone": "backbones",
    "head": "heads",
    "loss": "losses",
    "calibrator": "calibrators",
    "thresholds": "thresholds",
    "decision": "decisions",
    "runtime": "runtimes",
    "explainer": "explainers",
    "ensemble": "ensembles",
    "metric": "metrics",
}
"""Where the checks of each kind are."""


def checks_for(kind: Kind) -> tuple[Check, ...]:
    """The checks of a component of that kind: those of every component first."""
    # Not at the top: what is checked of other things needs no torch.
    from cxrbench.testing import components

    of_kind: tuple[Check, ...] = importlib.import_module(f"{__name__}.{_MODULES[kind]}").CHECKS
    return components.CHECKS + of_kind
