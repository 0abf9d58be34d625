"""Which runtimes and number formats a call measures, and why others are left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import get_args

from cxrbench.errors import CxrbenchError, UsageError
from cxrbench.guarding import Raised, guarded
from cxrbench.interfaces import DeviceType, NumberFormat, Runtime
from cxrbench.options import Use, failed_and_refused, make, parse_uses
from cxrbench.registry import Registry

AUTO = "auto"


@dataclass(frozen=True)
class Choice:
    """A runtime with a number format, and why it is not measured where that is so.

    Attributes:
        runtime: with its options.
        precision: the number format.
        skipped: the reason; empty where it is measured.
    """

    runtime: Use
    precision: NumberFormat
    skipped: str = ""


def choices(text: str, precisions: Sequence[str], device: DeviceType, registry: Registry) -> list[Choice]:
    """What is measured of the runtimes of ``--runtimes`` in each of these formats, and what is not.

    ``auto`` stands for every runtime, with its defaults: those that cannot run here are skipped. Of one that
    was asked for by name that is an error.

    Args:
        text: such as ``eager,compile:mode=max-autotune`` or ``auto``.
        precisions: number formats; a runtime without one of them is skipped for it.
        device: where.
        registry: where runtimes are found.

    Raises:
        UsageError: a runtime, an option or a number format is unknown, or none of the runtimes has it.
        CxrbenchError: a runtime that was asked for by name cannot run here.
    """
    formats = _formats(precisions)
    named = [use for use in parse_uses(text) if use.name != AUTO]
    uses = list(named)
    if len(named) < len(parse_uses(text)):
        uses += [
            Use(name=each.name)
            for each in registry.all("runtime")
            if not each.is_family and each.name not in {use.name for use in named}
        ]
    found: list[Choice] = []
    for use in uses:
        if use in named:
            why, has = ask(use, device, registry)
            if why:
                raise CxrbenchError(f"The runtime '{use}' cannot run here: {why}.")
        else:
            # One that nobody named must not keep the others from being measured.
            asked = guarded(partial(_ask_unnamed, use, device, registry))
            why, has = (f"it raises {asked.reason}", ()) if isinstance(asked, Raised) else asked
        for precision in formats:
            lacks = "" if precision in has else f"it has no {precision} on {device} ({', '.join(has)})"
            found.append(Choice(use, precision, why or lacks))
    _require_some(found, named, device)
    return found


def ask(use: Use, device: DeviceType, registry: Registry) -> tuple[str, Sequence[NumberFormat]]:
    """Why a runtime cannot run on a device, empty where it can; the number formats that it has there.

    Raises:
        UsageError: the runtime or an option is unknown.
        CxrbenchError: the runtime cannot be loaded.
    """
    runtime: Runtime = make(use, "runtime", registry)
    why = runtime.unavailable(device)
    return why, () if why else runtime.precisions(device)


def _ask_unnamed(use: Use, device: DeviceType, registry: Registry) -> tuple[str, Sequence[NumberFormat]]:
    """As :func:`ask`; one that is known to fail is a reason too."""
    failed = failed_and_refused(registry.find("runtime", use.name), registry)
    if failed:
        return f"it failed {', '.join(failed)} when last checked (see --allow-nonconforming)", ()
    return ask(use, device, registry)


def _require_some(found: Sequence[Choice], named: Sequence[Use], device: DeviceType) -> None:
    """Refuse a call that asks by name for what none of its runtimes has."""
    if all(choice.skipped for choice in found):
        reasons = "; ".join(f"{choice.runtime} {choice.precision}: {choice.skipped}" for choice in found)
        raise UsageError(f"Nothing can be measured on {device}: {reasons}.")
    for use in named:
        of_use = [choice for choice in found if choice.runtime == use]
        if all(choice.skipped for choice in of_use):
            raise UsageError(
                f"The runtime '{use}' has none of the formats asked for: {of_use[0].skipped}; "
                "give another --precision."
            )


def _formats(precisions: Sequence[str]) -> list[NumberFormat]:
    known = get_args(NumberFormat)
    for precision in precisions:
        if precision not in known:
            raise UsageError(f"There is no number format '{precision}'; there are {', '.join(known)}.")
    return list(dict.fromkeys(precisions))  # type: ignore[arg-type]
