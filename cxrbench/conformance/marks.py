"""What is said of what was made with components that failed a check: the one place where marks are made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

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
    settings: dict[str, tuple[Kind, object]] = {
        name: (kind, getattr(spec, name, None)) for name, kind in _KINDS.items()
    }
    named = [*settings.values(), *uses.items()]
    components = [registry.find(kind, use.name) for kind, use in named if isinstance(use, Use)]  # type: ignore[arg-type]
    clauses = (told(each, failed) for each in components if (failed := failed_checks(each)))
    return list(dict.fromkeys(clauses))
