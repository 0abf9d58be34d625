"""One Protocol for each kind of component: all that a plugin author implements.

A component is a class. Its options are the keywords of its constructor (a frozen dataclass is the
usual form); their annotations are checked before any work starts, so use types such as
``Annotated[float, Ge(0), Le(1)]`` from ``annotated_types``. Methods take and return arrays or tensors,
never objects of the store. Nothing here is inherited from.

Shapes: ``n`` images, ``c`` classes in the task's order, ``B`` images in a batch. Labels are 1, 0 or
NaN (unknown). Arrays are NumPy on the host, tensors are torch on whatever device the run uses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor, nn

    from cxrbench.collection import Collection
    from cxrbench.map_layers import MapLayer
    from cxrbench.task import Task

    FloatArray = NDArray[np.float64]
    LossFunction = Callable[[Tensor, Tensor], Tensor]

State = Mapping[str, Any]
"""What a fitted component keeps: JSON values only (numbers, strings, lists, mappings; NaN allowed)."""


class Dataset(Protocol):
    """Images with labels, patients and, where known, boxes."""

    def recommend(self) -> Mapping[str, object]:
        """Settings of a run that suit this data set, such as ``{"image_size": 64, "weights": "none"}``.

        Keys are fields of :class:`cxrbench.specs.RunSpec` and :class:`cxrbench.specs.TrainingSpec`;
        each holds only where the user has not said otherwise.
        """

    def read(self, root: Path | None) -> Collection:
        """Read the tables (not the images) below ``root``; None where the data set needs no folder.

        Raises:
            CxrbenchError: a file is missing or not what it should be; the sentence names it.
        """

    def pixels(self, content: bytes | None, image_id: str, side: int) -> NDArray[np.uint8]:
        """One image as greyscale ``[height, width]``, at its own size or, where drawn, ``side`` pixels.

        Called from several threads at once. The caller reads files and resizes. What is made of a file's
        bytes may not depend on the data set's options: images are stored once for all of them, by the hash
        of their file. Another way of decoding is another version of the data set.

        Args:
            content: the bytes of the image's file (:func:`cxrbench.decoding.grey_image` decodes the usual
                formats), None where the manifest's ``source`` is empty: the image is drawn.
            image_id: the image, for drawing and for naming it where it is damaged.
            side: the side at which an image is drawn.

        Raises:
            DamagedImageError: the content is not the image that it should be.
        """


@dataclass(frozen=True, slots=True)
class TaskLabels:
    """The labels of a task, made of a data set's own.

    Attributes:
        task: the classes, and whether exactly one of them is right.
        labels: ``[n, c]`` of the task's classes; a row of a single-label task has one 1, or is all NaN.
        kept: bool ``[n]``, which images have a place in the task; the others are left out.
    """

    task: Task
    labels: FloatArray
    kept: NDArray[np.bool_]


class TaskDefinition(Protocol):
    """What a network is to predict: classes that are made of a data set's own."""

    def recommend(self) -> Mapping[str, object]:
        """Settings of a run that suit this task, as :meth:`Dataset.recommend`, whose place they take."""

    def define(self, own: Task, labels: FloatArray) -> TaskLabels:
        """The task, and its labels of images whose own labels ``[n, classes of own]`` are given.

        Which task it is must follow from ``own`` alone, and each image's labels from its own row.

        Raises:
            UsageError: the data set's classes do not allow this task.
        """


@dataclass(frozen=True, slots=True)
class SamplePlan:
    """What one epoch trains on: rows of the train role, some repeated, some mirrored.

    Attributes:
        rows: int64 ``[m]``, positions among the images that the plan was made for, in any order.
        mirrored: bool ``[m]``, whether the row is seen mirrored left to right.
    """

    rows: NDArray[np.int64]
    mirrored: NDArray[np.bool_]


class Sampler(Protocol):
    """Which images of a data set are used at all, and how often training sees each.

    ``draws`` ``[n]`` are uniform numbers in 0..1, one an image, that follow from its id: the only randomness
    that a sampler has.
    """

    def subset(self, labels: FloatArray, classes: Sequence[str], draws: FloatArray) -> NDArray[np.bool_]:
        """Which images ``[n]`` of the whole data set are kept; decided before roles are given.

        ``draws`` do not depend on the run's seed, so that all seeds have one test set.
        """

    def balance(self, labels: FloatArray, classes: Sequence[str], draws: FloatArray) -> SamplePlan:
        """What an epoch trains on, of the train role's labels ``[n, c]``; ``draws`` vary with the seed."""


