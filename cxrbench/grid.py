"""Several runs in one call: the product of what was asked for, done one after another."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

from cxrbench.errors import UsageError, sentence
from cxrbench.options import Use
from cxrbench.registry import KINDS, Registry
from cxrbench.specs import RunSpec, check, resolve

if TYPE_CHECKING:
    from cxrbench.workflow import Job


@dataclass(frozen=True)
class Failure:
    """A cell that could not be run.

    Attributes:
        spec: what it was.
        options: those of each component that differ from its defaults, by kind.
        reason: one sentence.
        trace: the traceback.
    """

    spec: RunSpec
    options: dict[str, dict[str, Any]]
    reason: str
    trace: str

    def record(self) -> dict[str, Any]:
        """As JSON, with the same names that a run has."""
        return {
            **self.spec.names(),
            "options": self.options,
            "seed": self.spec.seed,
            "reason": self.reason,
            "trace": self.trace,
        }


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
    combinations = [{**given, **dict(zip(used, values, strict=True))} for values in product(*used.values())]
    # The run's own fields first: one of them may name the component that another setting is for.
    changes = sorted(map(_Change.parse, settings), key=lambda change: change.name != "")
    changed = [_changed(cell, changes) for cell in combinations]
    _require_used(changes, [check(cell) for cell in changed])
    specs: dict[str, RunSpec] = {}
    for cell in changed:
        spec = resolve(cell, registry)
        specs.setdefault(spec.model_dump_json(), spec)
    return list(specs.values())


@dataclass(frozen=True)
class _Change:
    """One ``--set``; ``name`` is a component's, ``training``, or empty for the run's own fields."""

    name: str
    key: str
    value: str

    @classmethod
    def parse(cls, setting: str) -> _Change:
        target, equals, value = setting.partition("=")
        name, dot, key = target.strip().rpartition(".")
        if not equals or not key or (dot and not name):
            raise UsageError(f"--set takes NAME.key=value or key=value, not '{setting}'.")
        return cls(name, key, value.strip())


def _require_used(changes: Sequence[_Change], runs: Sequence[RunSpec]) -> None:
    """Refuse a change of a component that none of the runs has."""
    names = list(dict.fromkeys(run.use(kind).name for run in runs for kind in KINDS))
    for change in changes:
        if change.name not in ("", "training", *names):
            raise UsageError(
                f"--set {change.name}.{change.key}={change.value}: no component '{change.name}' is in this "
                f"run; there are {', '.join(names)}, training."
            )


def _changed(cell: Mapping[str, Any], changes: Sequence[_Change]) -> dict[str, Any]:
    """A cell's settings with ``--set`` applied; changes of components that it does not have are left out."""
    result = dict(cell)
    for change in changes:
        spec = check(result)
        if not change.name:
            result[change.key] = change.value
        elif change.name == "training":
            result["training"] = {**result.get("training", {}), change.key: change.value}
        else:
            for kind in KINDS:
                use = spec.use(kind)
                if use.name == change.name:
                    result[kind] = Use(name=use.name, options={**use.options, change.key: change.value})
    return result


def run_cells(jobs: Sequence[Job], do: Callable[[Job], None], failed: Callable[[Failure], None]) -> None:
    """Do each job; one that fails is reported and does not stop the others."""
    for job in jobs:
        # The second of the two places where any exception is met: the other cells' work must not be
        # lost to one cell's fault. The traceback is kept.
        try:
            do(job)
        except Exception as error:  # noqa: BLE001
            failed(Failure(job.spec, job.options, sentence(error), traceback.format_exc()))
