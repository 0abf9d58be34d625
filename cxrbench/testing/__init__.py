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

from typing import TYPE_CHECKING

from cxrbench.testing import (
    augmentations,
    backbones,
    calibrators,
    components,
    datasets,
    decisions,
    ensembles,
    explainers,
    heads,
    losses,
    metrics,
    preprocessing,
    resizers,
    runtimes,
    samplers,
    tasks,
    thresholds,
)
from cxrbench.testing.check import Check

if TYPE_CHECKING:
    from cxrbench.registry import Kind

__all__ = ["Check", "checks_for"]

_CHECKS: dict[Kind, tuple[Check, ...]] = {
    "dataset": datasets.CHECKS,
    "task": tasks.CHECKS,
    "sampler": samplers.CHECKS,
    "preprocessing": preprocessing.CHECKS,
    "resizer": resizers.CHECKS,
    "augmentation": augmentations.CHECKS,
    "backbone": backbones.CHECKS,
    "head": heads.CHECKS,
    "loss": losses.CHECKS,
    "calibrator": calibrators.CHECKS,
    "thresholds": thresholds.CHECKS,
    "decision": decisions.CHECKS,
    "runtime": runtimes.CHECKS,
    "explainer": explainers.CHECKS,
    "ensemble": ensembles.CHECKS,
    "metric": metrics.CHECKS,
}


def checks_for(kind: Kind) -> tuple[Check, ...]:
    """The checks of a component of that kind: those of every component first."""
    return components.CHECKS + _CHECKS[kind]
