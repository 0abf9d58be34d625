"""A time limit on code of others that may never return."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import TypeVar

T = TypeVar("T")


class Over(BaseException):
    """The time is over. No ``Exception``, so that code which catches all of these does not go on."""


def within(seconds: float, call: Callable[[], T]) -> T:
    """What a call answers.

    The clock is the operating system's alarm, which only a main thread on POSIX has, and which waits while
    native code runs: elsewhere there is no limit.

    Raises:
        TimeoutError: it took longer.
    """
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        return call()

    def over(number: int, frame: FrameType | None) -> None:
        raise Over

    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        return call()
    except Over as error:
        raise TimeoutError(f"it took longer than {seconds:g} s and was stopped") from error
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
