"""Several runs in one call: the product of what was asked for, done one after another."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, TypeVar

from cxrbench.canonical import digest
from cxrbench.errors import CallEnd, CxrbenchError, UsageError, sentence
from cxrbench.files import write_text
from cxrbench.options import Use, parse_uses
from cxrbench.registry import RUN_KINDS, Registry
from cxrbench.scores.spec import ScoreSpec
from cxrbench.specs import RunSpec, TrainingSpec, check, differing_options, resolve

T = TypeVar("T")
S = TypeVar("S", RunSpec, ScoreSpec)

ONE_A_CALL = ("dataset", "exclude", "labels")
"""What all cells of a call share: its data."""

AXES: dict[str, str] = {
    **{name: "" for name in RunSpec.model_fields if name not in (*ONE_A_CALL, "training")},
    **{name: "training" for name in TrainingSpec.model_fields if name != "cycles"},
}
"""Every setting that may have several values in one call, and the table of the spec that it stands in. Cells
come in this order, the last varying fastest. ``cycles`` is a list by nature."""

_COMPONENTS = (*RUN_KINDS, "test_dataset")


def described(spec: RunSpec | ScoreSpec, registry: Registry) -> dict[str, Any]:
    """A cell as JSON, with the same names that a run has."""
    if isinstance(spec, ScoreSpec):
        return spec.described(registry)
    return {
        **spec.names(),
        "options": differing_options(spec, registry),
        "seed": spec.seed,
        "tune": spec.tune,
        "spec": spec.model_dump(mode="json"),
    }


@dataclass(frozen=True)
class Failure:
    """A cell that could not be run.

    Attributes:
        spec: what it was.
        cell: the same as JSON, see :func:`described`.
        reason: one sentence.
        trace: the traceback.
    """

    spec: RunSpec | ScoreSpec
    cell: dict[str, Any]
    reason: str
    trace: str

    def record(self) -> dict[str, Any]:
        """As JSON."""
        return {**self.cell, "reason": self.reason, "trace": self.trace}

    def write(self, folder: Path) -> Path:
        """Leave the trace in a file that is named for the cell; the same cell's next failure replaces it."""
        name = f"{self.spec.label()}-{digest(self.spec.model_dump(mode='json'))[:8]}.txt"
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / name, f"{self.spec.model_dump_json(indent=2)}\n\n{self.trace}")
        return folder / name


def parse_axis(name: str, texts: Sequence[str]) -> list[Any]:
    """The values of an axis as the command line gives them: repeated, comma-separated, or both.

    Raises:
        UsageError: a component's name or option is malformed.
    """
    if name in _COMPONENTS:
        return [use for text in texts for use in parse_uses(text)]
    return [part.strip() for text in texts for part in text.split(",")]


def cells(
    given: Mapping[str, Any], axes: Mapping[str, Sequence[Any]], settings: Sequence[str], registry: Registry
) -> list[RunSpec]:
    """Resolve every combination of what has several values; combinations that come to the same are one.

    Args:
        given: fields of :class:`RunSpec` as a TOML file gives them. A list, in place of a value, is an axis.
        axes: values by name of :data:`AXES`; they take the place of ``given``'s, unless empty.
        settings: ``NAME.key=value`` for a component or ``training``, ``key=value`` for the run itself.
        registry: where names are looked up.

    Raises:
        UsageError: anything in any cell is wrong; no cell is run then.
    """
    shared, several = _split(given)
    several |= {name: list(values) for name, values in axes.items() if values}
    names = sorted(several, key=list(AXES).index)
    combinations = [
        _with(shared, zip(names, values, strict=True))
        for values in product(*(several[name] for name in names))
    ]
    changes = _changes(settings)
    changed = [_changed(cell, changes) for cell in combinations]
    _require_used(changes, [check(cell) for cell in changed])
    return different(resolve(cell, registry) for cell in changed)


def different(specs: Iterable[RunSpec]) -> list[RunSpec]:
    """The specs in their order, each once."""
    return list({spec.model_dump_json(): spec for spec in specs}.values())


