"""``cxrbench verify``."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from cxrbench.cli.common import Output, common, complete_runs, results_option


@click.command(epilog="Example: cxrbench verify --results results")
@click.argument("runs", nargs=-1, metavar="[RUN]...", shell_complete=complete_runs)
@results_option
@common
def verify(runs: tuple[str, ...], results: Path, output: Output) -> None:
    """Check that stored files are what was written: all of them, or those behind the runs named.

    Exit code 1 where a file is missing, changed or added, or an artifact that others need is gone.
    """
    from cxrbench.pixels.cache import ImageCache
    from cxrbench.store import Store

    store = Store(results, output.reporter, create=False)
    chosen = store.behind(store.find_run(run).id for run in runs) if runs else store.ids()
    problems: list[str] = []
    # No run is made of a cache: it is filled again from the images.
    caches = [] if runs else ImageCache.all(store)
    with output.reporter.progress("checking", len(chosen) + len(caches)) as advance:
        for id_ in chosen:
            problems += store.problems(id_)
            advance(1, "")
        for cache in caches:
            problems += cache.problems()
            advance(1, "")
    count = f"{len(problems) or 'no'} problem{'' if len(problems) == 1 else 's'}"
    output.document({"checked": len(chosen), "problems": problems})
    output.show(
        *problems,
        f"{len(chosen)} artifacts checked, {count}",
    )
    if problems:
        raise SystemExit(1)
