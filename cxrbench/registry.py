"""The registry of components: names and targets, loaded only when they are used."""

from __future__ import annotations

import difflib
import importlib
import re
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

from cxrbench.errors import CxrbenchError, UsageError
from cxrbench.guarding import Raised, guarded

RunKind = Literal[
    "dataset",
    "task",
    "sampler",
    "preprocessing",
    "resizer",
    "augmentation",
    "backbone",
    "head",
    "loss",
    "calibrator",
    "thresholds",
    "decision",
]
"""Kinds of which a run has one component each: fields of its spec, parts of its keys, axes of a grid."""

Kind = Literal[RunKind, "explainer", "ensemble", "runtime", "metric"]
"""Every kind; those that no run must have are used on runs that there are, or judge them."""

KINDS: tuple[Kind, ...] = get_args(Kind)
RUN_KINDS: tuple[RunKind, ...] = get_args(RunKind)

NAME = re.compile(r"[A-Za-z0-9][\w.+-]*(/[\w.+/-]+)?")
"""What the command line can read as a component's name."""

_FAMILY = "/*"
_TARGET = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")


class DuplicateComponentError(CxrbenchError):
    """Two components of one kind ask for the same name."""


@dataclass(frozen=True, slots=True)
class Component:
    """A named component that is not imported yet.

    Attributes:
        kind: which Protocol of :mod:`cxrbench.interfaces` it implements.
        name: what the user writes; a family's ends in ``/*``.
        target: ``"module:Class"``.
        version: changes when the component's results change; part of every key.
        summary: one line.
        source: the distribution that registered it.
        fixed: options that the name itself carries (``timm/resnet18`` gives ``{"name": "resnet18"}``).

    Raises:
        CxrbenchError: the name, the target, the version or the summary is not what it should be.
    """

    kind: Kind
    name: str
    target: str
    version: str
    summary: str
    source: str
    fixed: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what could be listed but never used."""
        texts = {"name": self.name, "target": self.target, "version": self.version, "summary": self.summary}
        for what, text in texts.items():
            if not isinstance(text, str) or not text:
                raise CxrbenchError(f"The {what} of the {self.kind} '{self.name}' is {text!r}; give a text.")
        if not NAME.fullmatch(self.name.removesuffix(_FAMILY)):
            raise CxrbenchError(
                f"'{self.name}' cannot be the name of a {self.kind}; use letters, digits and _ . + - /."
            )
        if not _TARGET.fullmatch(self.target):
            raise CxrbenchError(
                f"The target of the {self.kind} '{self.name}' is '{self.target}'; it should be module:Class."
            )

    @property
    def is_family(self) -> bool:
        """Whether the name stands for many, such as ``timm/*``."""
        return self.name.endswith(_FAMILY)

    def load(self) -> type[Any]:
        """Import the target.

        Raises:
            CxrbenchError: the module or the class is not there, the module raises, or the class is none.
        """
        target = guarded(self._imported)
        if isinstance(target, Raised):
            if isinstance(target.error, CxrbenchError):
                raise target.error
            raise CxrbenchError(
                f"The {self.kind} '{self.name}' of {self.source} cannot be loaded from {self.target} "
                f"({target.reason}); reinstall {self.source} or report this to its authors."
            ) from target.error
        if not isinstance(target, type):
            raise CxrbenchError(
                f"The {self.kind} '{self.name}' of {self.source}: {self.target} is not a class."
            )
        return target

    def _imported(self) -> Any:
        module_name, _, attribute = self.target.partition(":")
        return getattr(importlib.import_module(module_name), attribute)


class Registry:
    """All components by kind and name.

    Attributes:
        only_conforming: whether components that failed a check of ``cxrbench plugins check`` are refused
            where they are made to be used (:func:`cxrbench.options.make`).
    """

    def __init__(self) -> None:
        self.only_conforming = False
        self._components: dict[tuple[Kind, str], Component] = {}

    def add(self, component: Component) -> None:
        """Add one component.

        Raises:
            DuplicateComponentError: the name is taken; the message names both sources.
        """
        other = self._components.get((component.kind, component.name))
        if other is not None:
            raise DuplicateComponentError(
                f"The {component.kind} '{component.name}' comes from both {other.source} ({other.target}) "
                f"and {component.source} ({component.target}); uninstall one of them."
            )
        self._components[component.kind, component.name] = component

    def all(self, kind: Kind | None = None) -> list[Component]:
        """Every component, or those of one kind, in order of registration."""
        return [c for c in self._components.values() if kind is None or c.kind == kind]

    def find(self, kind: Kind, name: str) -> Component:
        """The component of that name; a family's member carries its own name in ``fixed``.

        Raises:
            UsageError: there is none; the message gives the near names.
        """
        if (component := self._components.get((kind, name))) and not component.is_family:
            return component
        prefix, slash, member = name.partition("/")
        family = self._components.get((kind, prefix + _FAMILY)) if slash and member not in ("", "*") else None
        if family is not None:
            return replace(family, name=name, fixed={"name": member})
        names = [c.name for c in self.all(kind)]
        near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
        if slash:
            # A family is found by its first part, however long the member's name is.
            near = difflib.get_close_matches(prefix + _FAMILY, names, n=3, cutoff=0.5) or near
        hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(names)}."
        noun = "threshold strategy" if kind == "thresholds" else kind
        raise UsageError(f"There is no {noun} '{name}'; {hint}")
