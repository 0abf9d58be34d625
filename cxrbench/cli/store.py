"""``cxrbench store``."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from cxrbench.cli.common import Output, common, complete_runs, results_option


@click.group(epilog="Example: cxrbench store gc --dry-run")
def store() -> None:
    """The store: remove runs, free what no run needs."""


@store.command(
    "rm", epilog="Example: cxrbench store rm phantom-densenet_fpn-weighted_bce-none-dynamic-s0-1a2b3c4d"
)
@click.argument("runs", nargs=-1, required=True, metavar="RUN...", shell_complete=complete_runs)
@results_option
@common
def remove(runs: tuple[str, ...], results: Path, output: Output) -> None:
    """Remove runs. What lies behind them stays until 'cxrbench store gc', since other runs may need it."""
    from cxrbench.store import Store

    opened = Store(results, output.reporter, create=False)
    found = {run.id: run for run in map(opened.find_run, runs)}
    for run in found.values():
        opened.remove_run(run)
    names = [run.folder.name for run in found.values()]
    output.document({"removed": names})
    output.show(*(f"removed {name}" for name in names))


@store.command("gc", epilog="Example: cxrbench store gc --dry-run")
@click.option("--dry-run", is_flag=True, help="Only say what would be freed.")
@click.option("--unfinished", is_flag=True, help="Also free the state of killed trainings.")
@click.option(
    "--images", is_flag=True, help="Also free prepared images, less those that a run at work reads."
)
@results_option
@common
def collect(dry_run: bool, unfinished: bool, images: bool, results: Path, output: Output) -> None:
    """Free what no run needs: artifacts behind removed runs.

    The state of a killed training is kept, because the same command goes on from there; it is freed with
    --unfinished. Prepared images are kept for runs to come; those prepare them again after --images.
    """
    from cxrbench.files import size_of
    from cxrbench.pixels.cache import ImageCache
    from cxrbench.store import Store

    opened = Store(results, output.reporter, create=False)
    garbage = opened.garbage()
    folders = garbage.folders + (garbage.unfinished if unfinished else ())
    sizes = {folder.relative_to(results).as_posix(): size_of(folder) for folder in folders}
    kept = 0 if unfinished else sum(map(size_of, garbage.unfinished))
    needed = opened.needed_now()
    caches = {cache.id: cache for cache in ImageCache.all(opened)}
    idle = {id_: cache for id_, cache in caches.items() if images and id_ not in needed}
    sizes |= {id_: size_of(cache.folder) for id_, cache in idle.items()}
    if not dry_run:
        opened.collect(folders)
        busy = [id_ for id_, cache in idle.items() if not cache.free()]
        idle = {id_: cache for id_, cache in idle.items() if id_ not in busy}
        sizes = {id_: size for id_, size in sizes.items() if id_ not in busy}
    kept_images = sum(size_of(cache.folder) for id_, cache in caches.items() if id_ not in idle)
    freed = sum(sizes.values())
    output.document(
        {
            "freed": list(sizes),
            "bytes": freed,
            "unfinished_bytes": kept,
            "images_bytes": kept_images,
            "dry_run": dry_run,
        }
    )
    verb = "would free" if dry_run else "freed"
    output.show(*sizes, f"{verb} {freed / 1e6:.1f} MB in {len(sizes)} folders")
    if kept:
        output.show(f"kept {kept / 1e6:.1f} MB of unfinished work; --unfinished frees it")
    if kept_images:
        why = "a run at work reads them" if images else "--images frees them"
        output.show(f"kept {kept_images / 1e6:.1f} MB of prepared images; {why}")
