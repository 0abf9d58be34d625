"""Several runs in one call: the product of what was asked for, done one after another."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

from cxrbench.errors import UsageError
from cxrbench.options import Use
from cxrbench.registry import KINDS, Registry
from cxrbench.specs import RunSpec, resolve, validate

if TYPE_CHECKING:
    from cxrbench.workflow import Job


@dataclass(frozen=True)
class Failure:
    """A cell that could not be run.

    Attributes:
        spec: what it was.
        reason: one sentence.
        trace: the traceback.
    """

    spec: RunSpec
    reason: str
    trace: str

    def record(self) -> dict[str, Any]:
        """As JSON, with the same names that a run has."""
        names: dict[str, Any] = {kind: self.spec.use(kind).name for kind in KINDS}
        return {**names, "seed": self.spec.seed, "reason": self.reason, "trace": self.trace}


def cells(
    given: Mapping[str, Any], axes: Mapping[str, Sequence[Any]], settings: Sequence[str], registry: Registry
) -> list[RunSpec]:
    """Resolve every combination of ``axes`` over the settings in ``given``.

    Args:
        given: fields of :class:`RunSpec` that all cells share, such as a TOML file gives them.
        axes: field to values; an empty axis is left to ``given``.
        settings: ``NAME.key=value`` for a component or ``training``, ``key=value`` for the run itself.
        registry: where names are looked up.

    Raises:
        UsageError: anything in any cell is wrong; no cell is run then.
    """
    used = {name: values for name, values in axes.items() if values}
    specs: dict[str, RunSpec] = {}
    for values in product(*used.values()):
        cell = {**given, **dict(zip(used, values, strict=True))}
        spec = resolve(_with_settings(cell, settings), registry)
        specs.setdefault(spec.model_dump_json(), spec)
    return list(specs.values())


def _with_settings(cell: Mapping[str, Any], settings: Sequence[str]) -> dict[str, Any]:
    """Apply ``--set`` to a cell's components, training and own fields."""
    result: dict[str, Any] = {**cell, "training": dict(cell.get("training", {}))}
    uses: dict[str, Use] = validate({k: v for k, v in cell.items() if k in KINDS}).__dict__
    for setting in settings:
        target, equals, value = setting.partition("=")
        name, dot, key = target.strip().rpartition(".")
        if not equals or not key:
            raise UsageError(f"--set takes NAME.key=value or key=value, not '{setting}'.")
        if not dot:
            result[key] = value
        elif name == "training":
            result["training"][key] = value
        else:
            kinds = [kind for kind in KINDS if uses[kind].name == name]
            if not kinds:
                names = ", ".join(uses[kind].name for kind in KINDS)
                raise UsageError(
                    f"--set {setting}: no component '{name}' is in this run; there are {names}, training."
                )
            for kind in kinds:
                uses[kind] = Use(name=name, options={**uses[kind].options, key: value})
                result[kind] = uses[kind]
    return result


def run_cells(jobs: Sequence[Job], do: Callable[[Job], None], failed: Callable[[Failure], None]) -> None:
    """Do each job; one that fails is reported and does not stop the others."""
    for job in jobs:
        # The second of the two places where any exception is met: the other cells' work must not be
        # lost to one cell's fault. The traceback is kept.
        try:
            do(job)
        except Exception as error:  # noqa: BLE001
            reason = " ".join(str(error).split()) or type(error).__name__
            failed(Failure(job.spec, reason, traceback.format_exc()))
