"""Exports a run's network: written, run, compared with the network itself, and only then put in place."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cxrbench.conformance.marks import nonconforming_since
from cxrbench.errors import CxrbenchError
from cxrbench.export.formats import FORMATS, Format
from cxrbench.export.metadata import metadata_of
from cxrbench.files import sha256, write_text
from cxrbench.pixels.images import stored_side
from cxrbench.registry import Registry
from cxrbench.report.model_card import CardFile, model_card
from cxrbench.store import Store
from cxrbench.training.devices import true_fp32
from cxrbench.training.views import network_inputs
from cxrbench.workflow.deployed import deployed
from cxrbench.workflow.trained import Trained, trained_network

CARD = "MODEL_CARD.md"

_BATCHES = (1, 2, 5)
"""Sizes of the batches of a check: one, the one that was exported with, and another."""

_ALLOWED = 1e-3
"""Largest difference of a logit, as a share of the largest logit or 1: other kernels add in other orders."""


@dataclass(frozen=True)
class Exported:
    """What an export left.

    Attributes:
        run_id: of the run.
        form: the format.
        files: what was written, the network's file first and the card last.
        max_abs_logit: the largest difference of a logit between the file and the network.
        metadata: what the file carries.
        nonconforming: a clause on each component that failed a check, when the run was made or since.
    """

    run_id: str
    form: str
    files: tuple[Path, ...]
    max_abs_logit: float
    metadata: dict[str, Any]
    nonconforming: tuple[str, ...]

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "run_id": self.run_id,
            "to": self.form,
            "path": str(self.files[0]),
            "files": [str(each) for each in self.files],
            "check": {"batch_sizes": list(_BATCHES), "max_abs_logit": self.max_abs_logit},
            "metadata": self.metadata,
            "nonconforming": list(self.nonconforming),
        }


def export_run(store: Store, registry: Registry, run: str, form: str, folder: Path) -> Exported:
    """Write a run's network in a format, and its model card, into a folder.

    The written file is run on batches of several sizes and its metadata are read back before anything comes
    into the folder.

    Args:
        store: where the run is.
        registry: where its components are found.
        run: its id.
        form: one of :data:`cxrbench.export.formats.FORMATS`.
        folder: made where there is none.

    Raises:
        UsageError: there is no such run, or none with exactly one network.
        CxrbenchError: what the format needs is not here, the network cannot be exported, or what was written
            does not compute what the network does.
    """
    chosen = FORMATS[form]
    trained = trained_network(store, registry, run)
    if why := chosen.missing():
        raise CxrbenchError(f"A network cannot be exported to {form} here: {why}.")
    metadata = metadata_of(trained, deployed(store, registry, trained.record, trained.task))
    marks = nonconforming_since(registry, [trained.record])
    device = torch.device(chosen.device)
    network = trained.network().requires_grad_(False).to(device)
    batches = [[each.to(device) for each in _examples(trained, size)] for size in _BATCHES]
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".export-") as name, true_fp32():
        path = Path(name) / chosen.file
        chosen.write(network, batches[1], list(trained.backbone.inputs), path, metadata)
        gap = _checked(chosen, form, path, network, batches)
        if chosen.metadata(path) != metadata:
            raise CxrbenchError(f"The {form} file has lost some of its metadata; report this as a fault.")
        # The network's file before what lies beside it.
        written = sorted(Path(name).iterdir(), key=lambda each: (each != path, each.name))
        told = [CardFile(each.name, each.stat().st_size, sha256(each)) for each in written]
        record = {**trained.record, "nonconforming": marks}
        write_text(Path(name) / CARD, model_card(record, metadata, form, told, gap))
        files = tuple(each.replace(folder / each.name) for each in (*written, Path(name) / CARD))
    return Exported(trained.run_id, form, files, gap, metadata, marks)


def _examples(trained: Trained, size: int) -> list[Tensor]:
    """Inputs of the network: noise of all greys, and patients of all kinds."""
    spec, generator = trained.spec, torch.Generator().manual_seed(size)
    side = stored_side(spec.image_size, spec.crop)
    batch = {
        "pixels": torch.randint(0, 256, (size, 1, side, side), generator=generator, dtype=torch.uint8),
        "patient": torch.rand((size, 3), generator=generator),
    }
    return network_inputs(trained.backbone, batch, spec.image_size, spec.crop, channels_last=False)


def _checked(
    chosen: Format, form: str, path: Path, network: nn.Module, batches: Sequence[Sequence[Tensor]]
) -> float:
    """The largest difference of a logit on batches.

    Raises:
        CxrbenchError: it is more than other kernels explain.
    """
    largest = 0.0
    with torch.inference_mode():
        expected = [network(*batch).float() for batch in batches]
    for right, found in zip(expected, chosen.run(path, batches), strict=True):
        gap = float((found - right).abs().max()) if found.shape == right.shape else float("inf")
        if not gap <= _ALLOWED * max(1.0, float(right.abs().max())):
            raise CxrbenchError(
                f"The {form} file does not compute what the network does (batch of {len(right)}: a logit is "
                f"{gap:.3g} off); nothing was exported, try another format."
            )
        largest = max(largest, gap)
    return largest
