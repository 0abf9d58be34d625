"""``cxrbench verify``."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from cxrbench.cli.common import Output, common, complete_runs, results_option


@click.command(epilog="Example: cxrbench verify --results results")
@click.argument("runs", nargs=-1, metavar="[RUN]...", shell_complete=complete_runs)
@click.option(
    "--roles",
    is_flag=True,
    help="Prove, for the whole store, that nothing was fitted on what it is tested on.",
)
@results_option
@common
def verify(runs: tuple[str, ...], roles: bool, results: Path, output: Output) -> None:
    """Check that stored files are what was written: all of them, or those behind the runs named.

    Exit code 1 where a file is missing, changed or added, or an artifact that others need is gone. With
    --roles, where a fit has read test labels or a run is tested on what it was fitted on.
    """
    if roles:
        if runs:
            raise click.UsageError("--roles is about the whole store; leave out RUN.")
        _verify_roles(results, output)
        return
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


def _verify_roles(results: Path, output: Output) -> None:
    from cxrbench.report.tables import roles_table
    from cxrbench.role_proof import prove_roles
    from cxrbench.store import Store

    proof = prove_roles(Store(results, output.reporter, create=False))
    output.document({"checked": proof.counts, "violations": proof.violations, "not_shown": proof.not_shown})
    output.show(*roles_table(proof.counts, proof.violations, proof.not_shown))
    if proof.violations:
        raise SystemExit(1)
