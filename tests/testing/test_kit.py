"""The kit itself: sound toys pass every check, and each broken one fails the check that is about it."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
import pandas as pd
import pytest
import torch
from annotated_types import Ge
from pydantic import AfterValidator, BeforeValidator
from scipy.special import expit, log_softmax, softmax
from torch import Tensor, nn
from torch.nn import functional as F

from cxrbench.collection import BOX_COLUMNS, Collection
from cxrbench.errors import CxrbenchError, UsageError
from cxrbench.interfaces import Fitness, FoundEnsemble, Members, OperatingPoint
from cxrbench.map_layers import MapLayer
from cxrbench.registry import KINDS, Component, Kind
from cxrbench.task import Task
from cxrbench.testing import Check, checks_for

LOSS_TASKS = frozenset({"multilabel"})


# Sound toys ------------------------------------------------------------------------------------------


class SoundDataset:
    """Forty patients with an image each."""

    def recommend(self) -> Mapping[str, object]:
        return {"image_size": 64, "epochs": 2}

    def read(self, root: Path | None) -> Collection:
        if root is not None and not root.is_dir():
            raise CxrbenchError(f"There is no folder {root}.")
        index = pd.Index([f"i{k:02}" for k in range(40)], name="image_id")
        manifest = pd.DataFrame(
            {
                "patient_id": [f"p{k}" for k in range(40)],
                "age": 50.0,
                "sex": "F",
                "view": None,
                "official": ["train_val"] * 30 + ["test"] * 10,
                "role": None,
                "source": "",
            },
            index=index,
        )
        labels = pd.DataFrame(np.eye(2, dtype=np.float32)[np.arange(40) % 2], index=index, columns=["a", "b"])
        labels.iloc[3, 1] = np.nan
        boxes = pd.DataFrame([("i00", "a", 0.1, 0.2, 0.3, 0.8)], columns=list(BOX_COLUMNS))
        counts = {"train_val": 30, "test": 12}
        return Collection("toy", Task("multilabel", ("a", "b")), manifest, labels, boxes, "1", counts)

    def pixels(self, content: bytes | None, image_id: str, side: int) -> np.ndarray:
        return np.full((side, side + 1), int(image_id[1:]), dtype=np.uint8)


class ToyNetwork(nn.Module):
    """Grey means of the quarters of the image, batch normalisation, and a linear layer."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(4)
        self.head = nn.Linear(4, outputs)

    def forward(self, image: Tensor) -> Tensor:
        return self.head(self.norm(F.adaptive_avg_pool2d(image.mean(1), 2).flatten(1)))


class SoundBackbone:
    """Three channels of even sizes."""

    inputs = ("image",)
    mean = (0.5, 0.5, 0.5)
    std = (0.25, 0.25, 0.25)

    def build(self, outputs: int, image_size: int, pretrained: bool) -> nn.Module:
        if image_size % 2:
            raise CxrbenchError("Only even sizes.")
        return ToyNetwork(outputs)


class SoundLoss:
    """Mean squared error of probabilities over known labels."""

    tasks: ClassVar[frozenset[str]] = LOSS_TASKS

    def build(self, labels: np.ndarray, classes: Sequence[str]) -> Callable[[Tensor, Tensor], Tensor]:
        return self.value

    @staticmethod
    def value(logits: Tensor, labels: Tensor) -> Tensor:
        known = ~labels.isnan()
        squares = (logits.sigmoid() - labels.nan_to_num()).square() * known
        return squares.sum() / known.sum().clamp(min=1)


class SoundSingleLabelLoss:
    """Cross-entropy over rows with a known class."""

    tasks: ClassVar[frozenset[str]] = frozenset({"singlelabel"})

    def build(self, labels: np.ndarray, classes: Sequence[str]) -> Callable[[Tensor, Tensor], Tensor]:
        return lambda logits, y: -(logits.log_softmax(1) * y.nan_to_num()).sum() / len(y)


@dataclass(frozen=True)
class SoundCalibrator:
    """Shifts each finding's logits so that their mean is that of the labels.

    Attributes:
        strength: how far, as a share.
    """

    strength: float = 1.0
    tasks: ClassVar[frozenset[str]] = LOSS_TASKS

    def fit(self, logits: np.ndarray, labels: np.ndarray) -> Mapping[str, Any]:
        known = ~np.isnan(labels)
        means = (logits * known).sum(0) / known.sum(0)
        return {"shift": (self.strength * (np.nanmean(labels, axis=0) - means)).tolist()}

    def probabilities(self, logits: np.ndarray, state: Mapping[str, Any]) -> np.ndarray:
        return expit(logits + np.array(state["shift"]))


