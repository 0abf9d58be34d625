"""Labels of a user's own, such as a panel's, that take the place of a data set's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from cxrbench.datasets.tables import text_cells
from cxrbench.errors import UsageError
from cxrbench.files import sha256
from cxrbench.findings import NO_FINDING, class_of
from cxrbench.task import Task

_ID = ("image_id", "Image Index", "Image ID")
_STRING = "Finding Labels"
_UNKNOWN = -1.0
_VALUES = {text: float(text or "nan") for text in ("1", "1.0", "0", "0.0", "-1", "-1.0", "")}
_VALUES |= {"yes": 1.0, "no": 0.0}
_ACCEPTED = (
    f"it takes {' or '.join(_ID)}, and either '{_STRING}' or a column for each finding with 1 or YES, 0 or "
    "NO, -1 (unknown) or nothing (as it was)"
)


@dataclass(frozen=True)
class LabelOverlay:
    """A file of labels, one row an image.

    Attributes:
        name: of the file, for messages.
        version: of its content.
        table: the cells as text without blanks around, indexed by image id, the columns as they are spelled.
    """

    name: str
    version: str
    table: pd.DataFrame

    @classmethod
    def read(cls, path: Path) -> LabelOverlay:
        """Read a CSV file; what its columns mean is seen when it meets a task.

        Raises:
            UsageError: the file is missing, no table, without image ids, or names an image twice.
        """
        if not path.is_file():
            raise UsageError(f"There is no file {path}; --labels takes a CSV file of labels.")
        try:
            table = text_cells(path)
        except (ValueError, OSError) as error:
            reason = str(error).splitlines()[0]
            raise UsageError(f"{path} cannot be read as CSV ({reason}); {_ACCEPTED}.") from error
        name = next((name for name in _ID if name in table), None)
        if name is None:
            raise UsageError(f"{path} has no column with image ids; {_ACCEPTED}.")
        table = table.set_index(name)
        if not table.index.is_unique:
            repeated = table.index[table.index.duplicated()][0]
            raise UsageError(f"{path} has the image {repeated} twice; leave one row an image.")
        return cls(path.name, sha256(path)[:12], table)

    @property
    def image_ids(self) -> pd.Index[str]:
        """The images that it tells of."""
        return self.table.index

    def apply(self, labels: pd.DataFrame, task: Task) -> tuple[pd.DataFrame, str]:
        """The labels ``[n, classes]`` with these in their place, and a sentence on how many there were.

        Columns that are no finding of the task, such as a reader's name, tell nothing; the sentence names
        them.

        Raises:
            UsageError: no column is a finding of the task, a cell is no label, or an image of a single-label
                task has not one class then.
        """
        told, ignored = self._told(task)
        here = told.index.intersection(labels.index)
        before, given = labels.loc[here], told.loc[here]
        after = before.mask(given.notna(), given.where(given != _UNKNOWN)).astype("float32")
        sums = after.sum(axis=1, skipna=False)
        if task.kind == "singlelabel" and not (sums.isna() | (sums == 1)).all():
            image_id = sums.index[sums.notna() & (sums != 1)][0]
            raise UsageError(
                f"With {self.name} the image {image_id} has not one class; give it a label for each class."
            )
        changed = labels.copy()
        changed.loc[here] = after
        number = int((before.ne(after) & ~(before.isna() & after.isna())).to_numpy().sum())
        strangers = len(told) - len(here)
        absent = f" ({strangers:,} of them not at hand)" if strangers else ""
        unused = f"; not findings, and not used: {', '.join(ignored)}" if ignored else ""
        return changed, (
            f"{self.name} tells {len(told):,} images{absent} and changes {number:,} labels{unused}."
        )

    def _told(self, task: Task) -> tuple[pd.DataFrame, list[str]]:
        """What is told of each image and class: 1, 0, -1 for unknown, NaN for nothing; columns not used."""
        columns: dict[str, str] = {}
        ignored = []
        for name in map(str, self.table):
            found = class_of(name, task.classes)
            if found is None:
                ignored += [name] if name != _STRING else []
            elif found in columns:
                raise UsageError(f"{self.name} has two columns of {found}; leave one of them.")
            else:
                columns[found] = name
        if _STRING in self.table:
            if columns:
                beside = next(iter(columns.values()))
                raise UsageError(f"{self.name} has '{beside}' beside '{_STRING}'; {_ACCEPTED}.")
            return self._of_strings(task), ignored
        if not columns:
            raise UsageError(f"{self.name} has no column that is a finding; {_ACCEPTED}.")
        told = pd.DataFrame(np.nan, index=self.table.index, columns=list(task.classes))
        for found, name in columns.items():
            cells = self.table[name].str.casefold()
            wrong = cells[~cells.isin(_VALUES)]
            if len(wrong):
                where = f"under '{name}' for image {wrong.index[0]}"
                cell = self.table.loc[wrong.index[0], name]
                raise UsageError(f"{self.name} has '{cell}' {where}; {_ACCEPTED}.")
            told[found] = cells.map(_VALUES)
        return told, ignored

    def _of_strings(self, task: Task) -> pd.DataFrame:
        """As :meth:`_told`, of strings such as ``Cardiomegaly|Emphysema``, which tell every class."""
        rows = {"": [np.nan] * len(task.classes)}
        for string in self.table[_STRING].unique():
            if not string:
                continue
            parts = {part.strip() for part in string.split("|")}
            found = {class_of(part, task.classes) for part in parts - {NO_FINDING}}
            if None in found:
                raise UsageError(
                    f"{self.name} has the label '{string}'; the classes are {', '.join(task.classes)}."
                )
            found |= parts & {NO_FINDING}
            rows[string] = [float(name in found) for name in task.classes]
        values = [rows[string] for string in self.table[_STRING]]
        return pd.DataFrame(values, index=self.table.index, columns=list(task.classes), dtype="float64")
