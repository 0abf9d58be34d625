"""What a recipe says of itself: the ``[recipe]`` table."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cxrbench.errors import UsageError, did_you_mean


class About(BaseModel):
    """Where a recipe comes from, and how far it gets.

    Attributes:
        title: what it is, in a few words.
        source: the text that describes it: its authors or project, and its name.
        published: the figures that the text gives, by what they are.
        not_reproduced: sentences: what the text leaves open or contradicts itself in, and what was done.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str = Field(min_length=1)
    source: str = Field(min_length=1)
    published: dict[str, float | str] = Field(default_factory=dict)
    not_reproduced: tuple[str, ...] = ()


def about_of(table: Any, recipe: str) -> About:
    """The table, checked.

    Raises:
        UsageError: it is missing, or something in it is unknown, missing or of a wrong type.
    """
    if table is None:
        raise UsageError(
            f"The recipe {recipe} has no table [recipe] with its title and source; add it, or give the file "
            "to --config."
        )
    try:
        return About.model_validate(table)
    except ValidationError as error:
        # A misspelt name comes first: what it was meant to be is missing, too.
        first = min(error.errors(), key=lambda each: each["type"] != "extra_forbidden")
        where = ".".join(map(str, first["loc"]))
        if first["type"] == "extra_forbidden":
            hint = did_you_mean(where, list(About.model_fields))
            raise UsageError(f"The recipe {recipe} has '{where}' in [recipe]; {hint}") from error
        raise UsageError(
            f"The recipe {recipe} has in recipe.{where} what cannot be: {first['msg'][:1].lower()}"
            f"{first['msg'][1:]}."
        ) from error