class SoundSingleLabelCalibrator:
    """One of three temperatures for all classes."""

    tasks: ClassVar[frozenset[str]] = frozenset({"singlelabel"})

    def fit(self, logits: np.ndarray, labels: np.ndarray) -> Mapping[str, Any]:
        known = ~np.isnan(labels[:, 0])
        logits, labels = logits[known], labels[known]
        return {"t": min((0.5, 1.0, 2.0), key=lambda t: -(log_softmax(logits / t, axis=1) * labels).sum())}

    def probabilities(self, logits: np.ndarray, state: Mapping[str, Any]) -> np.ndarray:
        return softmax(logits / state["t"], axis=1)


class SoundThresholds:
    """The mean score of the positives of each finding."""

    tasks: ClassVar[frozenset[str]] = LOSS_TASKS

    def fit(self, probabilities: np.ndarray, labels: np.ndarray, *, calibrated: bool) -> list[OperatingPoint]:
        return [self.point(p, y) for p, y in zip(probabilities.T, labels.T, strict=True)]

    def point(self, scores: np.ndarray, labels: np.ndarray) -> OperatingPoint:
        if not (labels == 1).any():
            return OperatingPoint(float("nan"), False, "no positive")
        return OperatingPoint(float(scores[labels == 1].mean()))


class SoundExplainer:
    """The mean of the layer's maps, above 0."""

    def maps(
        self, network: nn.Module, layer: MapLayer, inputs: Sequence[Tensor], classes: Sequence[int]
    ) -> np.ndarray:
        kept: list[Tensor] = []
        hook = layer.module.register_forward_hook(lambda module, given, output: kept.append(output.clone()))
        with torch.no_grad():
            network(*inputs)
        hook.remove()
        heat = layer.maps(kept[0]).mean(dim=1, keepdim=True).clamp(min=0)
        heat = F.interpolate(heat, inputs[0].shape[-2:], mode="nearest")[:, 0]
        return (heat / heat.amax(dim=(1, 2), keepdim=True).clamp(min=1e-12)).numpy()


class SoundSearch:
    """The member that is best alone."""

    tasks: ClassVar[frozenset[str]] = frozenset({"multilabel", "singlelabel"})
    rounds: ClassVar[int] = 1

    def search(
        self, members: Members, fitness: Fitness, seed: int, advance: Callable[[float], None]
    ) -> FoundEnsemble:
        alone = np.eye(len(members.scores))
        values = fitness.whole(alone)
        advance(float(values.max()))
        weights = alone[int(values.argmax())]
        return FoundEnsemble(weights, {"weights": weights.tolist()}, weights[None])

    def combine(self, scores: np.ndarray, state: Mapping[str, Any]) -> np.ndarray:
        return np.einsum("m,mnc->nc", np.array(state["weights"]), scores)


class SoundMetric:
    """The share of right decisions."""

    tasks: ClassVar[frozenset[str]] = frozenset({"multilabel", "singlelabel"})
    higher_is_better: ClassVar[bool] = True

    def value(self, labels: np.ndarray, probabilities: np.ndarray, decisions: np.ndarray) -> float:
        counted = ~(np.isnan(labels) | np.isnan(decisions))
        return float((decisions == labels)[counted].mean()) if counted.any() else float("nan")


SOUND: list[tuple[Kind, type[Any]]] = [
    ("dataset", SoundDataset),
    ("backbone", SoundBackbone),
    ("loss", SoundLoss),
    ("loss", SoundSingleLabelLoss),
    ("calibrator", SoundCalibrator),
    ("calibrator", SoundSingleLabelCalibrator),
    ("thresholds", SoundThresholds),
    ("explainer", SoundExplainer),
    ("ensemble", SoundSearch),
    ("metric", SoundMetric),
]


def component(kind: Kind, cls: type[Any]) -> Component:
    """``cls`` as a plugin would register it; the registry finds it in this module."""
    globals()[cls.__name__] = cls
    return Component(kind, cls.__name__.lower(), f"{__name__}:{cls.__name__}", "1", "A toy", "tests")


@pytest.mark.parametrize(
    ("kind", "cls", "check"),
    [pytest.param(k, c, check, id=f"{c.__name__}-{check}") for k, c in SOUND for check in checks_for(k)],
)
def test_sound_toys_pass(kind: Kind, cls: type[Any], check: Check, tmp_path: Path) -> None:
    check.run(component(kind, cls), {}, tmp_path if kind == "dataset" else None)


