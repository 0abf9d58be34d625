"""Doing the cells of a call, whatever their runs begin with, and answering with all of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from cxrbench.cli.common import Output

if TYPE_CHECKING:
    from rich.console import RenderableType

    from cxrbench.grid import Failure
    from cxrbench.registry import Registry
    from cxrbench.scores.spec import ScoreSpec
    from cxrbench.specs import RunSpec
    from cxrbench.store import Artifact, Store

S = TypeVar("S", "RunSpec", "ScoreSpec")
C = TypeVar("C", "RunSpec", "ScoreSpec", contravariant=True)


class Cell(Protocol):
    """One run of a call (:class:`cxrbench.workflow.Job`)."""

    @property
    def is_done(self) -> bool:
        """Whether the run is in the store already."""

    def do(self) -> Artifact:
        """Do what is not done yet, and publish the run."""


class Runs(Protocol[C]):
    """What makes runs of specs (:class:`cxrbench.workflow.Workflow`)."""

    store: Store
    registry: Registry
    trainings: int

    def job(self, spec: C, /) -> Cell:
        """A run of ``spec``, nothing done yet."""


After = Callable[[Sequence[str]], tuple[dict[str, Any], Sequence["RenderableType"], bool]]
"""Done with runs, by their ids, when all of them are: JSON to add, tables to show, whether some failed."""


def do_cells(workflow: Runs[S], specs: Sequence[S], output: Output, after: After | None = None) -> None:
    """Do each cell's run and answer with all of them; exit code 1 where one failed.

    Args:
        workflow: makes a job of each cell.
        specs: the cells.
        output: where the answer goes.
        after: what is done with the runs then.
    """
    from cxrbench.grid import described, run_cells
    from cxrbench.records import read_record
    from cxrbench.report.names import apart
    from cxrbench.report.systems import systems_of
    from cxrbench.report.tables import failures_table, run_details, summary

    _, names = apart([described(spec, workflow.registry) for spec in specs])
    records: list[dict[str, Any]] = []
    failures: list[dict[str, Any]] = []
    started, reused = time.monotonic(), 0
    say = output.reporter.say

    def do(place: int, spec: S, job: Cell) -> None:
        nonlocal reused
        if len(specs) > 1:
            say(f"cell {place} of {len(specs)}: {names[place - 1]}")
        done_before = job.is_done
        artifact = job.do()
        records.append(read_record(artifact))
        reused += done_before
        state = "already done, nothing to do" if done_before else "done"
        say(f"{state}: {artifact.folder}")

    def failed(failure: Failure) -> None:
        path = failure.write(workflow.store.root / "failures")
        failures.append({**failure.record(), "trace_file": str(path)})
        output.reporter.error(failure.trace if output.debug else failure.reason)

    run_cells(specs, workflow.registry, workflow.job, do, failed)
    if len(specs) > 1:
        say(
            f"{len(specs)} cells in {time.monotonic() - started:.0f} s: {workflow.trainings} networks "
            f"trained, {reused} runs already done, {len(failures)} failed"
        )
    more, tables, some_failed = after([each["run_id"] for each in records]) if after else ({}, (), False)
    output.document(
        {
            "trainings": workflow.trainings,
            "runs": records,
            "systems": systems_of(records),
            "failed": failures,
            **more,
        }
    )
    if len(records) == 1:
        output.show(*run_details(records[0]))
    elif records:
        output.show(*summary(records))
    output.show(*tables)
    if failures:
        output.show(*failures_table(failures))
    if failures or some_failed:
        raise SystemExit(1)
