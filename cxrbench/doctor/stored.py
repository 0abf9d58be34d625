"""The health of a store, as far as it shows without reading all of it: ``cxrbench verify`` reads the rest."""

from __future__ import annotations

from pathlib import Path

from cxrbench.doctor.check import Check
from cxrbench.errors import CxrbenchError
from cxrbench.files import size_of
from cxrbench.reporter import Reporter
from cxrbench.store import SCHEMA_VERSION, Garbage, Store


def stored(results: Path) -> list[Check]:
    """Schema and size, damaged files, work that was broken off, what no run needs."""
    if not (results / "store.json").exists():
        return [Check("store", "store", "absent", f"none at {results} yet: the first run makes it")]
    try:
        store = Store(results, Reporter(quiet=True), create=False)
    except CxrbenchError as error:
        return [Check("store", "store", "broken", str(error))]
    found = (
        f"{results}, schema {SCHEMA_VERSION}: {len(store.run_names())} runs, {len(store.ids())} artifacts, "
        f"{_gigabytes(size_of(results))}"
    )
    checks = [Check("store", "store", "ok", found), _damage(store)]
    try:
        garbage = store.garbage()
    except CxrbenchError:
        return checks  # which record is damaged is said already
    return [*checks, *_leftovers(garbage, results)]


def _damage(store: Store) -> Check:
    """Records that cannot be read; files that are gone, or have another size than when they were written."""
    damaged = [fault for id_ in store.ids() if (fault := _fault(store, id_))]
    if not damaged:
        return Check("store", "files", "ok", "all are there, with the size that they were written with")
    more = f" and {len(damaged) - 1} more" if len(damaged) > 1 else ""
    return Check("store", "files", "broken", f"{damaged[0]}{more}", f"cxrbench verify --results {store.root}")


def _fault(store: Store, id_: str) -> str:
    try:
        artifact = store.read(id_)
    except CxrbenchError as error:
        return str(error)
    for name, facts in artifact.record["files"].items():
        path = artifact.folder / name
        if not path.is_file():
            return f"{id_}: {name} is missing"
        if path.stat().st_size != facts["bytes"]:
            return f"{id_}: {name} has another size than when it was written"
    return ""


def _leftovers(garbage: Garbage, results: Path) -> list[Check]:
    told = []
    if garbage.unfinished:
        size = _together(garbage.unfinished)
        found = f"{len(garbage.unfinished)} broken off ({size}): the command that began one goes on with it"
        mend = f"cxrbench store gc --unfinished --results {results}"
        told.append(Check("store", "unfinished", "absent", found, mend))
    if garbage.folders:
        found = f"{len(garbage.folders)} artifacts that no run needs ({_together(garbage.folders)})"
        told.append(Check("store", "garbage", "absent", found, f"cxrbench store gc --results {results}"))
    return told


def _together(folders: tuple[Path, ...]) -> str:
    return _gigabytes(sum(map(size_of, folders)))


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.2f} GB" if size >= 1e7 else f"{size / 1e6:.2f} MB"