def test_checks_have_unique_names_and_say_what_is_right() -> None:
    for kind in KINDS:
        checks = checks_for(kind)
        assert len({check.name for check in checks}) == len(checks)
        assert all(check.advice.endswith(".") for check in checks)


def test_a_failure_names_the_component_the_check_what_was_seen_and_what_is_right() -> None:
    check = named("loss", "masks_unknown_labels")
    with pytest.raises(AssertionError) as failure:
        check.run(component("loss", broken(SoundLoss, build=lambda self, labels, classes: unmasked)))
    text = str(failure.value)
    assert text.startswith("The loss 'broken' fails masks_unknown_labels: The loss is ")
    assert text.endswith(check.advice)


def test_what_a_component_raises_itself_comes_through() -> None:
    def build(self: Any, labels: np.ndarray, classes: Sequence[str]) -> Any:
        raise KeyError("Mass")

    with pytest.raises(KeyError, match="Mass"):
        named("loss", "is_a_finite_scalar").run(component("loss", broken(SoundLoss, build=build)))


# Broken toys -----------------------------------------------------------------------------------------


def named(kind: Kind, name: str) -> Check:
    (check,) = (check for check in checks_for(kind) if check.name == name)
    return check


def broken(sound: type[Any], **members: Any) -> type[Any]:
    """The sound toy with some members replaced."""
    return type("Broken", (sound,), {"__doc__": "Broken.", "__module__": __name__, **members})


def assert_fails(kind: Kind, cls: type[Any], check: str) -> None:
    with pytest.raises(AssertionError, match=f"fails {check}: "):
        named(kind, check).run(component(kind, cls))


class Undescribed(SoundLoss):
    pass


@dataclass
class UndescribedDataclass(SoundLoss):
    gamma: float = 2.0


class Untyped(SoundLoss):
    def __init__(self, gamma=2.0) -> None:
        pass


class Catchall(SoundLoss):
    def __init__(self, **options: float) -> None:
        pass


@dataclass
class AnyObject(SoundLoss):
    gamma: object = 2.0


@dataclass
class Drifting(SoundLoss):
    gamma: Annotated[float, AfterValidator(lambda value: value + 1)] = 2.0


@dataclass
class Credulous(SoundLoss):
    gamma: Annotated[float, BeforeValidator(lambda value: 2.0)] = 2.0


@dataclass
class WrongByDefault(SoundLoss):
    gamma: Annotated[float, Ge(0)] = -2.0


@pytest.mark.parametrize(
    ("cls", "check"),
    [
        (Undescribed, "says_what_it_is"),
        (UndescribedDataclass, "says_what_it_is"),
        (broken(SoundLoss, build=None), "has_the_methods"),
        (broken(SoundLoss, build=lambda self, y, names: None), "has_the_methods"),
        (Untyped, "has_typed_options"),
        (Catchall, "has_typed_options"),
        (AnyObject, "has_typed_options"),
        (Drifting, "has_options_that_can_be_stored"),
        (Credulous, "refuses_wrong_options"),
        (broken(SoundLoss, tasks="multilabel"), "declares_its_tasks"),
        (broken(SoundLoss, tasks=frozenset({"multi-label"})), "declares_its_tasks"),
    ],
)
def test_broken_components(cls: type[Any], check: str) -> None:
    assert_fails("loss", cls, check)


def test_a_default_must_be_valid() -> None:
    with pytest.raises(UsageError, match=r"gamma=-2\.0"):
        named("loss", "has_options_that_can_be_stored").run(component("loss", WrongByDefault))


def test_a_registration_needs_a_summary_of_one_line() -> None:
    with pytest.raises(AssertionError, match="fails says_what_it_is: "):
        named("loss", "says_what_it_is").run(replace(component("loss", SoundLoss), summary="two\nlines"))


def built(function: Callable[[Tensor, Tensor], Tensor]) -> dict[str, Any]:
    return {"build": lambda self, labels, classes: function}


def unmasked(logits: Tensor, labels: Tensor) -> Tensor:
    return (logits.sigmoid() - labels.nan_to_num()).square().mean()


def averaged_over_known(logits: Tensor, labels: Tensor) -> Tensor:
    known = ~labels.isnan()
    return (logits.sigmoid() - labels)[known].square().mean()


