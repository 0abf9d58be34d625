"""What a search is: the ``[search]`` table of a recipe, and a run's settings with some of them replaced.

::

    [search]
    budget = 70                                          # epochs of a trial at most
    metric = "accuracy"

    [search.space]
    head.layers = { low = 1, high = 3 }
    head.dropout = { low = 0.0, high = 0.5 }
    training.learning_rate = { choices = [1e-3, 1e-4, 1e-5] }
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictStr, ValidationError, model_validator

from cxrbench.errors import UsageError
from cxrbench.options import Use
from cxrbench.registry import RUN_KINDS, Registry
from cxrbench.specs import RunSpec, TrainingSpec, check, resolve

Metric = Literal["accuracy", "macro_auc", "macro_f1", "loss"]
Value = StrictBool | int | float | StrictStr
"""A setting that may vary."""

_ONE_A_SEARCH = {
    *("dataset", "exclude", "labels", "split", "test_dataset", "task", "images_per_role", "tune"),
    *("seed", "averaged", "relabelled_by"),
}
"""Settings that decide on what, and for what, trials are compared."""


class Parameter(BaseModel):
    """The values that one setting may have.

    Attributes:
        low: the least, where it is a number in a range; whole numbers where both ends are.
        high: the greatest, itself possible.
        step: what lies between possible values, from ``low``; None: any value, or any whole number.
        log: whether its logarithm is drawn evenly instead of itself.
        choices: the values themselves, instead of a range.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    low: int | float | None = None
    high: int | float | None = None
    step: int | float | None = Field(None, gt=0)
    log: bool = False
    choices: tuple[Value, ...] = ()

    @model_validator(mode="after")
    def _is_one_of_both(self) -> Self:
        ranged = self.low is not None and self.high is not None
        if bool(self.choices) == (self.low is not None or self.high is not None) or (
            not self.choices and not ranged
        ):
            raise ValueError("give low and high, or choices")
        if self.choices and (self.step is not None or self.log):
            raise ValueError("step and log belong to low and high")
        if self.low is not None and self.high is not None:
            if not self.low < self.high:
                raise ValueError("low must be below high")
            if self.log and (self.step is not None or self.low <= 0):
                raise ValueError("log takes no step, and a low above 0")
            steps = (self.high - self.low) / (self.step or 1)
            if self.step is not None and not math.isclose(steps, round(steps)):
                raise ValueError("high must be a whole number of steps above low")
        return self

    @property
    def whole(self) -> bool:
        """Whether the range is one of whole numbers."""
        return all(isinstance(each, int) for each in (self.low, self.high, self.step or 1))

    @property
    def ends(self) -> tuple[Value, ...]:
        """Values that, if a component takes them, it should take the others too."""
        if self.choices:
            return self.choices
        return tuple(each for each in (self.low, self.high) if each is not None)


class Search(BaseModel):
    """How settings are searched for.

    Attributes:
        budget: epochs of a trial at most (R); None: those of the run.
        eta: of the trials at a rung about one in ``eta`` goes on, for ``eta`` times as many epochs.
        metric: figure on val that is sought; None: what the training selects its epoch by.
        trials: how many there are in all; None: as many as one round of Hyperband's brackets has.
        sampler: how values are drawn: ``random``, as published, or ``tpe``, which learns from earlier trials.
        space: the settings that vary, by where they stand in a recipe.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    budget: int | None = Field(None, ge=1)
    eta: int = Field(3, ge=2)
    metric: Metric | None = None
    trials: int | None = Field(None, ge=1)
    sampler: Literal["random", "tpe"] = "random"
    space: dict[str, Parameter] = Field(min_length=1)


def search_of(table: object, recipe: str) -> Search:
    """The search that a recipe's table ``[search]`` asks for.

    Raises:
        UsageError: it asks for none, or something in it is unknown, missing or out of range.
    """
    if not isinstance(table, Mapping) or not table:
        raise UsageError(
            f"The recipe {recipe} has no table [search] that says what may vary; add [search.space] with a "
            "line such as training.learning_rate = { choices = [1e-3, 1e-4] }."
        )
    try:
        return Search.model_validate({**table, "space": dict(_leaves(table.get("space", {})))})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, ("search", *first["loc"])))
        message = first["msg"].removeprefix("Value error, ")
        raise UsageError(
            f"The recipe {recipe} has in {where} what cannot be: {message[:1].lower()}{message[1:]}."
        ) from error


def _leaves(table: Any, before: str = "") -> Iterator[tuple[str, Any]]:
    """The parameters of a table by their dotted names, however TOML nests them."""
    if not isinstance(table, Mapping):
        yield before, table
        return
    for key, value in table.items():
        name = f"{before}{key}"
        if isinstance(value, Mapping) and not value.keys() & Parameter.model_fields.keys():
            yield from _leaves(value, f"{name}.")
        else:
            yield name, value


def with_values(given: Mapping[str, Any], values: Mapping[str, Value]) -> dict[str, Any]:
    """A run's settings with these in their places: ``KIND.option``, ``training.setting`` or ``setting``.

    Raises:
        UsageError: there is no such place, or it is one that all trials share.
    """
    result = dict(given)
    # Components first: another value may be an option of one.
    for name in sorted(values, key=lambda name: "." in name):
        table, _, key = name.rpartition(".")
        if not table and key in RunSpec.model_fields and key not in {*_ONE_A_SEARCH, "training"}:
            result[key] = values[name]
        elif table == "training" and key in TrainingSpec.model_fields and key not in ("epochs", "cycles"):
            result[table] = {**result.get(table, {}), key: values[name]}
        elif table in RUN_KINDS and table not in _ONE_A_SEARCH:
            use = check(result).use(table)
            result[table] = Use(name=use.name, options={**use.options, key: values[name]})
        else:
            raise UsageError(
                f"The search cannot vary '{name}'; it takes a setting of the run that is not of its data, "
                f"such as image_size, training.learning_rate, or an option of a component, such as "
                f"head.dropout (for {', '.join(kind for kind in RUN_KINDS if kind not in _ONE_A_SEARCH)})."
            )
    return result


def require_possible(given: Mapping[str, Any], search: Search, registry: Registry) -> None:
    """Try each parameter's ends on the run, so that what no component takes is refused before any training.

    Raises:
        UsageError: a name, an option or a value is refused.
    """
    # What the whole space shares first, so that options are tried on the components that there will be.
    base = with_values(given, {name: each.ends[0] for name, each in search.space.items()})
    for name, parameter in search.space.items():
        for value in parameter.ends:
            resolve(with_values(base, {name: value}), registry)


def brackets(budget: int, eta: int) -> list[tuple[int, int]]:
    """Hyperband's brackets as (trials, epochs of the first rung), the most eager to end trials first.

    Of the bracket ``s`` of ``s_max = floor(log_eta(R))``: ``n = ceil((s_max + 1) / (s + 1) * eta**s)``
    trials, the first of its rungs after ``R / eta**s`` epochs (Li et al. 2018, algorithm 1); here rungs are
    at whole powers of ``eta``, as Optuna has them.
    """
    most = 0
    while eta ** (most + 1) <= budget:
        most += 1
    return [(math.ceil((most + 1) * eta**s / (s + 1)), eta ** (most - s)) for s in range(most, -1, -1)]


def shown(value: Value) -> str:
    """A value in few characters, for people."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
