"""Names with options: ``NAME[:key=value[,key=value]]``, checked against the component's constructor."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Mapping
from functools import partial
from typing import Any, Literal, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic.fields import FieldInfo

from cxrbench.conformance.verdicts import failed_checks, failed_options
from cxrbench.errors import CxrbenchError, UsageError
from cxrbench.guarding import Raised, guarded
from cxrbench.registry import NAME, Component, Kind, Registry

_KEYWORDS = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


class Use(BaseModel):
    """A component by name, with the options that the user gave."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    options: dict[str, Any] = Field(default_factory=dict)

    def __str__(self) -> str:
        """The form that the command line takes."""
        pairs = ",".join(f"{key}={value}" for key, value in self.options.items())
        return f"{self.name}:{pairs}" if pairs else self.name


def parse_uses(text: str) -> list[Use]:
    """Read ``youden,dynamic:min_precision=0.4,step=0.1`` as two uses.

    A piece with ``=`` and no ``NAME:`` before it belongs to the component before it.

    Raises:
        UsageError: a name or an option is missing or malformed.
    """
    uses: list[Use] = []
    for piece in text.split(","):
        head, colon, tail = piece.strip().partition(":")
        # A colon behind the = is part of the value.
        if "=" not in head:
            if not NAME.fullmatch(head):
                raise UsageError(f"'{text}' is not NAME[:key=value,…]: '{piece.strip()}' holds no name.")
            uses.append(Use(name=head))
            if not colon:
                continue
        else:
            tail = piece
        key, equals, value = (part.strip() for part in tail.partition("="))
        if not (uses and equals and key.isidentifier() and value):
            raise UsageError(f"'{text}' is not NAME[:key=value,…]: '{piece.strip()}' holds no key=value.")
        if key in uses[-1].options:
            raise UsageError(f"'{text}' gives the option '{key}' of {uses[-1].name} twice.")
        uses[-1].options[key] = value
    return uses


def parse_use(option: str, text: str) -> Use:
    """Read the one use that an option of the command line takes.

    Raises:
        UsageError: it is malformed, or there are several.
    """
    uses = parse_uses(text)
    if len(uses) != 1:
        raise UsageError(f"{option} takes one name, not {len(uses)}.")
    return uses[0]


def option_model(component: Component) -> type[BaseModel]:
    """A pydantic model of a component's options: the keywords of its constructor.

    Raises:
        CxrbenchError: the component cannot be loaded, or an annotation of its constructor cannot be read.
    """
    model = guarded(partial(_model_of, component.load()))
    if isinstance(model, Raised):
        (first, *_) = str(model.error).splitlines() or [model.reason]
        raise CxrbenchError(
            f"The options of the {component.kind} '{component.name}' of {component.source} cannot be read "
            f"({first}); its constructor's annotations must be types that pydantic knows, imported where the "
            "class is defined."
        ) from model.error
    return model


def _model_of(target: type[Any]) -> type[BaseModel]:
    made = {field.name: field for field in dataclasses.fields(target)} if _is_dataclass(target) else {}
    hints = get_type_hints(target if made else target.__init__, include_extras=True)
    fields: dict[str, Any] = {
        name: (hints.get(name, Any), _default(parameter, made.get(name)))
        for name, parameter in inspect.signature(target).parameters.items()
        if parameter.kind in _KEYWORDS
    }
    config = ConfigDict(extra="forbid", allow_inf_nan=False)
    return create_model(target.__name__, __config__=config, **fields)


def _is_dataclass(target: type[Any]) -> bool:
    return dataclasses.is_dataclass(target)


def _default(parameter: inspect.Parameter, field: dataclasses.Field[Any] | None) -> Any:
    """A parameter's default as pydantic takes it: ``...`` where there is none."""
    if field is not None and field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return ... if parameter.default is parameter.empty else parameter.default


def _checked(component: Component, options: Mapping[str, Any]) -> BaseModel:
    model = option_model(component)
    for key in component.fixed:
        if key in options:
            raise UsageError(_refusal(component, model, f"carries '{key}' in its name"))
    values = _choices_of_text(model, {**options, **component.fixed})
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise UsageError(_refusal(component, model, _explain(values, error))) from error


def _choices_of_text(model: type[BaseModel], values: Mapping[str, Any]) -> dict[str, Any]:
    """The values with text as the choice that it names, as pydantic makes no numbers of text in a Literal."""
    chosen = dict(values)
    for name, info in model.model_fields.items():
        if isinstance(values.get(name), str) and get_origin(info.annotation) is Literal:
            by_text = {str(choice): choice for choice in get_args(info.annotation)}
            chosen[name] = by_text.get(values[name], values[name])
    return chosen