def balanced_in_the_batch(logits: Tensor, labels: Tensor) -> Tensor:
    return (SoundLoss.value(logits, labels) * labels.nansum(0).reciprocal()).sum()


def with_labels_filled(logits: Tensor, labels: Tensor) -> Tensor:
    return SoundLoss.value(logits, labels) + 0 * labels.nan_to_num_().sum()


def by_counts(self: Any, labels: np.ndarray, classes: Sequence[str]) -> Any:
    weights = 1 / torch.from_numpy(labels).float().sum(dim=0)
    return lambda logits, y: (SoundLoss.value(logits, y) * weights).mean()


@pytest.mark.parametrize(
    ("members", "check"),
    [
        (built(lambda logits, y: (logits.sigmoid() - y.nan_to_num()).square()), "is_a_finite_scalar"),
        (built(lambda logits, y: SoundLoss.value(logits.detach(), y)), "is_a_finite_scalar"),
        (built(lambda logits, y: SoundLoss.value(logits, y) / 0), "is_a_finite_scalar"),
        (built(lambda logits, y: -SoundLoss.value(logits, y)), "falls_towards_the_labels"),
        (built(unmasked), "masks_unknown_labels"),
        (built(averaged_over_known), "takes_a_batch_without_known_labels"),
        (built(balanced_in_the_batch), "takes_batches_of_one_class"),
        ({"build": by_counts}, "builds_on_any_training_labels"),
        (built(lambda logits, y: SoundLoss.value(logits, y) * random.random()), "repeats_itself"),
        (built(with_labels_filled), "leaves_its_arguments_alone"),
    ],
)
def test_broken_losses(members: dict[str, Any], check: str) -> None:
    assert_fails("loss", broken(SoundLoss, **members), check)


def calibrated(change: Callable[[np.ndarray, Mapping[str, Any]], np.ndarray]) -> dict[str, Any]:
    return {"probabilities": lambda self, logits, state: change(logits, state)}


def in_place(logits: np.ndarray, state: Mapping[str, Any]) -> np.ndarray:
    logits += np.array(state["shift"])
    return expit(logits)


def by_rank(logits: np.ndarray, state: Mapping[str, Any]) -> np.ndarray:
    return logits.argsort(axis=0).argsort(axis=0) / len(logits)


def by_number(logits: np.ndarray, state: Mapping[Any, Any]) -> np.ndarray:
    """JSON makes the key 1 the text "1"."""
    return expit(logits + state.get(1, 0.0))


def standardised(self: Any, logits: np.ndarray, labels: np.ndarray) -> Mapping[str, Any]:
    return {"shift": (-logits.mean(axis=0) / logits.std(axis=0)).tolist()}


def nan_is_negative(self: Any, logits: np.ndarray, labels: np.ndarray) -> Mapping[str, Any]:
    return {"shift": np.nan_to_num(labels).mean(axis=0).tolist()}


@pytest.mark.parametrize(
    ("members", "check"),
    [
        (calibrated(lambda logits, state: logits), "gives_probabilities"),
        (calibrated(lambda logits, state: expit(logits)[:, :1]), "gives_probabilities"),
        (calibrated(lambda logits, state: expit(logits).astype("float32")), "gives_probabilities"),
        (calibrated(lambda logits, state: np.exp(logits) / (1 + np.exp(logits))), "gives_probabilities"),
        (calibrated(lambda logits, state: expit(logits) * np.ones((1, 4))), "fits_single_findings"),
        ({"fit": standardised}, "fits_what_tells_nothing_or_all"),
        ({"fit": nan_is_negative}, "leaves_out_unknown_labels"),
        ({"fit": lambda self, x, y: {"shift": np.nanmean(y, axis=0)}}, "keeps_a_state_of_json_values"),
        ({"fit": lambda self, x, y: {1: 0.5}, **calibrated(by_number)}, "keeps_a_state_of_json_values"),
        (calibrated(by_rank), "treats_images_alone"),
        ({"fit": lambda self, x, y: {"shift": random.random()}}, "repeats_itself"),
        (calibrated(in_place), "leaves_its_arguments_alone"),
    ],
)
def test_broken_calibrators(members: dict[str, Any], check: str) -> None:
    with np.errstate(all="ignore"):
        assert_fails("calibrator", broken(SoundCalibrator, **members), check)


def each(point: Callable[[np.ndarray, np.ndarray], float]) -> dict[str, Any]:
    return {
        "point": lambda self, scores, labels: OperatingPoint(float(point(scores, labels)), True, "so it is")
    }


