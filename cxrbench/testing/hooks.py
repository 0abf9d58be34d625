"""Checks of hooks that hear of runs: each is called with what small real runs tell, every call once."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from cxrbench.files import sha256
from cxrbench.guarding import Raised, guarded
from cxrbench.report.plugin_sections import shown_sections
from cxrbench.testing.check import require, same
from cxrbench.testing.small_runs import SmallRuns


@dataclass(frozen=True)
class Call:
    """One call of a hook.

    Attributes:
        of: what it was told of, in words.
        answer: what it gave or raised.
        shown: the sections that pages would show of it, or what came of making them; None for other hooks.
        changed: what of its arguments it changed.
    """

    of: str
    answer: object | Raised
    shown: object | Raised
    changed: tuple[str, ...]


@dataclass(frozen=True)
class Heard:
    """A hook of a plugin under check.

    Attributes:
        hook: its name.
        call: the plugin's implementation, which takes the hook's arguments by name.
        told: the arguments of each call.
    """

    hook: str
    call: Callable[..., Any]
    told: Sequence[Mapping[str, Any]]

    @classmethod
    def of(cls, hook: str, call: Callable[..., Any], runs: SmallRuns) -> Heard:
        """The hook with what runs tell it."""
        told = {"epoch_ended": runs.epochs, "artifact_written": runs.artifacts, "report_sections": runs.runs}
        return cls(hook, call, told[hook])

    @cached_property
    def calls(self) -> list[Call]:
        """Each call, made when it is first asked for."""
        return [self.called_with(values) for values in self.told]

    def called_with(self, values: Mapping[str, Any]) -> Call:
        """Call the hook with a copy of these arguments."""
        given = copy.deepcopy(dict(values))
        files = _files(values.get("folder"))
        answer = guarded(partial(self.call, **given))
        shown: object = None
        if self.hook == "report_sections" and not isinstance(answer, Raised):
            # Not before: what it gives may be made while it is read.
            shown = guarded(partial(shown_sections, answer))
        changed = [name for name, value in given.items() if not same(value, values[name])]
        if _files(values.get("folder")) != files:
            changed.append("the files of folder")
        return Call(_name(values), answer, shown, tuple(changed))


def takes_what_runs_tell(heard: Heard) -> None:
    """It takes epochs, artifacts or runs of all kinds, also with undefined figures, and raises nothing."""
    for call in heard.calls:
        _require_an_answer(call)


def takes_undefined_figures(heard: Heard) -> None:
    """Figures of an epoch are NaN where val has no positives; they are taken as others are."""
    values = copy.deepcopy(dict(heard.told[-1]))
    epoch = values["epoch"]
    epoch |= {name: math.nan for name in epoch if name.startswith(("macro_", "mean_", "val_"))}
    epoch["epoch"] += 1
    _require_an_answer(heard.called_with(values))


def answers_nothing(heard: Heard) -> None:
    """It looks on: nobody takes what it returns."""
    for call in heard.calls:
        require(call.answer is None, f"Of {call.of} it returns {type(call.answer).__name__}.")


def gives_sections_that_can_be_shown(heard: Heard) -> None:
    """It gives a list of Sections, of texts, Tables and Pictures; an empty one for none."""
    for call in heard.calls:
        if isinstance(call.shown, Raised):
            raise AssertionError(
                f"Of {call.of} it gives {type(call.answer).__name__} that cannot be shown "
                f"({call.shown.reason})."
            ) from call.shown.error


def leaves_alone_what_it_is_given(heard: Heard) -> None:
    """Its arguments, and files in the folder, are what they were; what it changes is lost, or damage."""
    for call in heard.calls:
        require(not call.changed, f"Of {call.of} it changes {' and '.join(call.changed)}.")


_OBSERVER = (answers_nothing, leaves_alone_what_it_is_given)

CHECKS: Mapping[str, Sequence[Callable[[Heard], None]]] = {
    "epoch_ended": (takes_undefined_figures, *_OBSERVER),
    "artifact_written": _OBSERVER,
    "report_sections": (gives_sections_that_can_be_shown, leaves_alone_what_it_is_given),
}
"""By hook, after :func:`takes_what_runs_tell`, without which they say nothing."""


def _require_an_answer(call: Call) -> None:
    if isinstance(call.answer, Raised):
        raise AssertionError(f"Of {call.of} it raises {call.answer.reason}.") from call.answer.error


def _name(values: Mapping[str, Any]) -> str:
    if "epoch" in values:
        return f"epoch {values['epoch']['epoch']}"
    if "artifact_id" in values:
        return str(values["artifact_id"])
    return str(values["run_id"])


def _files(folder: Path | None) -> dict[str, str]:
    """The content of every file below a folder, as its hash."""
    if folder is None:
        return {}
    return {str(path): sha256(path) for path in sorted(folder.rglob("*")) if path.is_file()}
