"""The steps of a run's networks, and what each one's key is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cxrbench.architecture import NETWORK_KINDS
from cxrbench.backbones.weights import weights_hash
from cxrbench.interfaces import Backbone
from cxrbench.pixels.images import Images
from cxrbench.registry import Kind, Registry
from cxrbench.roles import Role
from cxrbench.specs import RunSpec, keyed
from cxrbench.stages import average, features, predict, relabel, train
from cxrbench.steps import Hashes, Steps
from cxrbench.store import Step
from cxrbench.task import Task

_USUAL_PARTS: dict[Kind, str] = {"head": "own", "resizer": "none"}
"""Parts of a network that most networks do without."""


@dataclass(frozen=True)
class NetworkSteps(Steps):
    """Those of a run whose predictions are trained networks'.

    Attributes:
        made_by: all that is done before the last predictions, in order.
    """

    made_by: tuple[Step, ...]

    @property
    def trainings(self) -> list[Step]:
        """The trainings among them; the last is of the run's last network."""
        return [step for step in self.made_by if step.stage == "train"]

    @property
    def train(self) -> Step:
        """The last training: of a run with one network, its own."""
        return self.trainings[-1]

    def in_order(self) -> list[Step]:
        """As they are done."""
        return [*self.made_by, *super().in_order()]


def training_step(
    spec: RunSpec,
    hashes: Hashes,
    registry: Registry,
    backbone: Backbone,
    images: Images | None,
    relabelled: Step | None,
) -> Step:
    """The training of a network.

    Args:
        spec: the run, resolved.
        hashes: of its data set.
        registry: where versions and defaults of components are looked up.
        backbone: says what of an image or patient the network sees.
        images: its images; None where the network sees none.
        relabelled: what gives the training images other labels than the data set's.
    """
    data = hashes.data
    if not spec.training.trains:
        return _taken_over(spec, data.task, registry, backbone)
    return Step(
        "train",
        {
            "version": train.VERSION,
            "task": [data.task.kind, *data.task.classes],
            "sampler": keyed(spec.sampler, "sampler", registry),
            "preprocessing": keyed(spec.preprocessing, "preprocessing", registry) if images else None,
            "augmentation": keyed(spec.augmentation, "augmentation", registry) if images else None,
            "backbone": keyed(spec.backbone, "backbone", registry),
            "loss": keyed(spec.loss, "loss", registry),
            # What is usual stays unsaid, so that the keys of networks without these parts are what they were.
            **{
                kind: keyed(spec.use(kind), kind, registry)
                for kind, usual in _USUAL_PARTS.items()
                if spec.use(kind).name != usual
            },
            "image_size": spec.image_size if images else None,
            "crop": spec.crop if images else None,
            "weights": _weights(spec.weights),
            "seed": spec.seed,
            # It also limits what an epoch sees.
            **({"images_per_role": spec.images_per_role} if spec.images_per_role else {}),
            "training": spec.training.model_dump(mode="json", exclude_defaults=True),
            "data": {role: _seen(spec, hashes, role, backbone, images) for role in ("train", "val")},
        },
        (relabelled or data.label_step("train"), data.label_step("val")),
    )


def _taken_over(spec: RunSpec, task: Task, registry: Registry, backbone: Backbone) -> Step:
    """Weights as they are: no labels are behind them that anybody here knows of."""
    takes_images = "image" in backbone.inputs
    return Step(
        "train",
        {
            "version": train.VERSION,
            "task": [task.kind, *task.classes],
            **{kind: keyed(spec.use(kind), kind, registry) for kind in NETWORK_KINDS},
            "preprocessing": keyed(spec.preprocessing, "preprocessing", registry) if takes_images else None,
            "image_size": spec.image_size if takes_images else None,
            "crop": spec.crop if takes_images else None,
            "weights": _weights(spec.weights),
            "training": None,
        },
    )


def prediction_step(
    spec: RunSpec, training: Step, role: Role, hashes: Hashes, backbone: Backbone, images: Images | None
) -> Step:
    """What a trained network predicts on a role of the data set of ``hashes``, of these images."""
    seen = _seen(spec, hashes, role, backbone, images)
    return Step("predict", {"version": predict.VERSION, "data": seen}, (training,))


def average_step(members: Sequence[Step]) -> Step:
    """The average of several predictions on the same role."""
    return Step("average", {"version": average.VERSION}, tuple(members))


def relabel_step(predictions: Sequence[Step], labels: Sequence[Step]) -> Step:
    """Labels of the training images, of predictions on train and tune and of both roles' labels."""
    return Step("relabel", {"version": relabel.VERSION}, (*predictions, *labels))


def feature_step(
    spec: RunSpec,
    hashes: Hashes,
    registry: Registry,
    backbone: Backbone,
    images: Images,
    role: Role,
    pooling: str,
    *,
    mirrored: bool = False,
) -> Step:
    """The features of a role's images, for whichever head.

    No step has it for a parent: features are a way to a training's result, like stored images, and change
    nothing of it.

    Args:
        spec: the run, resolved.
        hashes: of the data set that the role is of.
        registry: where versions and defaults of components are looked up.
        backbone: says what the network sees.
        images: of the data set.
        role: whose images.
        pooling: see :class:`cxrbench.stages.features.FeatureKind`.
        mirrored: whether each image is mirrored.
    """
    return Step(
        "features",
        {
            "version": features.VERSION,
            "preprocessing": keyed(spec.preprocessing, "preprocessing", registry),
            "backbone": keyed(spec.backbone, "backbone", registry),
            "image_size": spec.image_size,
            "crop": spec.crop,
            "weights": _weights(spec.weights),
            # Weights that are asked for fill the whole frozen part.
            "seed": spec.seed if spec.weights == "none" else None,
            "pooling": pooling,
            "mirrored": mirrored,
            "data": _seen(spec, hashes, role, backbone, images),
        },
    )


def _weights(weights: str) -> str:
    """The file's content stands for it, not its path."""
    return weights if weights in ("none", "imagenet") else weights_hash(Path(weights))


def _seen(
    spec: RunSpec, hashes: Hashes, role: Role, backbone: Backbone, images: Images | None
) -> dict[str, str]:
    """Hashes of what the network sees of a role: image ids, and pixels and patient data if it takes them."""
    seen = {"ids": hashes.ids(role)}
    if images:
        seen["pixels"] = images.seen(role)
    if "patient" in backbone.inputs:
        seen["patient"] = hashes.patient_vectors(role)
        if spec.patient_data != "own":
            seen["patient_data"] = spec.patient_data
    return seen