class Preprocessing(Protocol):
    """What is done to a whole image before it is resized and stored, in training and evaluation alike."""

    def apply(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The image ``[height, width]`` of greys 0..255, preprocessed, of the same shape."""


class Augmentation(Protocol):
    """What the network sees of a training image in an epoch, for a whole batch on its device."""

    @property
    def draws(self) -> int:
        """How many uniform numbers an image takes each time it is seen."""

    def view(self, pixels: Tensor, size: int, crop: float, draws: Tensor) -> Tensor:
        """Stored pixels as what the network sees of them, before normalisation.

        Args:
            pixels: uint8 ``[B, 1, side, side]``, whole images; ``side`` is at least ``size / crop``.
            size: side of the network's input.
            crop: share of the image's side that the network sees.
            draws: float ``[B, self.draws]`` in 0..1, the only randomness.

        Returns:
            float ``[B, 1, size, size]`` in 0..1.
        """


class Backbone(Protocol):
    """A network, from pixels (and patient data) to one logit for each class.

    The module that it builds may say by which layers it is explained: see
    :func:`cxrbench.map_layers.named_layers`.
    """

    @property
    def inputs(self) -> tuple[Literal["image", "patient"], ...]:
        """What the network's ``forward`` takes, in this order.

        ``image`` ``[B, channels, S, S]`` float, normalised with ``mean`` and ``std``; ``patient`` ``[B, 3]``
        float: age / 100 clipped to 0..1, view (PA 0, AP 1), sex (M 0, F 1), each .5 where unknown. A class
        variable, a field or a property will do.
        """

    @property
    def mean(self) -> tuple[float, ...]:
        """Subtracted from each channel's pixels in 0..1; one value a channel. Grey is repeated."""

    @property
    def std(self) -> tuple[float, ...]:
        """What each channel is then divided by; as many values as ``mean``."""

    def build(self, outputs: int, image_size: int, pretrained: bool) -> nn.Module:
        """The network with ``outputs`` logits; weights from ImageNet where ``pretrained``, else random.

        Random weights come from torch's global generator, seeded by the caller.

        Raises:
            CxrbenchError: ImageNet weights cannot be had here.
        """


class FeatureBackbone(Backbone, Protocol):
    """A backbone that can also do without its own head, so that another one can be put on it."""

    def features(self, image_size: int, pretrained: bool) -> nn.Module:
        """The network below its head: images ``[B, channels, S, S]`` to maps ``[B, C, h, w]``.

        Raises:
            CxrbenchError: ImageNet weights cannot be had here.
        """


class PublishedBackbone(Backbone, Protocol):
    """A backbone that is taken as others have trained it, so that its weights decide what its outputs are."""

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of its logits, in their order.

        They are the task of a run with it: a data set's other classes are left out, which is said, and one
        that lacks some of these is refused. ``build`` is only called with as many outputs.
        """

    def recommend(self) -> Mapping[str, object]:
        """Settings of a run that suit the weights, as :meth:`Dataset.recommend`, whose place they take.

        ``{"epochs": 0}`` takes them as they are.
        """


class Head(Protocol):
    """What makes logits of a backbone's maps."""

    def network(self, backbone: Backbone, outputs: int, image_size: int, pretrained: bool) -> nn.Module:
        """The backbone with this head, ``outputs`` logits, for images of ``image_size``.

        Raises:
            UsageError: the backbone has no maps that this head could be put on.
            CxrbenchError: ImageNet weights cannot be had here.
        """


class Resizer(Protocol):
    """A part in front of a network that changes the size of its images."""

    def size(self, image_size: int) -> int:
        """The side of the images that it hands on, of images of ``image_size``."""

    def network(self, network: nn.Module, channels: int, image_size: int) -> nn.Module:
        """``network``, which takes images of :meth:`size`, behind this part: for ``[B, channels, S, S]``."""


class Loss(Protocol):
    """A training loss."""

    tasks: ClassVar[frozenset[str]]
    """The task kinds that it fits: ``multilabel``, ``singlelabel``."""

    def build(self, labels: FloatArray, classes: Sequence[str]) -> LossFunction:
        """A function of logits ``[B, c]`` and labels ``[B, c]`` (NaN where unknown) to a scalar tensor.

        ``labels`` ``[n, c]`` are the training rows', for weights that depend on counts.
        """


class Calibrator(Protocol):
    """A map from raw logits to calibrated probabilities, fitted on the tune role.

    One that is for single-label tasks alone is given the logits of a softmax; one that is for both kinds is
    given log-odds of each class against the rest (:meth:`cxrbench.task.Task.log_odds`) there.
    """

    tasks: ClassVar[frozenset[str]]

    def fit(self, logits: FloatArray, labels: FloatArray) -> State:
        """Fit on logits ``[n, c]`` and labels ``[n, c]``; each column has both classes among its labels.

        Where exactly one class is right, either all columns of the task are given or none is fitted.
        """

    def probabilities(self, logits: FloatArray, state: State) -> FloatArray:
        """Calibrated probabilities ``[n, c]`` in 0..1 of logits ``[n, c]``."""


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """The threshold of one class, and whether it meets what its strategy promises.

    Attributes:
        threshold: probability from which the class is called positive; NaN where undefined.
        feasible: False where the strategy's constraint could not be met on the tune role.
        reason: one clause on how the threshold came about where that is not the ordinary way.
    """

    threshold: float
    feasible: bool = True
    reason: str = ""


class ThresholdStrategy(Protocol):
    """Picks the operating point of each class from scores and labels of the tune role."""

    tasks: ClassVar[frozenset[str]]

    def fit(
        self, probabilities: FloatArray, labels: FloatArray, *, calibrated: bool
    ) -> Sequence[OperatingPoint]:
        """One operating point for each column of probabilities ``[n, c]`` and labels ``[n, c]``.

        ``calibrated`` says whether the probabilities went through a calibrator.
        """


class DecisionRule(Protocol):
    """What becomes of decisions once each class has met its threshold."""

    tasks: ClassVar[frozenset[str]]

    def decide(self, decisions: FloatArray, probabilities: FloatArray, classes: Sequence[str]) -> FloatArray:
        """Decisions ``[n, c]`` (1, 0, or NaN where undecided), changed as the rule says.

        Raises:
            UsageError: the rule needs a class that is not among ``classes``; said also where n is 0.
        """


class Explainer(Protocol):
    """Where in an image a network sees a class: a heatmap."""

    def maps(
        self, network: nn.Module, layer: MapLayer, inputs: Sequence[Tensor], classes: Sequence[int]
    ) -> NDArray[np.float32]:
        """A map of each image, for one class each.

        Args:
            network: in eval mode; gives logits ``[B, c]`` of ``inputs``. It is left as it is.
            layer: of the network, whose output is maps of the image; an explainer may do without.
            inputs: what ``forward`` takes (:attr:`Backbone.inputs`), among it images ``[B, channels, S, S]``.
            classes: ``[B]``, the class that each image is explained for.

        Returns:
            float32 ``[B, S, S]``, from 0 to, where the image speaks for the class at all, a maximum of 1. A
            map of zeros says that it does not.
        """


@dataclass(frozen=True, slots=True)
class Members:
    """What an ensemble is searched on: the members' scores of one set of images, and what is true of these.

    Attributes:
        scores: ``[m, n, c]``, of the ``m`` members, as ``scale`` says.
        labels: ``[n, c]``; 1, 0 or NaN (unknown).
        patients: ``[n]`` texts: images of one patient belong together wherever images are set apart.
        scale: ``probabilities`` or ``ranks`` (both in 0..1), or ``logits`` (in a single-label task the
            logarithm of probabilities).
        costs: of each member ``[m]``, by name (``parameters``, ``latency_ms``, ``flops``, ``members``); NaN
            where not known.
    """

    scores: FloatArray
    labels: FloatArray
    patients: NDArray[Any]
    scale: Literal["probabilities", "logits", "ranks"]
    costs: Mapping[str, FloatArray]


class Fitness(Protocol):
    """How good weighted averages of the members are on the images that are searched on; larger is better."""

    def whole(self, weights: FloatArray) -> FloatArray:
        """The fitness ``[p]`` of ``p`` ensembles at once.

        Args:
            weights: ``[p, m]``, or ``[p, m, c]`` where each class has its own; at least 0, and each
                ensemble's sum to 1.
        """

    def each(self, weights: FloatArray) -> FloatArray:
        """The fitness of each class ``[p, c]``, whose mean over classes is :meth:`whole`'s.

        NaN for a class that has not both positives and negatives.

        Raises:
            UsageError: the fitness is not a mean over classes.
        """


@dataclass(frozen=True, slots=True)
class TraceRow:
    """How far a search was at some time.

    Attributes:
        restart: which of the search's restarts, from 0.
        step: generations, iterations or picks done in it.
        evaluations: ensembles evaluated so far in it.
        best: the best fitness so far in it.
        mean: the mean fitness of what is looked at in this step.
    """

    restart: int
    step: int
    evaluations: int
    best: float
    mean: float


@dataclass(frozen=True, slots=True)
class FrontPoint:
    """An ensemble that no other one beats in both fitness and cost.

    Attributes:
        weights: ``[m]``, which sum to 1.
        fitness: larger is better.
        cost: of the members whose weight is not 0, together.
    """

    weights: FloatArray
    fitness: float
    cost: float


@dataclass(frozen=True, slots=True)
class FoundEnsemble:
    """What a search found.

    Attributes:
        weights: ``[m]`` or ``[m, c]``, the share of each member: at least 0, sums (of each class) are 1.
        state: what :meth:`EnsembleSearch.combine` needs.
        restarts: the best weights of each restart, ``[r, *weights.shape]``; the found ones among them.
        trace: for the convergence curve; empty for what does not search.
        front: where the answer is one of several that trade fitness for cost; by cost, ascending.
    """

    weights: FloatArray
    state: State
    restarts: FloatArray
    trace: Sequence[TraceRow] = ()
    front: Sequence[FrontPoint] = ()


class EnsembleSearch(Protocol):
    """Finds how several models' scores are made into one."""

    tasks: ClassVar[frozenset[str]]

    @property
    def rounds(self) -> int:
        """How many times :meth:`search` calls ``advance`` at most, for a progress bar."""

    def search(
        self, members: Members, fitness: Fitness, seed: int, advance: Callable[[float], None]
    ) -> FoundEnsemble:
        """Search; the same arguments give the same answer.

        Args:
            members: their scores of the images that are searched on.
            fitness: of these images.
            seed: the only randomness.
            advance: called with the best fitness after each round.

        Raises:
            UsageError: the search needs something that these members do not have, such as a known cost.
        """

    def combine(self, scores: FloatArray, state: State) -> FloatArray:
        """The ensemble's scores ``[n, c]`` of any images' ``[m, n, c]``, on the members' scale."""


DeviceType = Literal["cpu", "cuda"]
NumberFormat = Literal["fp32", "tf32", "bf16", "fp16", "int8"]
"""What a network is asked to compute in; ``tf32`` is fp32 whose products are rounded to 10 bits."""


@dataclass(frozen=True, slots=True)
class Engine:
    """A network as a runtime made it, to be called with batches of one shape.

    Attributes:
        run: inputs on the device, as the network's ``forward`` takes them (float32), to logits float32
            ``[B, c]`` on that device. It may return before the device is done, as torch does.
        proved_precision: what the engine's own account of itself says that convolutions and matrix products
            compute in, as ``bf16`` or ``fp16+fp32``; None where it gives none.
        facts: what else is worth recording, as JSON: provider, coverage, what fell back.
    """

    run: Callable[[Sequence[Tensor]], Tensor]
    proved_precision: str | None
    facts: Mapping[str, Any]


class Runtime(Protocol):
    """What computes a trained network: torch itself, a compiler, or an engine of somebody else.

    Each engine is built in a process of its own, so that a runtime may change torch's settings for good.
    """

    def unavailable(self, device: DeviceType) -> str:
        """Why it cannot run on this machine's device: what is missing and how to get it; empty where it can.

        Builds nothing.
        """

    def precisions(self, device: DeviceType) -> tuple[NumberFormat, ...]:
        """The number formats that it has on that device."""

    def build(
        self, network: nn.Module, examples: Sequence[Sequence[Tensor]], precision: NumberFormat
    ) -> Engine:
        """An engine of a network in evaluation mode, on the device where it and the examples are.

        As many threads are used on a CPU as torch is set to (``torch.get_num_threads()``).

        Args:
            network: its parameters need no gradients; it may be changed.
            examples: batches of real inputs of the shape that the engine will be called with, at least one.
                Most runtimes look at the shapes of the first; one that calibrates int8 reads all. They are
                never of the test role.
            precision: one of :meth:`precisions`.

        Raises:
            CxrbenchError: the network cannot be built so; the sentence says why.
        """


class Metric(Protocol):
    """A figure of predictions: one number of a whole test set, or what an ensemble is searched for."""

    tasks: ClassVar[frozenset[str]]

    @property
    def higher_is_better(self) -> bool:
        """Which way is good."""

    def value(self, labels: FloatArray, probabilities: FloatArray, decisions: FloatArray) -> float:
        """The figure of ``n`` images.

        It is called for a run's test images and for each of a thousand resamples of them, in which an image
        may stand several times; and for thousands of averages while an ensemble is searched. So it should
        be vectorised.

        Args:
            labels: ``[n, c]``; 1, 0 or NaN (unknown).
            probabilities: ``[n, c]`` in 0..1.
            decisions: ``[n, c]``; 1, 0 or NaN (undecided).

        Returns:
            A number, NaN where it is undefined, such as without a known label.
        """