def sorted_in_place(self: Any, probabilities: np.ndarray, labels: np.ndarray, *, calibrated: bool) -> Any:
    probabilities.sort(axis=0)
    return [OperatingPoint(0.5)] * labels.shape[1]


def by_position(self: Any, probabilities: np.ndarray, labels: np.ndarray, *, calibrated: bool) -> Any:
    return [OperatingPoint(c / 10) for c in range(labels.shape[1])]


def only_one(self: Any, probabilities: np.ndarray, labels: np.ndarray, *, calibrated: bool) -> Any:
    return [OperatingPoint(0.5)]


@pytest.mark.parametrize(
    ("members", "check"),
    [
        ({"fit": only_one}, "gives_a_point_for_each_column"),
        ({"point": lambda self, scores, labels: 0.5}, "gives_a_point_for_each_column"),
        (each(lambda scores, labels: scores.max() + 1), "gives_a_point_for_each_column"),
        ({"point": lambda self, scores, labels: OperatingPoint(0.5, False)}, "gives_its_reasons"),
        ({"point": lambda self, scores, labels: OperatingPoint(np.nan)}, "gives_its_reasons"),
        (
            each(lambda scores, labels: scores.min() / max((labels == 1).sum(), 0.1)),
            "takes_findings_of_one_class",
        ),
        (each(lambda scores, labels: 1 / len(np.unique(scores)) + (scores.std() == 0)), "takes_ties"),
        (each(lambda scores, labels: np.nan_to_num(labels).mean()), "leaves_out_unknown_labels"),
        ({"fit": by_position}, "follows_its_column"),
        (each(lambda scores, labels: scores[0]), "ignores_the_order_of_images"),
        (each(lambda scores, labels: random.random()), "repeats_itself"),
        ({"fit": sorted_in_place}, "leaves_its_arguments_alone"),
    ],
)
def test_broken_thresholds(members: dict[str, Any], check: str) -> None:
    assert_fails("thresholds", broken(SoundThresholds, **members), check)


def network(**members: Any) -> dict[str, Any]:
    """A backbone whose network has some members replaced."""
    cls = type("BrokenNetwork", (ToyNetwork,), members)
    return {"build": lambda self, outputs, image_size, pretrained: cls(outputs)}


def changed(function: Callable[[ToyNetwork, Tensor], Tensor]) -> dict[str, Any]:
    return network(forward=function)


def own_weights(self: Any, outputs: int, image_size: int, pretrained: bool) -> nn.Module:
    torch.manual_seed(7)
    return ToyNetwork(outputs)


def unseeded(self: Any, outputs: int, image_size: int, pretrained: bool) -> nn.Module:
    made = ToyNetwork(outputs)
    nn.init.normal_(made.head.weight, generator=torch.Generator().manual_seed(random.getrandbits(60)))
    return made


def with_an_idle_layer(self: Any, outputs: int, image_size: int, pretrained: bool) -> nn.Module:
    made = ToyNetwork(outputs)
    made.idle = nn.Linear(1, 1)
    return made


def with_weights_beside(self: Any, outputs: int, image_size: int, pretrained: bool) -> nn.Module:
    made = ToyNetwork(outputs)
    factor = torch.rand(1)
    made.register_forward_hook(lambda module, inputs, logits: logits * factor)
    return made


def refused(self: Any, outputs: int, image_size: int, pretrained: bool) -> nn.Module:
    raise CxrbenchError("Only 17 px.")


plain = ToyNetwork.forward


def by_strides(self: ToyNetwork, x: Tensor) -> Tensor:
    return plain(self, x) + x.is_contiguous() * 1.0


def scaled_in_place(self: ToyNetwork, x: Tensor) -> Tensor:
    return plain(self, x.mul_(2))


def otherwise_compiled(self: ToyNetwork, x: Tensor) -> Tensor:
    return plain(self, x) + 1.0 * torch.compiler.is_compiling()


def published(*classes: str, **members: Any) -> dict[str, Any]:
    return {"classes": classes, **members}


def overflowing_in_bf16(self: ToyNetwork, x: Tensor) -> Tensor:
    return plain(self, x + 1000 * (torch.is_autocast_enabled("cpu")))


