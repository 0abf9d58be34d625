"""``cxrbench plugins check``."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from cxrbench.cli.common import Output, columns, common
from cxrbench.conformance.session import SECONDS
from cxrbench.registry import KINDS

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from cxrbench.conformance.session import Checked, Outcome, Request

_EPILOG = """
Example: cxrbench plugins check my-plugin

NAME is a plugin, one of its commands or its package, or one component as KIND/NAME[:key=value,…], such as
thresholds/dynamic:low_f1=0.2; without it all installed plugins are checked: their components, the hooks that
hear of runs, which are called with what small runs tell (so what they send elsewhere is sent), and their
commands. Each is checked in a process of its own, so that one that hangs or crashes is told as such. What a
component fails is remembered, and commands then refuse it but for --allow-nonconforming. The exit code is 1
where a check fails or no component could be checked.
"""


@click.command(epilog=_EPILOG)
@click.argument("name", required=False)
@click.option(
    "--data-root",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of the files of data sets that have some.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(min=0, min_open=True),
    default=SECONDS,
    show_default=True,
    help="How long a check may take; one that compiles a network six times as long.",
)
@common
def check(name: str | None, data_root: Path | None, seconds: float, output: Output) -> None:
    """Check plugins by the conformance kit, and say what is to be mended."""
    from cxrbench.conformance import session

    # A plugin may be called as a kind is: 'loss' is a plugin, 'loss/NAME' a component.
    of_component = name is not None and "/" in name and name.partition("/")[0] in KINDS
    requests = [_of_component(name, output)] if name and of_component else _of_plugins(name)
    checked = []

    def say(outcome: Outcome) -> None:
        if outcome.outcome != "passed":
            output.reporter.say(f"{outcome.of} {outcome.check}: {outcome.outcome}")

    for told, request in requests:
        output.reporter.say(f"checking {told.name} of {told.distribution}")
        asked = replace(request, root=data_root, seconds=seconds)
        told.outcomes += session.check(asked, say, output.reporter.warn)
        checked.append(told)
    output.document([{**asdict(told), "conforms": told.conforms} for told in checked])
    for told in checked:
        _show(told, output)
    if not checked:
        output.show("No plugins are installed; 'cxrbench plugins new' begins one.")
    if not all(told.conforms for told in checked):
        raise SystemExit(1)


def _of_component(name: str, output: Output) -> tuple[Checked, Request]:
    """One component, wherever it comes from."""
    from cxrbench.commands import GROUP, package_of
    from cxrbench.conformance.session import Checked, Request
    from cxrbench.options import parse_use

    kind, _, text = name.partition("/")
    use = parse_use("KIND/NAME", text)
    component = output.components().registry.find(kind, use.name)  # type: ignore[arg-type]
    points = [p for p in _points() if p.group != GROUP and package_of(p) == component.source]
    asked = {"kind": kind, "name": use.name, "options": use.options}
    return Checked(name, component.source), Request(points, [asked])


def _of_plugins(name: str | None) -> list[tuple[Checked, Request]]:
    """The installed plugins, or those of that name, with commands of their package; none is imported here.

    A package that has commands alone goes by its own name.

    Raises:
        UsageError: there is none of that name.
    """
    from cxrbench.commands import GROUP, package_of
    from cxrbench.conformance.session import Checked, Request
    from cxrbench.errors import UsageError, did_you_mean

    points = _points()
    found: list[tuple[Checked, list[EntryPoint]]] = [
        (Checked(point.name, package_of(point)), [point]) for point in points if point.group != GROUP
    ]
    for point in points:
        if point.group == GROUP:
            package = package_of(point)
            own = next((own for told, own in found if told.distribution == package), None)
            if own is None:
                own = []
                found.append((Checked(point.dist.name if point.dist else point.name, package), own))
            own.append(point)
    known = [
        {told.name, *(p.name for p in own), *(p.dist.name for p in own if p.dist)} for told, own in found
    ]
    if name is not None:
        chosen = [each for each, names in zip(found, known, strict=True) if name in names]
        if not chosen:
            installed = sorted(set().union(*known))
            hint = did_you_mean(name, installed) if installed else "none is installed."
            raise UsageError(f"There is no plugin '{name}'; {hint}")
        found = chosen
    return [(told, Request(own, None)) for told, own in found]


def _points() -> list[EntryPoint]:
    """Entry points of plugins and of their commands, those for another version of cxrbench too."""
    from cxrbench.commands import installed_points

    return sorted(installed_points(), key=lambda point: (point.name, point.value))


def _show(told: Checked, output: Output) -> None:
    """What failed or could not be made, and the sentence that helps."""
    rows = [(o.of, o.check, o.outcome, o.seen, o.advice) for o in told.outcomes if o.outcome != "passed"]
    counts = ", ".join(f"{told.count(each)} {each}" for each in ("passed", "failed", "not made"))
    output.show(f"{told.name} ({told.distribution}): {counts}")
    if rows:
        output.show(columns(("of", "check", "", "seen", "what is right"), rows))
