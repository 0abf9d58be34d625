"""Plugins heard while work goes on: those that look on (observers), and those that have something to show.

Each is called alone, with copies, so that it changes nothing for what comes after it. One that raises is
warned of once, and its trace kept.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar

from cxrbench.files import write_text
from cxrbench.guarding import Raised, guarded
from cxrbench.plugins import Plugin, installed
from cxrbench.reporter import Reporter

T = TypeVar("T")


def tell(
    hook: Literal["artifact_written", "epoch_ended"], reporter: Reporter, traces: Path, **values: Any
) -> None:
    """Call the observers of a hook. A plugin that raised is called no more in this process.

    Args:
        hook: its name.
        reporter: warns of one that raises.
        traces: folder where its trace is kept.
        values: the hook's arguments.
    """
    found = installed()
    for listener in found.listeners(hook):
        if listener.plugin in found.failed:
            continue
        told = guarded(partial(listener.call, **copy.deepcopy(values)))
        if isinstance(told, Raised):
            _warn(hook, listener.plugin, told, "is not told of anything more", reporter, traces)


def answers(
    hook: str, made: Callable[[Any], T], reporter: Reporter, traces: Path, **values: Any
) -> Iterator[tuple[Plugin, T | Raised]]:
    """What each plugin answers to a hook, or what it raised, which is warned of once.

    Args:
        hook: its name.
        made: makes what is wanted of an answer; what it raises counts as raised by the plugin.
        reporter: warns of one that raises.
        traces: folder where its trace is kept.
        values: the hook's arguments.
    """
    for listener in installed().listeners(hook):
        answer = guarded(partial(_answer, made, listener.call, copy.deepcopy(values)))
        if isinstance(answer, Raised):
            _warn(hook, listener.plugin, answer, "is left out there", reporter, traces)
        yield listener.plugin, answer


def _answer(made: Callable[[Any], T], call: Callable[..., Any], values: dict[str, Any]) -> T:
    return made(call(**values))


def _warn(hook: str, plugin: Plugin, raised: Raised, then: str, reporter: Reporter, traces: Path) -> None:
    """Say once that a plugin raised, and keep the trace where that can be written."""
    failed = installed().failed
    if plugin in failed:
        return
    failed.add(plugin)
    path = traces / f"plugin-{re.sub(r'[^A-Za-z0-9_-]', '_', plugin.name)}-{hook}.txt"
    where = ""
    # The warning is what counts: it must come of a store that cannot be written to, too.
    with suppress(OSError):
        traces.mkdir(parents=True, exist_ok=True)
        write_text(path, raised.trace)
        where = f" (trace: {path})"
    reporter.warn(
        f"plugin {plugin.name} ({plugin.distribution}) raised in {hook} and {then}: {raised.reason}{where}"
    )