@pytest.mark.parametrize(
    ("members", "check"),
    [
        ({"inputs": "image"}, "declares_its_inputs"),
        ({"inputs": ("image", "age")}, "declares_its_inputs"),
        ({"std": (0.0, 0.0, 0.0)}, "declares_its_inputs"),
        ({"mean": (0.5, 0.5)}, "declares_its_inputs"),
        ({"build": refused}, "gives_a_logit_for_each_output"),
        (changed(lambda self, x: plain(self, x).squeeze(0)), "gives_a_logit_for_each_output"),
        (changed(lambda self, x: plain(self, x)[:, :1]), "gives_a_logit_for_each_output"),
        (changed(lambda self, x: plain(self, x).double()), "gives_a_logit_for_each_output"),
        (changed(lambda self, x: plain(self, x) / 0 * 0), "gives_a_logit_for_each_output"),
        ({"build": own_weights}, "draws_weights_from_the_seed"),
        ({"build": unseeded}, "draws_weights_from_the_seed"),
        (changed(lambda self, x: plain(self, x) + random.random()), "evaluates_without_chance"),
        (changed(lambda self, x: plain(self, x) - plain(self, x).mean(0)), "treats_images_alone"),
        (changed(by_strides), "takes_channels_last"),
        (changed(overflowing_in_bf16), "runs_in_bf16"),
        ({"build": with_an_idle_layer}, "trains_every_parameter"),
        ({"build": with_weights_beside}, "keeps_all_it_learns_in_its_state"),
        (changed(scaled_in_place), "leaves_its_arguments_alone"),
        (changed(otherwise_compiled), "exports"),
        (changed(otherwise_compiled), "compiles"),
        (published("a", "b"), "says_what_published_weights_tell"),
        (published("a", "b", "b", recommend=lambda self: {}), "says_what_published_weights_tell"),
        (published("a", "b", recommend=lambda self: {"epoch": 0}), "says_what_published_weights_tell"),
        (published("a", "b", recommend=lambda self: {"epochs": -1}), "says_what_published_weights_tell"),
        (published("a", "b", recommend=lambda self: None), "says_what_published_weights_tell"),
    ],
)
def test_broken_backbones(members: dict[str, Any], check: str) -> None:
    assert_fails("backbone", broken(SoundBackbone, **members), check)


def test_a_network_that_cannot_be_exported_fails() -> None:
    by_value = broken(
        SoundBackbone, **changed(lambda self, x: plain(self, x) * (2 if x.mean().item() > 9 else 1))
    )
    with pytest.raises(Exception, match=r"(?i)data.dependent"):
        named("backbone", "exports").run(component("backbone", by_value))


def test_published_weights_are_asked_for_as_many_outputs_as_they_tell() -> None:
    def build(self: Any, outputs: int, image_size: int, pretrained: bool) -> nn.Module:
        if outputs != 2:
            raise CxrbenchError("It tells 2 findings.")
        return ToyNetwork(outputs)

    members = published("Mass", "Nodule", recommend=lambda self: {"epochs": 0}, build=build)
    sound = component("backbone", broken(SoundBackbone, **members))
    for check in checks_for("backbone"):
        if not check.long:
            check.run(sound)


def collection(**changes: Callable[[Collection], Any]) -> dict[str, Any]:
    """A data set whose collection has some parts replaced."""

    def read(self: Any, root: Path | None) -> Collection:
        sound = SoundDataset().read(root)
        return replace(sound, **{name: change(sound) for name, change in changes.items()})

    return {"read": read}


def manifest(**columns: Any) -> dict[str, Any]:
    return collection(manifest=lambda sound: sound.manifest.assign(**columns))


def box(finding: str, *sides: float, image_id: str = "i00") -> dict[str, Any]:
    return collection(boxes=lambda _: pd.DataFrame([(image_id, finding, *sides)], columns=list(BOX_COLUMNS)))


def drawn(pixels: Callable[[str, int], np.ndarray]) -> dict[str, Any]:
    return {"pixels": lambda self, content, image_id, side: pixels(image_id, side)}


