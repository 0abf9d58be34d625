"""The page of every setting in a file, made of the classes that read files."""

from __future__ import annotations

from collections.abc import Iterable
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel

from cxrbench.cli.run import run
from cxrbench.datasets.manifest_csv.columns import ColumnMap, Columns, Values
from cxrbench.options import Use
from cxrbench.recipes.about import About
from cxrbench.specs import Cycle, RunSpec, TrainingSpec
from cxrbench.tuning.search import Parameter, Search
from docpages.markdown import attributes, code, table

_HEAD = """# Settings

What may stand in a file for `--config` of `cxrbench run`, in a recipe, or in the file on a table of your own;
made of the classes that read them. `config.toml` of a run has all of its settings. What a file does not say
comes from what network, task and data set recommend, in this order, and else from the default below. In a
file for `cxrbench run` a list is an axis: one run for each value.

"""
_RUN = """A setting that has an option of `cxrbench run` is given by it; the others by `--set NAME=value`. A
component is `"NAME:key=value,…"`, or a table with `name` and `options`.

"""
_TRAINING = """Given on the command line by `--set training.NAME=value`, where there is no option.

"""
_SUITE = """## Several recipes: `recipe` and `[override.NAME]`

`recipe = ["NAME", …]` names recipes, each of which gets the other settings of the file, and then those of its
own table `[override.NAME]`. `cxrbench run --full-size` leaves all of these out.

"""
_OWN = """## A table of your own: `csv:config=FILE`

See [your data](../data.md#any-table-of-your-own).

"""
_SIGNS = {Ge: "≥", Gt: ">", Le: "≤", Lt: "<"}


def page() -> str:
    """A section for each table that a file may have."""
    return _HEAD + "\n".join(
        [
            "## A run\n\n" + _RUN + _table(RunSpec, apart={"training"}, options=_options()),
            "## `[training]`\n\n" + _TRAINING + _table(TrainingSpec, apart={"cycles"}, options=_options()),
            "## `[[training.cycles]]`\n\n" + _table(Cycle),
            _SUITE + "## `[recipe]`\n\n" + _table(About),
            "## `[search]`\n\nFor [`cxrbench tune`](../tuning.md).\n\n" + _table(Search, apart={"space"}),
            "### `[search.space]`\n\nA setting by its name, such as `training.learning_rate`, and one of:\n\n"
            + _table(Parameter),
            _OWN + _table(ColumnMap, apart={"columns", "findings", "values"}),
            "### `[columns]`\n\n" + _table(Columns),
            "### `[values]`\n\n`[findings]` has the column of each finding.\n\n" + _table(Values),
        ]
    )


def _options() -> dict[str, str]:
    """The option of ``cxrbench run`` for a setting, by the setting's name."""
    return {name.removeprefix("--").replace("-", "_"): name for each in run.params for name in each.opts}


def _table(model: type[BaseModel], apart: Iterable[str] = (), options: dict[str, str] | None = None) -> str:
    """A row a field, but for those that have tables of their own."""
    told = attributes(model)
    rows = []
    for name, field in model.model_fields.items():
        if name in apart:
            continue
        cells = [code(name), _type(field.annotation, field.metadata), _default(field.get_default())]
        if options is not None:
            cells.append(code(options.get(name, "")))
        rows.append((*cells, told.get(name, "")))
    heads = ["setting", "value", "default", *(["option"] if options is not None else []), "what it is"]
    return table(heads, rows)


def _type(annotation: Any, metadata: Iterable[Any] = ()) -> str:
    """What values a field takes, in words."""
    origin, within = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type(within[0], [*within[1:], *metadata])
    if origin is Literal:
        return ", ".join(map(code, within))
    if origin in (Union, UnionType):
        return " or ".join(_type(each, metadata) for each in within if each is not NoneType)
    if origin in (tuple, dict):
        return "a list" if origin is tuple else "a table"
    plain = {Use: "component", str: "text", bool: "true, false", int: "whole number", float: "number"}
    limits = [f"{_SIGNS[type(each)]} {_bound(each)}" for each in _flat(metadata) if type(each) in _SIGNS]
    return " ".join([plain.get(annotation, "text"), ", ".join(limits)]).strip()


def _flat(metadata: Iterable[Any]) -> Iterable[Any]:
    """Limits, where they stand by themselves or in a field's own annotation."""
    for each in metadata:
        yield from getattr(each, "metadata", None) or [each]


def _bound(limit: Any) -> Any:
    return next(getattr(limit, name) for name in ("ge", "gt", "le", "lt") if hasattr(limit, name))


def _default(value: Any) -> str:
    if isinstance(value, Use):
        return code(str(value))
    if value is None or value in ("", (), {}) or repr(value) == "PydanticUndefined":
        return ""
    return code(str(value).lower() if isinstance(value, bool) else str(value))
