"""The steps of a run, and what each one's key is made of: all that its result depends on, and no more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cxrbench.backbones.weights import weights_hash
from cxrbench.canonical import digest
from cxrbench.data import Data, Passport
from cxrbench.interfaces import Backbone
from cxrbench.options import Use
from cxrbench.pixels.images import Images
from cxrbench.registry import Registry
from cxrbench.roles import Role
from cxrbench.specs import RunSpec, keyed
from cxrbench.stages import calibrate, evaluate, predict, publish, threshold, train
from cxrbench.store import RUN_STAGE, Step


@dataclass(frozen=True)
class Steps:
    """The steps of one run, each addressed by its inputs."""

    train: Step
    predictions: dict[Role, Step]
    calibrations: dict[str, Step]
    threshold: Step
    evaluation: Step
    run: Step

    def in_order(self) -> list[Step]:
        """As they are done."""
        return [
            self.train,
            *self.predictions.values(),
            *self.calibrations.values(),
            self.threshold,
            self.evaluation,
            self.run,
        ]


def steps_of(
    spec: RunSpec,
    data: Data,
    registry: Registry,
    backbone: Backbone,
    calibrators: Mapping[str, Use],
    images: Images | None,
    test: Data,
    test_images: Images | None,
    passport: Passport,
) -> Steps:
    """The steps of a run.

    Args:
        spec: the run, resolved.
        data: its data set.
        registry: where versions and defaults of components are looked up.
        backbone: says what of an image or patient the network sees.
        calibrators: those that are fitted, the chosen one among them, by name.
        images: identities of its images; None where the network sees none.
        test: the data set that is tested on: ``data`` itself, or another.
        test_images: those of its images, as ``images``.
        passport: of the run.
    """
    tune: Role = spec.tune
    training = Step(
        "train",
        {
            "version": train.VERSION,
            "task": [data.task.kind, *data.task.classes],
            "sampler": keyed(spec.sampler, "sampler", registry),
            "preprocessing": keyed(spec.preprocessing, "preprocessing", registry) if images else None,
            "augmentation": keyed(spec.augmentation, "augmentation", registry) if images else None,
            "backbone": keyed(spec.backbone, "backbone", registry),
            "loss": keyed(spec.loss, "loss", registry),
            "image_size": spec.image_size if images else None,
            "crop": spec.crop if images else None,
            "weights": _weights(spec.weights),
            "seed": spec.seed,
            "training": spec.training.model_dump(mode="json", exclude_defaults=True),
            "data": {role: _seen(data, role, backbone, images) for role in ("train", "val")},
        },
        (data.label_step("train"), data.label_step("val")),
    )
    predictions = {
        role: Step(
            "predict",
            {"version": predict.VERSION, "data": _seen(of, role, backbone, seen)},
            (training,),
        )
        for role, of, seen in {tune: (tune, data, images), "test": ("test", test, test_images)}.values()
    }
    calibrations = {
        name: Step(
            "calibrate",
            {
                "version": calibrate.VERSION,
                "calibrator": keyed(use, "calibrator", registry),
                "min_positives": spec.min_positives,
                "patients": digest(data.patients(tune).to_dict()),
            },
            (predictions[tune], data.label_step(tune)),
        )
        for name, use in calibrators.items()
    }
    thresholds = Step(
        "threshold",
        {
            "version": threshold.VERSION,
            "thresholds": keyed(spec.thresholds, "thresholds", registry),
            "min_positives": spec.min_positives,
        },
        (calibrations[spec.calibrator.name], data.label_step(tune)),
    )
    evaluation = Step(
        "evaluate",
        {"version": evaluate.VERSION, "calibrator": spec.calibrator.name},
        (thresholds, predictions["test"], test.label_step("test"), *calibrations.values()),
    )
    run = Step(
        RUN_STAGE,
        {
            "version": publish.VERSION,
            "passport": passport.record(),
            "dataset": keyed(spec.dataset, "dataset", registry),
            # Only where there is one, so that the keys of all other runs are what they were.
            **({"test_dataset": keyed(spec.test_dataset, "dataset", registry)} if spec.test_dataset else {}),
        },
        (evaluation, data.manifest_step, *((test.manifest_step,) if test is not data else ())),
        label=spec.label(),
    )
    return Steps(training, predictions, calibrations, thresholds, evaluation, run)


def _weights(weights: str) -> str:
    """The file's content stands for it, not its path."""
    return weights if weights in ("none", "imagenet") else weights_hash(Path(weights))


def _seen(data: Data, role: Role, backbone: Backbone, images: Images | None) -> dict[str, str]:
    """Hashes of what the network sees of a role: image ids, and pixels and patient data if it takes them."""
    ids = data.image_ids(role)
    seen = {"ids": digest(list(ids))}
    if images:
        seen["pixels"] = digest(images.identities.loc[ids].to_dict())
    if "patient" in backbone.inputs:
        seen["patient"] = digest(data.patient_vectors(ids))
    return seen
