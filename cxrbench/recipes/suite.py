"""Several recipes in one call, with what a suite overrides in all or in some of them.

::

    recipe = ["wang_vgg16", "fused_cnn"]
    dataset = "phantom"
    image_size = 64

    [override.fused_cnn]
    image_size = 250
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cxrbench.errors import UsageError, did_you_mean
from cxrbench.recipes import combined, read

RECIPE, OVERRIDE, SEARCH = "recipe", "override", "search"
"""Tables and settings of a file that are none of a run's."""


def runs_of(file: Mapping[str, Any], chosen: Sequence[str], *, as_published: bool) -> list[dict[str, Any]]:
    """The settings of each recipe, in order; of the file alone where there is no recipe.

    Args:
        file: what a file for ``--config`` holds: a suite, a recipe, or a run.
        chosen: recipes that take the place of the suite's.
        as_published: leave out whatever the suite overrides.

    Raises:
        UsageError: a recipe is missing or not what it should be, or the suite overrides one that it lacks.
    """
    given = {name: value for name, value in file.items() if name not in (RECIPE, OVERRIDE, SEARCH)}
    # A recipe's own file says in this table where it comes from.
    named = () if isinstance(file.get(RECIPE), Mapping) else file.get(RECIPE, ())
    recipes = list(chosen) or ([named] if isinstance(named, str) else list(named))
    override: Mapping[str, Any] = file.get(OVERRIDE, {})
    if not recipes:
        if override:
            raise UsageError(f'The file has [{OVERRIDE}] but no recipe; name some, as in recipe = ["…"].')
        return [given]
    for name in override:
        if name not in recipes and not chosen:
            raise UsageError(
                f"The suite overrides '{name}', which is none of its recipes; {did_you_mean(name, recipes)}"
            )
    if as_published:
        return [dict(read(name).given) for name in recipes]
    return [combined(combined(read(name).given, given), override.get(name, {})) for name in recipes]
