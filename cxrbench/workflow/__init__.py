"""The way of a run, from a spec to published evidence: the only room that knows the order of the stages.

``runs`` opens data and makes jobs of specs, ``job`` trains and predicts, ``scoring`` takes predictions that
others made, ``evidence`` goes on from predictions. What trains needs torch, the rest does not: hence names
are imported where they are used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cxrbench.workflow.evidence import CALIBRATORS_SHOWN
    from cxrbench.workflow.job import Job
    from cxrbench.workflow.runs import Workflow

__all__ = ["CALIBRATORS_SHOWN", "Job", "Workflow"]

_WHERE = {"CALIBRATORS_SHOWN": "evidence", "Job": "job", "Workflow": "runs"}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_WHERE[name]}"), name)