def bind(component: Component, options: Mapping[str, Any]) -> dict[str, Any]:
    """All options of a component as JSON values, the given ones checked and the others at their defaults.

    What the component's own name carries is not among them, and cannot be given.

    Raises:
        UsageError: an option is unknown, mistyped or out of range; the accepted ones are listed.
    """
    return _checked(component, options).model_dump(mode="json", exclude=set(component.fixed))


def non_default(component: Component, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a component that differ from its defaults: what goes into a key.

    Raises:
        UsageError: as :func:`bind`.
    """
    checked = _checked(component, options)
    return checked.model_dump(mode="json", exclude=set(component.fixed), exclude_defaults=True)


def instantiate(component: Component, options: Mapping[str, Any]) -> Any:
    """The component with these options.

    Raises:
        UsageError: as :func:`bind`, or the component itself refuses their combination.
        CxrbenchError: its constructor raises something else.
    """
    checked = _checked(component, options)
    values = {name: getattr(checked, name) for name in type(checked).model_fields}
    target = component.load()
    made: Any = guarded(lambda: target(**values))
    if isinstance(made, Raised):
        if isinstance(made.error, CxrbenchError):
            raise made.error
        raise CxrbenchError(
            f"The {component.kind} '{component.name}' of {component.source} cannot be made ({made.reason}); "
            "give it other options, or report this to its authors."
        ) from made.error
    return made


def failed_and_refused(component: Component, registry: Registry) -> tuple[str, ...]:
    """The checks for which a component is refused where only conforming ones are wanted; none otherwise."""
    return failed_checks(component) if registry.only_conforming else ()


def make(use: Use, kind: Kind, registry: Registry) -> Any:
    """The component that a use names, with its options.

    Raises:
        UsageError: there is no such component, it failed a check and only conforming ones are wanted
            (:attr:`cxrbench.registry.Registry.only_conforming`), or as :func:`instantiate`.
    """
    component = registry.find(kind, use.name)
    if failed := failed_and_refused(component, registry):
        failing = (Use(name=component.name, options=options) for options in failed_options(component))
        again = " and ".join(f"cxrbench plugins check {kind}/{each}" for each in failing)
        raise UsageError(
            f"The {kind} '{component.name}' of {component.source} failed {', '.join(failed)} when last "
            f"checked; mend it and check it again ({again}), or use it all the same with "
            "--allow-nonconforming, which what is made of it will say."
        )
    return instantiate(component, use.options)


def describe(component: Component) -> list[dict[str, Any]]:
    """The options of a component for people: name, type in words, whether it is required, default."""
    fields = option_model(component).model_fields
    return [
        {
            "name": name,
            "type": _type_in_words(info),
            "required": info.is_required(),
            "default": None if info.is_required() else info.default,
        }
        for name, info in fields.items()
        if name not in component.fixed
    ]


def _type_in_words(info: FieldInfo) -> str:
    """Such as ``float, ≥ 0, ≤ 1`` or ``one of steps, scores``."""
    annotation = info.annotation
    if get_origin(annotation) is Literal:
        return f"one of {', '.join(map(str, get_args(annotation)))}"
    if any(get_origin(part) in (Mapping, dict, list, tuple) for part in (annotation, *get_args(annotation))):
        return "table or list, in TOML"
    base = annotation.__name__ if isinstance(annotation, type) else str(annotation)
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    limits = [
        f"{sign} {getattr(limit, name)}"
        for limit in info.metadata
        for name, sign in signs.items()
        if getattr(limit, name, None) is not None
    ]
    return ", ".join([base, *limits])


def _explain(values: Mapping[str, Any], error: ValidationError) -> str:
    first = error.errors()[0]
    key = str(first["loc"][0])
    if len(first["loc"]) == 1 and first["type"] == "extra_forbidden":
        return f"has no option '{key}'"
    if len(first["loc"]) == 1 and first["type"] == "missing":
        return f"needs the option '{key}'"
    message = first["msg"][:1].lower() + first["msg"][1:]
    return f"cannot take {key}={values[key]!r}: {message}"


def _refusal(component: Component, model: type[BaseModel], what: str) -> str:
    accepted = ", ".join(
        f"{name} ({'required' if info.is_required() else info.default})"
        for name, info in model.model_fields.items()
        if name not in component.fixed
    )
    options = f"its options are {accepted}" if accepted else "it takes no options"
    return f"The {component.kind} '{component.name}' {what}; {options}."
