"""The rows of a call: runs × runtimes and formats × image sizes × batch sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from cxrbench.errors import CxrbenchError, UsageError
from cxrbench.interfaces import DeviceType
from cxrbench.latency.answer import Answer
from cxrbench.latency.choice import Choice
from cxrbench.latency.gate import Tolerance
from cxrbench.latency.request import Effort, Row
from cxrbench.latency.session import Session
from cxrbench.workflow.runs import Workflow
from cxrbench.workflow.trained import trained_network


@dataclass(frozen=True)
class Asked:
    """What a call asks for.

    Attributes:
        choices: runtimes and formats, those that are skipped too.
        batch_sizes: images a call.
        image_sizes: sides of the input; none for each run's own.
        tolerance: of the gate.
        effort: how much is measured.
        threads: of a CPU; None for as many as torch takes.
        again: whether what was measured before, here and with these versions, is measured again.
    """

    choices: Sequence[Choice]
    batch_sizes: Sequence[int]
    image_sizes: Sequence[int]
    tolerance: Tolerance
    effort: Effort
    threads: int | None = None
    again: bool = True


def sizes_of(option: str, text: str) -> tuple[int, ...]:
    """Read ``1,16``.

    Raises:
        UsageError: one is no whole number above 0.
    """
    sizes = [piece.strip() for piece in text.split(",")]
    for size in sizes:
        if not size.isdecimal() or int(size) < 1:
            raise UsageError(f"{option} takes whole numbers above 0, such as 1,16; '{size}' is none.")
    return tuple(dict.fromkeys(map(int, sizes)))


def measure_runs(workflow: Workflow, runs: Sequence[str], asked: Asked) -> tuple[list[Answer], bool]:
    """Measure every row of a call, one after another.

    Args:
        workflow: its store, components, data and device.
        runs: their ids.
        asked: what of each.

    Returns:
        What became of each row, and whether one that could have been measured could not after all.

    Raises:
        UsageError: a run is unknown, or has not one network; nothing is measured then.
    """
    networks = [trained_network(workflow.store, workflow.registry, run) for run in runs]
    device: DeviceType = "cuda" if workflow.device.type == "cuda" else "cpu"
    threads = asked.threads or torch.get_num_threads()
    answers: list[Answer] = []
    failed = False
    rows = [
        (trained, choice, Row(choice.runtime, choice.precision, batch, size))
        for trained in networks
        for choice in asked.choices
        for size in asked.image_sizes or (trained.spec.image_size,)
        for batch in asked.batch_sizes
    ]
    sessions = {
        each.run_id: Session(workflow, each, device, threads, asked.effort, asked.tolerance)
        for each in networks
    }
    for place, (trained, choice, row) in enumerate(rows, start=1):
        if choice.skipped:
            answers.append(Answer(trained.run_id, row, device, None, choice.skipped))
            continue
        session = sessions[trained.run_id]
        if not asked.again and (known := session.stored(row)) is not None:
            answers.append(Answer(trained.run_id, row, device, known))
            continue
        workflow.reporter.say(f"row {place} of {len(rows)}: {trained.run_id}, {row}")
        try:
            record = session.measure(row)
        except UsageError:
            raise
        except CxrbenchError as error:
            # The other rows are measured all the same.
            workflow.reporter.error(f"{row}: {error}")
            answers.append(Answer(trained.run_id, row, device, None, str(error).rstrip(".")))
            failed = True
        else:
            answers.append(Answer(trained.run_id, row, device, record))
    return answers, failed
