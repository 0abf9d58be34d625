"""Age, sex and view of images: from a table beside them, from DICOM, or as given for all."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from cxrbench.datasets.manifest_csv.columns import SEX, VIEW, Columns, found_columns
from cxrbench.datasets.tables import ages, known_or_none, read_text_table
from cxrbench.errors import UsageError
from cxrbench.predicting.header import Header, Sex, View

ASSUMED = {
    "age": "50 years",
    "sex": "halfway between M and F",
    "view": "halfway between PA and AP",
}
"""What .5 means to a network, which stands for what is unknown."""


@dataclass(frozen=True)
class Facts:
    """What is known of the patient of an image.

    Attributes:
        age: in years; NaN where unknown.
        sex: None where unknown.
        view: None where unknown.
    """

    age: float = math.nan
    sex: Sex | None = None
    view: View | None = None

    def or_else(self, other: Facts) -> Facts:
        """These facts, with another's where they are unknown."""
        age = other.age if math.isnan(self.age) else self.age
        return Facts(age, self.sex or other.sex, self.view or other.view)

    @property
    def unknown(self) -> tuple[str, ...]:
        """Names of the facts that are unknown."""
        known = {"age": not math.isnan(self.age), "sex": self.sex, "view": self.view}
        return tuple(name for name, there in known.items() if not there)


@dataclass(frozen=True)
class Patients:
    """Where facts come from: the table before DICOM, and what is given for all where neither knows.

    Attributes:
        given: for all images.
        table: by the image's path, resolved.
    """

    given: Facts = field(default_factory=Facts)
    table: Mapping[Path, Facts] = field(default_factory=dict)

    def of(self, path: Path, header: Header | None) -> Facts:
        """What is known of an image's patient."""
        told = self.table.get(path.resolve(), Facts())
        if header is not None:
            told = told.or_else(Facts(header.age, header.sex, header.view))
        return told.or_else(self.given)


def patients_table(table: Path, files: Sequence[Path]) -> tuple[dict[Path, Facts], int]:
    """Facts by file, of a CSV beside images, and how many of its rows are of none of the files.

    Its columns have the names that tables of data sets may have (``image``, ``age``, ``sex``, ``view`` and
    other usual ones). ``image`` is a path from the table's folder, or the name of one file anywhere.

    Raises:
        CxrbenchError: it is missing or no table.
        UsageError: it lacks columns, has an image twice, or names none of the files.
    """
    rows = read_text_table(table)
    columns = found_columns(Columns(), rows.columns, table)
    if "image" not in columns or not {"age", "sex", "view"} & set(columns):
        raise UsageError(f"The table {table} needs a column 'image' and one of 'age', 'sex' and 'view'.")
    blank = rows[columns["image"]].map(lambda _: "")
    texts = {name: rows[columns[name]] if name in columns else blank for name in ("age", "sex", "view")}
    facts = zip(
        ages(texts["age"]), known_or_none(texts["sex"], SEX), known_or_none(texts["view"], VIEW), strict=True
    )
    by_path = {path.resolve(): path for path in files}
    names = Counter(path.name for path in by_path)
    by_name = {path.name: path for path in by_path if names[path.name] == 1}
    found: dict[Path, Facts] = {}
    strangers = 0
    for image, (age, sex, view) in zip(rows[columns["image"]], facts, strict=True):
        path = (table.parent / image).resolve()
        path = path if path in by_path else by_name.get(image, path)
        if path not in by_path:
            strangers += 1
        elif path in found:
            raise UsageError(f"The table {table} has {image} more than once; keep one row an image.")
        else:
            found[path] = Facts(float(age), cast("Sex | None", sex), cast("View | None", view))
    if not found:
        raise UsageError(
            f"None of the {len(rows):,} rows of {table} is of one of the files; its column "
            f"'{columns['image']}' takes paths from the table's folder."
        )
    return found, strangers