@pytest.mark.parametrize(
    ("members", "check"),
    [
        ({"recommend": lambda self: {"size": 64}}, "recommends_settings_that_exist"),
        ({"recommend": lambda self: {"image_size": 1}}, "recommends_settings_that_exist"),
        ({"recommend": lambda self: {"epochs": "many"}}, "recommends_settings_that_exist"),
        ({"read": lambda self, root: {}}, "reads_a_manifest"),
        (manifest(patient_id=range(40)), "reads_a_manifest"),
        (manifest(age=600.0), "reads_a_manifest"),
        (manifest(age=50), "reads_a_manifest"),
        (manifest(sex="female"), "reads_a_manifest"),
        (manifest(view="LL"), "reads_a_manifest"),
        (manifest(source="../secret.png"), "reads_a_manifest"),
        (collection(labels=lambda sound: sound.labels.astype("float64")), "reads_labels"),
        (collection(labels=lambda sound: -sound.labels), "reads_labels"),
        (collection(label_version=lambda sound: ""), "reads_labels"),
        (
            collection(
                task=lambda sound: Task("singlelabel", ("a", "b")), labels=lambda sound: 0 * sound.labels
            ),
            "reads_labels",
        ),
        (box("c", 0.1, 0.1, 0.1, 0.1), "reads_boxes_inside_the_images"),
        (box("a", 0.1, 0.1, 0.1, 0.1, image_id="i99"), "reads_boxes_inside_the_images"),
        (box("a", 200, 100, 300, 400), "reads_boxes_inside_the_images"),
        (box("a", 0.1, 0.1, 0.0, 0.1), "reads_boxes_inside_the_images"),
        (box("a", -0.1, 0.1, 0.2, 0.1), "reads_boxes_inside_the_images"),
        (manifest(patient_id=[f"p{k % 20}" for k in range(40)]), "keeps_patients_apart"),
        (manifest(official="train_val"), "keeps_patients_apart"),
        (collection(listed=lambda sound: {"train_val": 40}), "counts_its_lists"),
        (collection(listed=lambda sound: {"train_val": 3, "test": 10}), "counts_its_lists"),
        (collection(notes=lambda sound: (str(random.random()),)), "reads_the_same_again"),
        (collection(boxes=lambda sound: sound.boxes.assign(x=random.random())), "reads_the_same_again"),
        (drawn(lambda image_id, side: np.zeros((side, side))), "gives_grey_pixels"),
        (drawn(lambda image_id, side: np.zeros((side, side, 3), np.uint8)), "gives_grey_pixels"),
        (
            drawn(lambda image_id, side: np.full((side, side), random.getrandbits(8), np.uint8)),
            "gives_grey_pixels",
        ),
    ],
)
def test_broken_datasets(members: dict[str, Any], check: str) -> None:
    assert_fails("dataset", broken(SoundDataset, **members), check)


def test_a_data_set_must_explain_a_missing_folder(tmp_path: Path) -> None:
    cls = broken(SoundDataset, read=lambda self, root: SoundDataset().read(None))
    with pytest.raises(AssertionError, match="read without an error"):
        named("dataset", "explains_a_missing_folder").run(component("dataset", cls), {}, tmp_path)


class Bright(SoundDataset):
    """Images of one file, whose option changes what is decoded."""

    def __init__(self, brighter: int = 0) -> None:
        self.brighter = brighter

    def read(self, root: Path | None) -> Collection:
        sound = super().read(root)
        return replace(sound, manifest=sound.manifest.assign(source="film"))

    def pixels(self, content: bytes | None, image_id: str, side: int) -> Any:
        return np.full((side, side), len(content or b"") + self.brighter, np.uint8)


def test_a_data_set_must_decode_alike_whatever_its_options(tmp_path: Path) -> None:
    (tmp_path / "film").write_bytes(b"film")
    check = named("dataset", "decodes_alike_with_any_options")
    check.run(component("dataset", Bright), {"brighter": 0}, tmp_path)
    with pytest.raises(AssertionError, match="i00 is decoded otherwise"):
        check.run(component("dataset", Bright), {"brighter": 1}, tmp_path)


def changed_maps(change: Callable[..., Any]) -> dict[str, Any]:
    """Maps of the sound explainer, changed."""

    def maps(
        self: Any, network: nn.Module, layer: MapLayer, inputs: Sequence[Tensor], classes: Sequence[int]
    ) -> Any:
        return change(SoundExplainer().maps(network, layer, inputs, classes), network)

    return {"maps": maps}


def frozen(maps: np.ndarray, network: nn.Module) -> np.ndarray:
    network.requires_grad_(False)
    return maps


@pytest.mark.parametrize(
    ("change", "check"),
    [
        (lambda maps, network: maps[:, ::4, ::4], "gives_a_map_of_each_image"),
        (lambda maps, network: maps.astype(np.float64), "gives_a_map_of_each_image"),
        (lambda maps, network: maps - 0.5, "gives_a_map_of_each_image"),
        (lambda maps, network: maps * 255, "gives_a_map_of_each_image"),
        (lambda maps, network: maps * 0, "gives_a_map_of_each_image"),
        (lambda maps, network: maps[:, :32, :32], "takes_odd_sizes"),
        (lambda maps, network: maps / len(maps), "treats_images_alone"),
        (lambda maps, network: maps * np.float32(random.random()), "repeats_itself"),
        (frozen, "leaves_the_network_alone"),
        (lambda maps, network: (network.train(), maps)[1], "leaves_the_network_alone"),
    ],
)
def test_broken_explainers(change: Callable[..., Any], check: str) -> None:
    assert_fails("explainer", broken(SoundExplainer, **changed_maps(change)), check)


