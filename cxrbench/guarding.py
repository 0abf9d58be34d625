"""Code of plugins called so that whatever it raises takes nothing else down."""

from __future__ import annotations

import contextlib
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from cxrbench.time_limit import Over

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Raised:
    """What somebody else's code raised.

    Attributes:
        reason: its type and text, on one line.
        trace: the traceback.
        error: itself.
    """

    reason: str
    trace: str
    error: BaseException


def guarded(call: Callable[[], T]) -> T | Raised:
    """What a plugin's code answers, or what it raised; nothing that it prints reaches stdout.

    An interrupt of the user's, and the end of a time limit, are no fault of the plugin's and come through.
    """
    # One of the two places where any exception is met: a plugin is somebody else's code, and whatever it
    # raises (its call of sys.exit, an exception that is no Exception) must not take down others, or hours of
    # work. The traceback is kept.
    try:
        # stdout is for the command's answer alone.
        with contextlib.redirect_stdout(sys.stderr):
            return call()
    except (KeyboardInterrupt, Over):
        raise
    except BaseException as error:  # noqa: BLE001
        return Raised(_reason(error), traceback.format_exc(), error)


def _reason(error: BaseException) -> str:
    name = type(error).__name__
    try:
        text = str(error)
    except Exception:  # noqa: BLE001  (the plugin's own __str__ is its code, too)
        text = "it cannot say what"
    return " ".join(f"{name}: {text}".split())
