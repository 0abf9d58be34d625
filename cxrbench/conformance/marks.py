"""What is said of what was made with components that failed a check: the one place where marks are made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from cxrbench.conformance.verdicts import failed_checks, told
from cxrbench.options import Use
from cxrbench.registry import RUN_KINDS, Kind

if TYPE_CHECKING:
    from cxrbench.registry import Registry

_KINDS: Mapping[str, Kind] = {
    **{kind: kind for kind in RUN_KINDS},
    "test_dataset": "dataset",
    "search": "ensemble",
    "fitness": "metric",
}
"""What kind of component each setting of a spec names, whatever the run's predictions come from."""


def nonconforming(registry: Registry, spec: object = None, **uses: Use) -> list[str]:
    """A clause on each component that failed a check when it was last checked.

    Args:
        registry: where components are found.
        spec: of a run, of scores or of an ensemble, whose components are used.
        uses: further ones, by their kind.
    """
    settings = ((kind, getattr(spec, name, None)) for name, kind in _KINDS.items())
    named = [(kind, use.name) for kind, use in (*settings, *uses.items()) if isinstance(use, Use)]
    return list(_clauses(registry, named))


def nonconforming_since(
    registry: Registry, records: Iterable[Mapping[str, Any]], **uses: Use
) -> tuple[str, ...]:
    """A clause on each component behind stored runs that failed a check, when a run was made or since.

    Args:
        registry: where components are found.
        records: ``run.json`` of a run, and of those that it is made of.
        uses: further components, by their kind, that are used on it.
    """
    found: dict[str, None] = {}
    for record in records:
        found |= dict.fromkeys(record.get("nonconforming", ()))
        settings = ((kind, record["spec"].get(name)) for name, kind in _KINDS.items())
        named = ((kind, value["name"]) for kind, value in settings if isinstance(value, Mapping))
        found |= _clauses(registry, named)
    return tuple(found | dict.fromkeys(nonconforming(registry, **uses)))


def _clauses(registry: Registry, named: Iterable[tuple[str, str]]) -> dict[str, None]:
    components = [registry.find(kind, name) for kind, name in named]  # type: ignore[arg-type]
    return {told(each, failed): None for each in components if (failed := failed_checks(each))}
