"""Recipes: published systems, each one TOML file that can be run, read and changed.

A recipe holds fields of :class:`cxrbench.specs.RunSpec`, as a file for ``--config`` does (a list is an axis),
and two tables besides: ``[recipe]`` says where it comes from (:class:`About`), and ``[search]``, where there
is one, what a search for better settings may vary. Nothing here is imported to list names.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cxrbench.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from cxrbench.recipes.about import About

FOLDER = Path(__file__).parent
"""Where the recipes that come along lie."""


@dataclass(frozen=True)
class Recipe:
    """A recipe that was read.

    Attributes:
        name: of the file, without its ending.
        text: the file as it is.
        given: fields of a run; what is a list is an axis.
        about: where it comes from.
        search: what a search may vary, as the file has it; empty where it has no such table.
    """

    name: str
    text: str
    given: Mapping[str, Any]
    about: About
    search: Mapping[str, Any]


def names() -> list[str]:
    """The recipes that come along, by name."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def read(name: str) -> Recipe:
    """A recipe that comes along, by name, or a file of one's own, by a path that ends in ``.toml``.

    Raises:
        UsageError: there is none, it is no TOML, or its ``[recipe]`` is missing or not what it should be.
    """
    path = Path(name) if name.endswith(".toml") else FOLDER / f"{name}.toml"
    if not path.is_file():
        if path.parent != FOLDER:
            raise UsageError(f"There is no file {name}; 'cxrbench recipes' names those that come along.")
        raise UsageError(f"There is no recipe '{name}'; {did_you_mean(name, names())}")
    try:
        text = path.read_text(encoding="utf-8")
        given = tomllib.loads(text)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"The recipe {name} cannot be read as TOML: {error}.") from error

    from cxrbench.recipes.about import about_of

    about, search = about_of(given.pop("recipe", None), name), given.pop("search", {})
    return Recipe(path.stem, text, given, about, search)


def combined(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of ``base`` with those of ``over`` on top; of ``training``, each setting by itself."""
    training = {**base.get("training", {}), **over.get("training", {})}
    return {**base, **over, **({"training": training} if training else {})}
