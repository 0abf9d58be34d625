"""What code of plugins may raise, and what comes through."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any

import pytest

from cxrbench.guarding import Raised, guarded
from cxrbench.time_limit import within


class MuteError(Exception):
    def __str__(self) -> str:
        raise RuntimeError


def raising(error: BaseException) -> Callable[[], Any]:
    def call() -> None:
        raise error

    return call


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ValueError("two\n lines"), "ValueError: two lines"),
        (SystemExit(3), "SystemExit: 3"),
        (GeneratorExit(), "GeneratorExit:"),
        (asyncio.CancelledError("late"), "CancelledError: late"),
        (MuteError(), "MuteError: it cannot say what"),
    ],
)
def test_whatever_it_raises_is_told(error: BaseException, reason: str) -> None:
    found = guarded(raising(error))
    assert isinstance(found, Raised)
    assert found.reason == reason
    assert found.error is error
    assert found.trace.startswith("Traceback")


def test_an_interrupt_comes_through() -> None:
    with pytest.raises(KeyboardInterrupt):
        guarded(raising(KeyboardInterrupt()))


@pytest.mark.skipif(sys.platform == "win32", reason="the clock is the alarm of POSIX")
def test_the_end_of_a_time_limit_comes_through() -> None:
    def endless() -> None:
        while True:
            guarded(endless_call)

    def endless_call() -> None:
        while True:
            pass

    with pytest.raises(TimeoutError, match=r"longer than 0\.2 s"):
        within(0.2, endless)
