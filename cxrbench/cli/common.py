"""What every command has: ``--json``, ``-q``, ``--debug``, and errors of one sentence."""

from __future__ import annotations

import functools
import json
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import rich_click as click

from cxrbench.errors import CxrbenchError, sentence
from cxrbench.reporter import Reporter

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

    from cxrbench.plugins import Plugins

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Output:
    """How a command answers: one JSON document or tables on stdout, everything else on stderr.

    Attributes:
        as_json: whether it answers with a JSON document.
        debug: whether the trace of an error is shown.
        reporter: tells of the work.
        only_conforming: whether components that are known to fail a check are refused where they are used;
            so of commands with :data:`nonconforming_option`, unless it is given.
    """

    as_json: bool
    debug: bool
    reporter: Reporter
    only_conforming: bool = False

    def document(self, value: object) -> None:
        """Print the answer as JSON, NaN as null; nothing without ``--json``."""
        from cxrbench.canonical import jsonable

        if self.as_json:
            print(json.dumps(jsonable(value), indent=2, allow_nan=False))

    def show(self, *renderables: RenderableType) -> None:
        """Print the answer for people; nothing with ``--json``."""
        if not self.as_json:
            for renderable in renderables:
                _console().print(renderable)

    def components(self) -> Plugins:
        """The registry and plugins; a plugin that is set aside or slow is warned of."""
        from cxrbench.plugins import installed

        found = installed()
        found.registry.only_conforming = self.only_conforming
        for plugin in found.plugins:
            if plugin.warning:
                self.reporter.warn(plugin.warning)
        return found


def _console() -> Console:
    from rich.console import Console

    # Piped into a file, a table keeps its columns instead of wrapping at 80.
    width = None if sys.stdout.isatty() else 160
    # Names and reasons may hold brackets that are no markup.
    return Console(highlight=False, markup=False, width=width)


def columns(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """A plain table of text."""
    from rich.table import Table

    table = Table(*heads, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*row)
    return table


def common(function: F) -> F:
    """Add the common options to a command; its function gets ``output``.

    It is the innermost decorator but for :func:`at_the_end`: it takes :data:`nonconforming_option`.
    """

    @click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")
    @click.option("-q", "--quiet", is_flag=True, help="Say nothing but warnings, errors and the answer.")
    @click.option("--debug", is_flag=True, help="Show the trace of an error.")
    @functools.wraps(function)
    def wrapped(*args: Any, as_json: bool, quiet: bool, debug: bool, **kwargs: Any) -> None:
        # A command without the option shows what components are, and refuses none.
        only_conforming = not kwargs.pop("allow_nonconforming", True)
        output = Output(as_json, debug, Reporter(quiet=quiet), only_conforming)
        try:
            function(*args, output=output, **kwargs)
        except CxrbenchError as error:
            if debug:
                traceback.print_exc()
            output.reporter.error(str(error))
            raise SystemExit(error.exit_code) from error
        except BrokenPipeError:
            raise  # whoever read stdout has left, such as head; click ends quietly
        except OSError as error:
            if debug:
                traceback.print_exc()
            output.reporter.error(sentence(error))
            raise SystemExit(1) from error
        except KeyboardInterrupt as error:
            if debug:
                traceback.print_exc()
            print(
                "Interrupted: what is finished is kept, and the same command goes on from there.",
                file=sys.stderr,
            )
            raise SystemExit(1) from error

    return wrapped  # type: ignore[return-value]


def at_the_end(function: F) -> F:
    """Say, below :func:`common`, of an interrupted command that it keeps nothing until its end."""

    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> None:
        try:
            function(*args, **kwargs)
        except KeyboardInterrupt as error:
            raise CxrbenchError("Interrupted: there is no answer; the same command begins anew.") from error

    return wrapped  # type: ignore[return-value]


results_option = click.option(
    "--results",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("results"),
    show_default=True,
    envvar="CXRBENCH_RESULTS",
    show_envvar=True,
    help="Folder of the store.",
)


nonconforming_option = click.option(
    "--allow-nonconforming",
    is_flag=True,
    help="Use components that failed a check of 'cxrbench plugins check' too; what is made says so.",
)
"""For commands that make something with components; :func:`common` takes it."""


device_option = click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="Where to compute.",
)

formats_option = click.option(
    "--format",
    "forms",
    type=click.Choice(["png", "svg", "pdf"]),
    multiple=True,
    default=("png",),
    show_default=True,
    help="Of the figures; may be repeated.",
)


def complete_components(kind: str | None) -> Callable[[click.Context, click.Parameter, str], list[str]]:
    """Tab completion of component names, the last one of a comma list; of all kinds where none is given."""

    def complete(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
        from cxrbench.plugins import installed

        before, comma, last = incomplete.rpartition(",")
        names = [c.name.removesuffix("*") for c in installed().registry.all(kind)]  # type: ignore[arg-type]
        return [f"{before}{comma}{name}" for name in names if name.startswith(last)]

    return complete


def complete_recipes(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Tab completion of recipes that come along, the last one of a comma list."""
    from cxrbench.recipes import names

    before, comma, last = incomplete.rpartition(",")
    return [f"{before}{comma}{name}" for name in names() if name.startswith(last)]


def complete_runs(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Tab completion of run ids."""
    results = Path(ctx.params.get("results") or "results")
    names = [path.parent.name for path in sorted(results.glob("runs/*/artifact.json"))]
    return [name for name in names if name.startswith(incomplete)]
