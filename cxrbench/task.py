"""The task of a data set: which classes there are, and how logits become probabilities and decisions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from cxrbench.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

TaskKind = Literal["multilabel", "singlelabel"]


@dataclass(frozen=True, slots=True)
class Task:
    """Owns the activation, the decision, and the question whether a component fits.

    Attributes:
        kind: ``multilabel``: every class is its own yes/no question (sigmoid);
            ``singlelabel``: exactly one class is right (softmax).
        classes: names of the classes, in the order of every logit, probability and label column.
    """

    kind: TaskKind
    classes: tuple[str, ...]

    def probabilities(self, logits: NDArray[Any]) -> NDArray[Any]:
        """Turn logits ``[n, classes]`` into probabilities ``[n, classes]`` (float64)."""
        from scipy.special import expit, softmax

        values = logits.astype("float64", copy=False)
        return expit(values) if self.kind == "multilabel" else softmax(values, axis=1)

    def log_odds(self, logits: NDArray[Any]) -> NDArray[Any]:
        """The log-odds of each class, ``log(p / (1 - p))`` ``[n, classes]`` (float64), of logits.

        Multi-label these are the logits themselves; single-label they are those of each class against the
        rest, whose sigmoid is the softmax.
        """
        import numpy as np
        from scipy.special import logsumexp

        values: NDArray[Any] = logits.astype("float64", copy=False)
        if self.kind == "multilabel":
            return values
        others = [logsumexp(np.delete(values, column, axis=1), axis=1) for column in range(values.shape[1])]
        log_odds: NDArray[Any] = values - np.column_stack(others)
        return log_odds

    def decide(self, probabilities: NDArray[Any], thresholds: NDArray[Any] | None) -> NDArray[Any]:
        """Turn probabilities ``[n, classes]`` into decisions ``[n, classes]``: 1, 0 or NaN (float64).

        Multi-label: positive where the probability reaches the class's threshold; left undecided (NaN)
        where either is NaN. Single-label: 1 for the most probable class
        (``thresholds`` is None).
        """
        import numpy as np

        if self.kind == "singlelabel":
            decisions = np.zeros_like(probabilities, dtype="float64")
            decisions[np.arange(len(probabilities)), probabilities.argmax(axis=1)] = 1.0
            return decisions
        if thresholds is None:
            raise ValueError("a multi-label decision needs one threshold for each class")
        undecided = np.isnan(probabilities) | np.isnan(thresholds)
        return np.where(undecided, np.nan, probabilities >= thresholds)

    def require_fit(self, kind: str, name: str, tasks: frozenset[str]) -> None:
        """Refuse a component that is not made for this task.

        Raises:
            UsageError: ``tasks`` (what the component declares) does not contain this task's kind.
        """
        if self.kind not in tasks:
            fits = " and ".join(sorted(tasks))
            raise UsageError(
                f"The {kind} '{name}' works on {fits} tasks, but this task is {self.kind}; "
                f"'cxrbench list {kind}' names the others."
            )
