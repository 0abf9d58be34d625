"""Which column of a user's own table means what: a TOML file, or names that are widely used."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cxrbench.errors import UsageError

Uncertain = Literal["mask", "zero", "one"]

SEX = {"m": "M", "male": "M", "f": "F", "female": "F"}
VIEW = {"pa": "PA", "ap": "AP"}
ROLE = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "tune": "tune",
    "test": "test",
    "testing": "test",
    "train_val": "train_val",
}
LABEL = {"1": "1", "1.0": "1", "true": "1", "0": "0", "0.0": "0", "false": "0", "-1": "-1", "-1.0": "-1"}
LABEL |= dict.fromkeys(("", "nan", "na"), "")
"""Values that need no map, in any case."""

_USUAL = {
    "image": ("image", "image_id", "path", "file", "filename", "image index"),
    "patient": ("patient", "patient_id", "patient id", "subject_id"),
    "age": ("age", "patient_age", "patient age"),
    "sex": ("sex", "gender", "patient_sex", "patient sex", "patient gender"),
    "view": ("view", "view_position", "view position", "viewposition", "ap/pa"),
    "role": ("role", "split", "official"),
    "labels": ("labels", "findings", "finding labels"),
}
"""Names under which a column is found where the TOML does not say, in any case."""


class Columns(BaseModel):
    """Names of the table's columns; None where it has none."""

    model_config = ConfigDict(extra="forbid")

    image: str | None = None
    patient: str | None = None
    age: str | None = None
    sex: str | None = None
    view: str | None = None
    role: str | None = None
    labels: str | None = None


class Values(BaseModel):
    """What the table's values mean, beside those that are understood anyway."""

    model_config = ConfigDict(extra="forbid")

    sex: dict[str, Literal["M", "F"]] = Field(default_factory=dict)
    view: dict[str, Literal["PA", "AP"]] = Field(default_factory=dict)
    role: dict[str, Literal["train", "val", "tune", "test", "train_val"]] = Field(default_factory=dict)
    label: dict[str, Literal["1", "0", "-1", ""]] = Field(default_factory=dict)


class ColumnMap(BaseModel):
    """A TOML file on a table of the user's own.

    Attributes:
        table: the CSV file, below the data root or beside the TOML file.
        name: of the data set, for tables and figures; the CSV file's name without it.
        label_version: which labels these are; a hash of the CSV file without it.
        task: ``multilabel``, or ``singlelabel`` where each image has exactly one of the classes.
        uncertain: what -1 means: ``mask`` (unknown), ``zero``, ``one``.
        folder: prefix of every image's path.
        suffix: ending of every image's path that has none.
        separator: between the findings of the column ``labels``.
        columns: names of the columns.
        findings: column of each finding by its name, or, where there is a column ``labels``, the text in it.
            Without them a column of a usual name for ``labels`` is read where no column is called like a
            known finding, and only where all its texts are known findings.
        values: what values mean.
    """

    model_config = ConfigDict(extra="forbid")

    table: str = ""
    name: str = ""
    label_version: str = ""
    task: Literal["multilabel", "singlelabel"] = "multilabel"
    uncertain: Uncertain = "mask"
    folder: str = ""
    suffix: str = ""
    separator: str = Field(default="|", min_length=1)
    columns: Columns = Field(default_factory=Columns)
    findings: dict[str, str] = Field(default_factory=dict)
    values: Values = Field(default_factory=Values)


def read_column_map(path: Path) -> ColumnMap:
    """Read and check the TOML file.

    Raises:
        UsageError: it is missing, no TOML, or has a key or a value that is not known.
    """
    try:
        return ColumnMap.model_validate(tomllib.loads(path.read_text(encoding="utf-8-sig")))
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read ({error.strerror}); csv:config=FILE names a TOML file."
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not TOML ({error}); correct it.") from error
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        if first["type"] == "extra_forbidden":
            *above, last = map(str, first["loc"])
            models: dict[str, type[BaseModel]] = {"": ColumnMap, "columns": Columns, "values": Values}
            known = models[".".join(above)].model_fields
            raise UsageError(f"{path} has the unknown key '{key}'; {near(last, known)}.") from error
        raise UsageError(f"{path} has a wrong value of '{key}': {first['msg']}.") from error


def found_columns(columns: Columns, header: Iterable[str], path: Path) -> dict[str, str]:
    """The table's column of each kind, as told or under its usual name; kinds that it lacks are left out.

    Raises:
        UsageError: a column that is told is not in the table; the sentence has the near names.
    """
    names = list(header)
    by_folded = {name.casefold(): name for name in reversed(names)}
    found = {}
    for kind, usual in _USUAL.items():
        told = getattr(columns, kind)
        if told is not None:
            found[kind] = require_column(told, names, path)
        else:
            found.update((kind, by_folded[name]) for name in reversed(usual) if name in by_folded)
    return found


def require_column(name: str, header: Iterable[str], path: Path) -> str:
    """The name itself.

    Raises:
        UsageError: the table has no such column; the sentence has the near names.
    """
    names = list(header)
    if name not in names:
        raise UsageError(f"The table {path} has no column '{name}'; {near(name, names)}.")
    return name


def near(name: str, known: Iterable[str]) -> str:
    """The known names that are near a mistyped one, all where none is, as the end of a sentence."""
    names = list(known)
    by_folded: Mapping[str, str] = {known.casefold(): known for known in names}
    close = [by_folded[match] for match in get_close_matches(name.casefold(), by_folded, n=3)]
    return f"did you mean {' or '.join(close)}" if close else f"there are {', '.join(names)}"


def folded(values: Mapping[str, str]) -> dict[str, str]:
    """The values that a TOML maps, in any case."""
    return {text.casefold(): meaning for text, meaning in values.items()}
