"""What a check is, and what checks are made of."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cxrbench.canonical import jsonable
from cxrbench.options import instantiate
from cxrbench.registry import Component


@dataclass(frozen=True, slots=True)
class Subject:
    """A component under check.

    Attributes:
        component: as it is registered.
        options: those that it is made with.
        root: where a data set's files lie.
    """

    component: Component
    options: Mapping[str, Any]
    root: Path | None

    def make(self) -> Any:
        """The component with its options."""
        return instantiate(self.component, self.options)


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that a component must do.

    Attributes:
        function: raises AssertionError, with a sentence on what was seen, where the component does not do
            it; its docstring says what is right.
        long: whether it compiles a network, and may so take a minute.
    """

    function: Callable[[Subject], None]
    long: bool = False

    @property
    def name(self) -> str:
        """What the component does, such as ``masks_unknown_labels``."""
        return self.function.__name__

    @property
    def advice(self) -> str:
        """What is right, in one sentence."""
        return advice_of(self.function)

    def __str__(self) -> str:
        """The name, for test ids."""
        return self.name

    def run(
        self, component: Component, options: Mapping[str, Any] | None = None, root: Path | None = None
    ) -> None:
        """Check a component made with these options; ``root`` holds the files of a data set that has some.

        Raises:
            AssertionError: it fails; the message says what was seen and what is right. Whatever else the
                component raises comes through as it is.
        """
        try:
            self.function(Subject(component, dict(options or {}), root))
        except AssertionError as error:
            raise AssertionError(
                f"The {component.kind} '{component.name}' fails {self.name}: {error} {self.advice}"
            ) from error


def advice_of(function: Callable[..., object]) -> str:
    """What is right, as the docstring of a check says."""
    return " ".join((inspect.getdoc(function) or "").split())


def require(holds: object, seen: str) -> None:
    """Fail the check that runs, with a sentence on what was ``seen``, where something does not hold."""
    if not holds:
        raise AssertionError(seen)


def same(one: Any, other: Any) -> bool:
    """Whether two arrays, tensors or JSON values hold exactly the same; NaN is the same as NaN."""
    return bool(jsonable(one) == jsonable(other))


@contextmanager
def unchanged(**given: Any) -> Iterator[None]:
    """Require that what is given to a component is the same after the call."""
    before = copy.deepcopy(given)
    yield
    for name, value in given.items():
        require(same(value, before[name]), f"It changes its argument '{name}' in place.")
