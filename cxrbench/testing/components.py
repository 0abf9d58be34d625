"""Checks of components of every kind: they load, say what they are, and take options that can be checked."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, get_type_hints

from cxrbench import interfaces
from cxrbench.errors import UsageError
from cxrbench.options import bind, option_model
from cxrbench.registry import Kind
from cxrbench.specs import RunSpec, TrainingSpec
from cxrbench.testing.check import Check, Subject, require

_PROTOCOLS: dict[Kind, type[Any]] = {
    "dataset": interfaces.Dataset,
    "task": interfaces.TaskDefinition,
    "sampler": interfaces.Sampler,
    "preprocessing": interfaces.Preprocessing,
    "resizer": interfaces.Resizer,
    "augmentation": interfaces.Augmentation,
    "backbone": interfaces.Backbone,
    "head": interfaces.Head,
    "loss": interfaces.Loss,
    "calibrator": interfaces.Calibrator,
    "thresholds": interfaces.ThresholdStrategy,
    "decision": interfaces.DecisionRule,
    "runtime": interfaces.Runtime,
    "explainer": interfaces.Explainer,
    "ensemble": interfaces.EnsembleSearch,
    "metric": interfaces.Metric,
}


def says_what_it_is(subject: Subject) -> None:
    """The class has a docstring; its registration a version and a summary of one line."""
    component, cls = subject.component, subject.component.load()
    doc = cls.__doc__ or ""
    # A dataclass without a docstring gets its signature for one.
    require(doc and not doc.startswith(f"{cls.__name__}("), f"{component.target} has no docstring.")
    require(component.version, "It is registered without a version.")
    require("\n" not in component.summary, "Its summary has more than one line.")


def has_the_methods(subject: Subject) -> None:
    """Methods and their parameters are named as in the Protocol of the kind in cxrbench.interfaces."""
    cls, protocol = subject.component.load(), _PROTOCOLS[subject.component.kind]
    for name, expected in inspect.getmembers(protocol, inspect.isfunction):
        if name.startswith("_"):
            continue
        method = getattr(cls, name, None)
        require(callable(method), f"{cls.__name__} has no method '{name}'.")
        found = tuple(inspect.signature(method).parameters) if callable(method) else ()
        wanted = tuple(inspect.signature(expected).parameters)
        require(found == wanted, f"{name} takes {', '.join(found)}, not {', '.join(wanted)}.")


def has_typed_options(subject: Subject) -> None:
    """Every option is a keyword of the constructor with a type annotation, so that it can be checked."""
    cls = subject.component.load()
    hints = get_type_hints(cls if hasattr(cls, "__dataclass_fields__") else cls.__init__)
    for name, parameter in inspect.signature(cls).parameters.items():
        require(
            parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY),
            f"The constructor takes '{parameter}'.",
        )
        require(hints.get(name, Any) not in (Any, object), f"The option '{name}' has no type.")


def has_options_that_can_be_stored(subject: Subject) -> None:
    """Defaults and options are valid by their own types, also after being written to a spec and read back."""
    stored = bind(subject.component, subject.options)
    again = bind(subject.component, stored)
    require(again == stored, f"{stored} is read back as {again}.")
    subject.make()


def refuses_wrong_options(subject: Subject) -> None:
    """An unknown option, or a value of no sensible type, is refused before any work."""
    for name in ("no_such_option", *option_model(subject.component).model_fields):
        if name in subject.component.fixed:
            continue
        try:
            bind(subject.component, {**subject.options, name: object()})
        except UsageError:
            continue
        require(False, f"{name}=object() is accepted.")


def declares_its_tasks(subject: Subject) -> None:
    """The attribute 'tasks' is a frozenset of 'multilabel' and 'singlelabel', one or both."""
    tasks = subject.make().tasks
    require(
        isinstance(tasks, frozenset) and tasks and tasks <= {"multilabel", "singlelabel"},
        f"It is {tasks!r}.",
    )


def settings_that_exist(settings: Mapping[str, object]) -> None:
    """Require that what a component recommends are settings of a run, with values that they accept."""
    require(isinstance(settings, Mapping), f"It recommends {settings!r}, no mapping.")
    training = set(TrainingSpec.model_fields)
    known = training | set(RunSpec.model_fields) - {"training", "dataset"}
    unknown = settings.keys() - known
    require(not unknown, f"There are no settings {', '.join(sorted(map(str, unknown)))}.")
    # Pydantic's own error says which value is wrong; it is a ValueError.
    try:
        TrainingSpec.model_validate({k: v for k, v in settings.items() if k in training})
        RunSpec.model_validate({k: v for k, v in settings.items() if k not in training})
    except ValueError as error:
        raise AssertionError(str(error)) from error


CHECKS = tuple(
    map(
        Check,
        (
            says_what_it_is,
            has_the_methods,
            has_typed_options,
            has_options_that_can_be_stored,
            refuses_wrong_options,
        ),
    )
)
