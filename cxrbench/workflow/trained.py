"""The network of a stored run, as it was trained, and the images of a role as that network sees them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cxrbench.architecture import architecture_of
from cxrbench.canonical import digest
from cxrbench.errors import CxrbenchError, UsageError
from cxrbench.interfaces import Backbone
from cxrbench.options import Use
from cxrbench.pixels.images import stored_side
from cxrbench.predictions import Predictions
from cxrbench.records import read_record
from cxrbench.registry import Registry
from cxrbench.roles import Role
from cxrbench.specs import RunSpec
from cxrbench.store import Store
from cxrbench.task import Task
from cxrbench.training.batches import Rows
from cxrbench.training.checkpoint import load_own_weights

if TYPE_CHECKING:
    from torch import nn

    from cxrbench.workflow.runs import Workflow


@dataclass(frozen=True)
class Trained:
    """A trained network and what is needed to use it.

    Attributes:
        run_id: of the run.
        record: its ``run.json``.
        spec: its settings.
        backbone: says what the network takes, and how pixels are normalised.
        task: the classes of its logits.
        training: the id of its training: what stands for the checkpoint.
        weights: the checkpoint's file.
    """

    run_id: str
    record: dict[str, Any]
    spec: RunSpec
    backbone: Backbone
    task: Task
    training: str
    weights: Path

    def network(self, image_size: int | None = None) -> nn.Module:
        """The network in evaluation mode, on the CPU, built for its own size of images or another.

        Raises:
            CxrbenchError: its weights do not fit a network for images of this size.
        """
        size = image_size or self.spec.image_size
        network = self.backbone.build(len(self.task.classes), size, False)
        try:
            load_own_weights(network, self.weights)
        except RuntimeError as error:
            raise CxrbenchError(
                f"The weights of {self.run_id} do not fit a network for images of {size} px; give "
                f"--image-size {self.spec.image_size}, as it was trained."
            ) from error
        return network.eval()


def trained_network(store: Store, registry: Registry, run_id: str) -> Trained:
    """The network of a run; nothing but its records is read yet.

    Args:
        store: where the run is.
        registry: where its components are found.
        run_id: its id, or the beginning or end of it.

    Raises:
        UsageError: there is no such run, or none with exactly one trained network.
        CxrbenchError: what it was made from is missing or damaged.
    """
    networks = trained_networks(store, registry, read_record(store.find_run(run_id)))
    if len(networks) > 1:
        raise UsageError(
            f"{networks[0].run_id} averages {len(networks)} networks; name a run of one of them (averaged=1)."
        )
    return networks[0]


def trained_networks(store: Store, registry: Registry, record: Mapping[str, Any]) -> tuple[Trained, ...]:
    """The networks of a run, by its ``run.json``: one, or those whose probabilities it averages.

    Raises:
        UsageError: the run was made of predictions.
        CxrbenchError: what it was made from is missing or damaged.
    """
    require_network(record)
    spec = RunSpec.model_validate(record["spec"])
    predicted = next(each for each in record["artifacts"] if each.startswith("predict/"))
    task = Predictions.read(store.read(predicted).folder / "predictions.parquet").task
    backbone = architecture_of(spec, registry)
    # An older record names the last training alone.
    trainings = [each.removeprefix("artifacts/") for each in record.get("trainings", [record["training"]])]
    return tuple(
        Trained(
            record["run_id"],
            dict(record),
            spec,
            backbone,
            task,
            training,
            store.read(training).folder / "weights.safetensors",
        )
        for training in trainings
    )


def require_network(record: Mapping[str, Any]) -> None:
    """Refuse a run, by its ``run.json``, that was made of predictions.

    Raises:
        UsageError: it has no network.
    """
    if members := record.get("members"):
        raise UsageError(
            f"{record['run_id']} combines other runs and has no network of its own; name one of its members: "
            f"{', '.join(members)}."
        )
    if record.get("source", "network") != "network":
        raise UsageError(
            f"{record['run_id']} has no network of its own: it is made of scores or of other runs; name a "
            "run of a network."
        )


def roots_of_tests(records: Iterable[Mapping[str, Any]], root: Path | None) -> dict[str, Path]:
    """``root`` as the folder of each other data set that stored runs were tested on, by its use."""
    uses = [record.get("spec", {}).get("test_dataset") for record in records] if root else []
    return {str(Use.model_validate(use)): root for use in uses if use and root}


def rows_of(workflow: Workflow, trained: Trained, role: Role, image_size: int | None = None) -> Rows:
    """The images of a role as the network sees them, of its own size or another; prepared where need be.

    Raises:
        CxrbenchError: the data set cannot be read, such as without ``--data-root``, or its test images are
            not those of the run.
    """
    spec = trained.spec
    opened = workflow.open(spec)
    if role == "test" and spec.test_dataset:
        opened = workflow.open_test(spec, spec.test_dataset, opened.data.task)
    data = opened.data
    if role == "test" and digest(data.image_ids(role).tolist()) != trained.record["passport"]["test_ids"]:
        option = "--test-data-root" if spec.test_dataset else "--data-root"
        raise CxrbenchError(
            f"The data at hand have other test images than {trained.run_id} was evaluated on; give {option} "
            "the folder that it was evaluated with."
        )
    images = pixels = None
    if "image" in trained.backbone.inputs:
        side = stored_side(image_size or spec.image_size, spec.crop)
        images = opened.images(spec.preprocessing, side)
        pixels = images.open()
    rows = Rows.of(data, data.image_ids(role), images, pixels)
    return rows if spec.patient_data == "own" else rows.with_patients_shuffled()
