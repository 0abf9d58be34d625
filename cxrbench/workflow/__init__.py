"""The way of a run, from a spec to published evidence: the only room that knows the order of the stages.

``runs`` opens data and makes jobs of specs, ``job`` trains and predicts, ``evidence`` goes on from
predictions.
"""

from cxrbench.workflow.evidence import CALIBRATORS_SHOWN
from cxrbench.workflow.job import Job
from cxrbench.workflow.runs import Workflow

__all__ = ["CALIBRATORS_SHOWN", "Job", "Workflow"]
