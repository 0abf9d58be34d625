"""Names with options: ``NAME[:key=value[,key=value]]``, checked against the component's constructor."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from cxrbench.errors import UsageError
from cxrbench.registry import Component

_NAME = re.compile(r"[A-Za-z0-9][\w.+-]*(/[\w.+/-]+)?")


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

    A piece with ``=`` and no name before it belongs to the component before it.

    Raises:
        UsageError: a name or an option is missing or malformed.
    """
    uses: list[Use] = []
    for piece in text.split(","):
        head, colon, tail = piece.strip().partition(":")
        if colon or "=" not in head:
            if not _NAME.fullmatch(head):
                raise UsageError(f"'{text}' is not NAME[:key=value,…]: '{piece.strip()}' holds no name.")
            uses.append(Use(name=head))
            if not colon:
                continue
        else:
            tail = head
        key, equals, value = (part.strip() for part in tail.partition("="))
        if not (uses and equals and key.isidentifier() and value):
            raise UsageError(f"'{text}' is not NAME[:key=value,…]: '{piece.strip()}' holds no key=value.")
        if key in uses[-1].options:
            raise UsageError(f"'{text}' gives the option '{key}' of {uses[-1].name} twice.")
        uses[-1].options[key] = value
    return uses


def option_model(target: Callable[..., Any]) -> type[BaseModel]:
    """A pydantic model of a component's options: the keywords of its constructor."""
    signature = inspect.signature(target)
    hints = get_type_hints(target if _is_dataclass_like(target) else target.__init__, include_extras=True)
    fields: dict[str, Any] = {
        name: (hints.get(name, Any), ... if parameter.default is parameter.empty else parameter.default)
        for name, parameter in signature.parameters.items()
        if parameter.kind is not parameter.VAR_KEYWORD
    }
    return create_model(target.__name__, __config__=ConfigDict(extra="forbid", allow_inf_nan=False), **fields)


def _is_dataclass_like(target: Callable[..., Any]) -> bool:
    return hasattr(target, "__dataclass_fields__")


def bind(component: Component, options: Mapping[str, Any]) -> dict[str, Any]:
    """All options of a component, the given ones checked and the others at their defaults.

    Raises:
        UsageError: an option is unknown, mistyped or out of range; the accepted ones are listed.
    """
    model = option_model(component.load())
    try:
        bound = model.model_validate({**options, **component.fixed})
    except ValidationError as error:
        raise UsageError(_explain(component, model, error)) from error
    return bound.model_dump(mode="json")


def non_default(component: Component, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a component that differ from its defaults: what goes into a key."""
    model = option_model(component.load())
    bound = model.model_validate({**options, **component.fixed})
    return bound.model_dump(mode="json", exclude_defaults=True)


def instantiate(component: Component, options: Mapping[str, Any]) -> Any:
    """The component with these options, checked as :func:`bind` checks them."""
    model = option_model(component.load())
    values = model.model_validate({**bind(component, options)})
    return component.load()(**{name: getattr(values, name) for name in model.model_fields})


def _explain(component: Component, model: type[BaseModel], error: ValidationError) -> str:
    first = error.errors()[0]
    key = str(first["loc"][0]) if first["loc"] else "?"
    accepted = ", ".join(
        f"{name} ({'required' if info.is_required() else info.default})"
        for name, info in model.model_fields.items()
        if name not in component.fixed
    )
    what = {
        "extra_forbidden": f"has no option '{key}'",
        "missing": f"needs the option '{key}'",
    }.get(first["type"])
    if what is None:
        message = first["msg"][:1].lower() + first["msg"][1:]
        what = f"cannot take {key}={first['input']!r}: {message}"
    options = f"its options are {accepted}" if accepted else "it takes no options"
    return f"The {component.kind} '{component.name}' {what}; {options}."