def with_settings(given: Mapping[str, Any], settings: Sequence[str]) -> dict[str, Any]:
    """The settings of one run with those of ``--set`` in their places, as :func:`cells` has it.

    Raises:
        UsageError: one is malformed, or of a component that the run does not have.
    """
    changes = _changes(settings)
    changed = _changed(given, changes)
    _require_used(changes, [check(changed)])
    return changed


def _split(given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, list[Any]]]:
    """Settings of a file as those that all cells share, and the axes: what is a list, by name."""
    training = given.get("training", {})
    if not isinstance(training, Mapping):
        check(given)  # refuses it
    tables = {"": given, "training": training}
    several = {name: tables[table].get(name) for name, table in AXES.items()}
    several = {name: values for name, values in several.items() if isinstance(values, list | tuple)}
    for name, values in several.items():
        if not values:
            raise UsageError(f"The setting '{name}' is an empty list; give it values or leave it out.")
    shared = {key: value for key, value in given.items() if key not in several}
    shared["training"] = {key: value for key, value in training.items() if key not in several}
    return shared, several


def _with(shared: Mapping[str, Any], values: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """The shared settings with one value of each axis."""
    cell = dict(shared)
    for name, value in values:
        table = AXES[name]
        if table:
            cell[table] = {**cell.get(table, {}), name: value}
        else:
            cell[name] = value
    return cell


def roots_of(specs: Sequence[RunSpec], roots: Sequence[Path]) -> dict[str, Path]:
    """The folder of each test data set among cells, by name with options: one for all, or one each in order.

    Raises:
        UsageError: there are neither one nor as many folders as test data sets.
    """
    names = list(dict.fromkeys(str(spec.test_dataset) for spec in specs if spec.test_dataset))
    if len(roots) not in (0, 1, len(names)):
        raise UsageError(
            f"There are {len(roots)} --test-data-root for {len(names)} test data sets; give one for all, or "
            "one for each in the order of --test-dataset."
        )
    each = [*roots] * (len(names) if len(roots) == 1 else 1)
    return dict(zip(names, each, strict=False))


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


def _changes(settings: Sequence[str]) -> list[_Change]:
    """The run's own fields first: one of them may name the component that another setting is for."""
    return sorted(map(_Change.parse, settings), key=lambda change: change.name != "")


def _require_used(changes: Sequence[_Change], runs: Sequence[RunSpec]) -> None:
    """Refuse a change of a component that none of the runs has."""
    names = list(dict.fromkeys(run.use(kind).name for run in runs for kind in RUN_KINDS))
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
            for kind in RUN_KINDS:
                use = spec.use(kind)
                if use.name == change.name:
                    result[kind] = Use(name=use.name, options={**use.options, change.key: change.value})
    return result


def run_cells(
    specs: Sequence[S],
    registry: Registry,
    make: Callable[[S], T],
    do: Callable[[int, S, T], None],
    failed: Callable[[Failure], None],
) -> None:
    """Make a job of each cell, then do the jobs one after another; one that fails does not stop the others.

    Args:
        specs: the cells.
        registry: where the defaults of components are looked up.
        make: a job from its spec. A wrong request (:class:`UsageError`) refuses the whole call, nothing being
            done yet; any other exception, such as data that cannot be read or a component's constructor may
            raise, is its cell's failure.
        do: does a job; called with its place among the cells, from 1.
        failed: hears of each cell that failed.

    Raises:
        UsageError: ``make`` refused a cell.
        CxrbenchError: ``make`` refused the only cell.
    """

    @contextmanager
    def alone(spec: S, *refusals: type[Exception]) -> Iterator[None]:
        through: tuple[type[BaseException], ...] = (KeyboardInterrupt, CallEnd, *refusals)
        # The second of the two places where any exception is met: the other cells' work must not be
        # lost to one cell's fault, a plugin's sys.exit among them. The traceback is kept.
        try:
            yield
        except through:
            raise
        except BaseException as error:  # noqa: BLE001
            failed(Failure(spec, described(spec, registry), sentence(error), traceback.format_exc()))

    jobs: dict[int, T] = {}
    for place, spec in enumerate(specs, 1):
        with alone(spec, UsageError if len(specs) > 1 else CxrbenchError):
            jobs[place] = make(spec)
    for place, job in jobs.items():
        spec = specs[place - 1]
        with alone(spec):
            do(place, spec, job)