def finding(weights: Callable[[Members], np.ndarray], state: Any = None) -> dict[str, Any]:
    def search(self: Any, members: Members, fitness: Fitness, seed: int, advance: Any) -> FoundEnsemble:
        found = weights(members)
        kept = {"weights": np.abs(found).tolist()} if state is None else state(found)
        return FoundEnsemble(found, kept, found[None])

    return {"search": search}


def even(members: Members) -> np.ndarray:
    return np.full(len(members.scores), 1 / len(members.scores))


def drawn(members: Members) -> np.ndarray:
    return np.random.default_rng().dirichlet(np.ones(len(members.scores)))


def shuffled_in_place(members: Members) -> np.ndarray:
    members.scores[0, :5] = members.scores[0, 5:10]
    return even(members)


def impatient(self: Any, members: Members, fitness: Fitness, seed: int, advance: Any) -> FoundEnsemble:
    advance(0.0)
    advance(0.0)
    return SoundSearch().search(members, fitness, seed, advance)


@pytest.mark.parametrize(
    ("members", "check"),
    [
        (finding(lambda members: 2 * even(members)), "gives_weights"),
        (finding(lambda members: even(members)[:1]), "gives_weights"),
        ({"combine": lambda self, scores, state: scores.sum(axis=0) + 1}, "takes_any_scale"),
        ({"combine": lambda self, scores, state: scores[0, :, :1]}, "takes_any_scale"),
        (finding(lambda members: even(members) / members.scores.std()), "takes_odd_members"),
        (finding(even, lambda weights: {"weights": weights}), "keeps_a_state_of_json_values"),
        ({"combine": lambda self, scores, state: scores[0] - scores[0].mean(axis=0)}, "treats_images_alone"),
        (finding(drawn), "repeats_itself"),
        ({"search": impatient}, "tells_how_far_it_is"),
        (finding(shuffled_in_place), "leaves_its_arguments_alone"),
    ],
)
def test_broken_searches(members: dict[str, Any], check: str) -> None:
    with np.errstate(all="ignore"):
        assert_fails("ensemble", broken(SoundSearch, **members), check)


@dataclass
class CountingMetric(SoundMetric):
    """How many decisions are right: grows with the images."""

    def value(self, labels: np.ndarray, probabilities: np.ndarray, decisions: np.ndarray) -> float:
        counted = ~(np.isnan(labels) | np.isnan(decisions))
        return float((decisions == labels)[counted].sum()) if counted.any() else float("nan")


def zero_without_labels(
    self: Any, labels: np.ndarray, probabilities: np.ndarray, decisions: np.ndarray
) -> float:
    return float(np.nan_to_num(SoundMetric().value(labels, probabilities, decisions)))


def unknown_as_negative(
    self: Any, labels: np.ndarray, probabilities: np.ndarray, decisions: np.ndarray
) -> float:
    return float((decisions == np.nan_to_num(labels)).mean())


def rounds_in_place(self: Any, labels: np.ndarray, probabilities: np.ndarray, decisions: np.ndarray) -> float:
    np.nan_to_num(labels, copy=False)
    return SoundMetric().value(labels, probabilities, decisions)


@pytest.mark.parametrize(
    ("cls", "check"),
    [
        (
            broken(SoundMetric, value=lambda self, labels, probabilities, decisions: labels[0]),
            "gives_one_number",
        ),
        (broken(SoundMetric, higher_is_better=False), "says_which_way_is_good"),
        (broken(SoundMetric, higher_is_better="yes"), "says_which_way_is_good"),
        (broken(SoundMetric, value=unknown_as_negative), "leaves_out_unknown_labels"),
        (broken(SoundMetric, value=zero_without_labels), "is_undefined_without_labels"),
        (CountingMetric, "counts_images_as_often_as_they_stand"),
        (broken(SoundMetric, value=rounds_in_place), "leaves_its_arguments_alone"),
    ],
)
def test_broken_metrics_fail(cls: type[Any], check: str) -> None:
    assert_fails("metric", cls, check)
