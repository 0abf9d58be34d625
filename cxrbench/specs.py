"""What a run is: named components and numbers, resolved before any work, hashed into keys."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from cxrbench.errors import UsageError, did_you_mean
from cxrbench.options import Use, bind, make, non_default, parse_uses
from cxrbench.registry import RUN_KINDS, Kind, Registry


def _one_use(value: object) -> object:
    """Let TOML write a component as ``"dynamic:min_precision=0.4"`` as well as a table."""
    if isinstance(value, str):
        uses = parse_uses(value)
        if len(uses) != 1:
            raise ValueError(f"'{value}' names {len(uses)} components where one is meant")
        return uses[0]
    return value


_AN_INTEGER = "constrained-int"
"""What pydantic calls the integer that a batch size may be, in the place of an error."""

OneUse = Annotated[Use, BeforeValidator(_one_use)]


def _none(use: Use | None) -> Use | None:
    """``none`` says in an axis, or over a file, that there is no other data set."""
    return None if use == Use(name="none") else use


class Cycle(BaseModel):
    """What one cycle of a training does otherwise than the training as a whole.

    Attributes:
        epochs: passes over the training rows; None: the training's.
        learning_rate: at the cycle's start; None: the training's.
        loss: options of the loss that differ in this cycle; each replaces the run's as a whole.
        trainable: what this cycle trains; None: the training's.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: int | None = Field(None, ge=1)
    learning_rate: float | None = Field(None, gt=0)
    loss: dict[str, Any] = Field(default_factory=dict)
    trainable: str | None = None


class TrainingSpec(BaseModel):
    """How a network is trained.

    Attributes:
        epochs: passes over the training rows at most; 0 takes the file of ``weights`` as it is, so that what
            others have trained is evaluated.
        batch_size: images a step, all processes together; ``auto`` takes as many as fit on a GPU.
        optimizer: ``adam``, ``adamw``, or ``rmsprop`` with Keras' rho 0.9 and epsilon 1e-7.
        learning_rate: at the start.
        weight_decay: L2 (adam, rmsprop) or decoupled (adamw).
        trainable: what is trained: ``all``; ``head``, all but what pretrained weights fill, so that a resizer
            is trained too; or a layer's name in the pretrained network (``layer4.2.conv3``): it, all behind
            it, and what ``head`` trains. Whatever else there is stays as in evaluation, so that batch norms
            keep their statistics and dropout drops nothing.
        schedule: ``cosine`` to ``min_lr`` over all steps, ``plateau`` on validation loss, or ``constant``.
        plateau_patience: epochs without lower validation loss before the rate is cut.
        plateau_factor: what the rate is multiplied by then.
        plateau_min_delta: by how much validation loss must be below the lowest so far to count as lower;
            None: by 1e-4 of that.
        min_lr: where a cosine ends, and what a plateau does not cut below.
        early_stopping: end a cycle after this many of its epochs without a better ``select``; 0 never does.
        select: what the kept checkpoint is best in on val, over all cycles: macro AUC, macro-F1 (at each
            epoch's best-F1 thresholds; where one class is right, of the most probable), accuracy (only where
            one class is right), or loss (the run's own, whatever options a cycle gives its loss).
        clip_norm: gradient norm is clipped to this; 0 does not clip.
        precision: ``fp32`` (without TF32), ``bf16`` or ``fp16`` autocast; ``auto`` takes bf16 where the
            processor has it. Epochs are judged in fp32 whatever it is.
        channels_last: memory layout of images and convolutions.
        ema: decay a step of an exponential moving average of the weights, which is then what is validated
            and kept; 0 keeps the weights themselves.
        compile: whether the network is compiled (Inductor) for training.
        deterministic: use deterministic algorithms alone, at a cost, so that a GPU repeats itself.
        cycles: where given, training is these cycles one after another, each with a fresh optimizer,
            schedule and count towards early stopping, going on from the weights as they are; ``epochs`` is
            then what a cycle takes that does not say.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: int = Field(10, ge=0)
    batch_size: Annotated[int, Field(ge=2)] | Literal["auto"] = 32
    optimizer: Literal["adam", "adamw", "rmsprop"] = "adam"
    learning_rate: float = Field(1e-3, gt=0)
    weight_decay: float = Field(0.0, ge=0)
    trainable: str = "all"
    schedule: Literal["cosine", "plateau", "constant"] = "cosine"
    plateau_patience: int = Field(2, ge=0)
    plateau_factor: float = Field(0.5, gt=0, lt=1)
    plateau_min_delta: float | None = Field(None, ge=0)
    min_lr: float = Field(0.0, ge=0)
    early_stopping: int = Field(0, ge=0)
    select: Literal["macro_auc", "macro_f1", "accuracy", "loss"] = "macro_auc"
    clip_norm: float = Field(5.0, ge=0)
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    channels_last: bool = True
    ema: float = Field(0.0, ge=0, lt=1)
    compile: bool = False
    deterministic: bool = False
    cycles: tuple[Cycle, ...] = ()

    @property
    def trains(self) -> bool:
        """Whether anything is trained at all."""
        return self.epochs > 0 or bool(self.cycles)

    @property
    def images_a_step(self) -> int:
        """The batch size, once it is resolved."""
        if self.batch_size == "auto":
            raise ValueError("the batch size is resolved before anything is computed")
        return self.batch_size


class RunSpec(BaseModel):
    """A run, resolved: every name checked, every option and number at its value.

    Attributes:
        dataset: where images and labels come from.
        split: ``official``: the data set's own roles or lists; ``patient``: 20% of the patients are test,
            whatever the lists say; ``image``: 72 / 8 / 20 of the images, stratified by their labels, which
            puts a patient's images into several roles.
        exclude: a text file of image ids, one a line, that are left out; empty for none.
        labels: a CSV file of labels that replace the data set's; empty for none.
        test_dataset: another data set to evaluate on, with the findings that both have; ``none`` evaluates
            on the run's own.
        task: what is to be predicted, made of the data set's labels.
        sampler: which images are used, and how often training sees each.
        images_per_role: use at most this many images of each role, those that a hash of their ids puts first,
            and as many an epoch, however often a sampler repeats them: to try something out; 0 uses all.
        preprocessing: what is done to each whole image.
        resizer: the part in front of the network that changes the size of its images.
        augmentation: what training sees of an image.
        backbone: the network.
        head: what makes logits of the network's maps; ``own`` is what the network comes with.
        loss: the training loss.
        calibrator: what turns logits into the probabilities that decisions use.
        thresholds: the strategy for each finding's operating point.
        decision: the rule for what becomes of decisions then.
        patient_data: what networks see of patients: their ``own`` data, or those of others (``shuffled``),
            as a control of what patient data is worth.
        image_size: side of the square network input in pixels.
        crop: share of an image's side that the network sees: its centre in evaluation, a random place
            in training.
        weights: initial weights: ``none`` (random), ``imagenet``, or a file.
        seed: of weights, order and augmentation; roles do not depend on it.
        averaged: how many networks are trained and their probabilities averaged; their seeds are
            ``seed * averaged`` and those after it.
        relabelled_by: how many networks, of seeds 0, 1, …, are trained before on the published labels, and
            then give the training images other labels: their average, cut where F1 on tune is best; 0 leaves
            labels as they are. Val, tune and test keep theirs.
        tune: the role that calibration and thresholds are fitted on; ``val`` repeats published practice
            and is shown in every table.
        min_positives: a finding with fewer positives (or negatives) on tune keeps its raw probabilities
            and gets a prevalence-matching threshold; 0 leaves every finding to its strategy.
        training: how the network is trained.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: OneUse = Use(name="phantom")
    split: Literal["official", "patient", "image"] = "official"
    exclude: str = ""
    labels: str = ""
    test_dataset: Annotated[OneUse | None, AfterValidator(_none)] = None
    task: OneUse = Use(name="findings")
    sampler: OneUse = Use(name="none")
    images_per_role: int = Field(0, ge=0)
    preprocessing: OneUse = Use(name="none")
    resizer: OneUse = Use(name="none")
    augmentation: OneUse = Use(name="affine")
    backbone: OneUse = Use(name="densenet_fpn")
    head: OneUse = Use(name="own")
    loss: OneUse = Use(name="weighted_bce")
    calibrator: OneUse = Use(name="none")
    thresholds: OneUse = Use(name="dynamic")
    decision: OneUse = Use(name="none")
    patient_data: Literal["own", "shuffled"] = "own"
    image_size: int = Field(224, ge=32, le=4096)
    crop: float = Field(0.9, gt=0, le=1)
    weights: str = "none"
    seed: int = Field(0, ge=0)
    averaged: int = Field(1, ge=1, le=100)
    relabelled_by: int = Field(0, ge=0, le=100)
    tune: Literal["tune", "val"] = "tune"
    min_positives: int = Field(10, ge=0)
    training: TrainingSpec = TrainingSpec()

    def use(self, kind: Kind) -> Use:
        """The component of that kind."""
        use: Use = getattr(self, kind)
        return use

    def names(self) -> dict[str, str]:
        """The name of each component, by kind: how records of a run begin."""
        return {kind: self.use(kind).name for kind in RUN_KINDS}

    def label(self) -> str:
        """What names of the run's files start with, so that a person can tell runs apart."""
        kinds: tuple[Kind, ...] = ("backbone", "loss", "calibrator", "thresholds")
        if not self.training.trains:
            kinds = ("backbone", "calibrator", "thresholds")
        data = self.dataset.name + (f"_on_{self.test_dataset.name}" if self.test_dataset else "")
        data += "" if self.task.name == "findings" else f"_{self.task.name}"
        names = (data, *(self.use(kind).name for kind in kinds))
        return "-".join([*(re.sub(r"[^\w.]+", "_", name) for name in names), f"s{self.seed}"])


def read_config(path: Path) -> dict[str, Any]:
    """The settings in a TOML file: fields of :class:`RunSpec`, all optional, of one run or of several.

    Raises:
        UsageError: the file is not there or not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UsageError(f"There is no file {path}; give --config the path of a TOML file.") from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path} cannot be read as TOML: {error}.") from error


def resolve(given: Mapping[str, Any], registry: Registry) -> RunSpec:
    """Fill in what was not given (as network, task and data set recommend, in this order); check everything.

    Raises:
        UsageError: an unknown name, option or setting, or a value out of range.
    """
    asked = check(given)
    dataset, task = make(asked.dataset, "dataset", registry), make(asked.task, "task", registry)
    backbone = make(asked.backbone, "backbone", registry)
    of_network = backbone.recommend() if hasattr(backbone, "recommend") else {}
    recommended = {**dataset.recommend(), **task.recommend(), **of_network}
    training_fields = set(TrainingSpec.model_fields)
    merged: dict[str, Any] = {k: v for k, v in recommended.items() if k not in training_fields}
    merged |= {k: v for k, v in given.items() if k != "training"}
    merged["training"] = {k: v for k, v in recommended.items() if k in training_fields} | dict(
        given.get("training", {})
    )
    spec = check(merged)
    uses: dict[str, Use] = {
        kind: Use(
            name=spec.use(kind).name,
            options=bind(registry.find(kind, spec.use(kind).name), spec.use(kind).options),
        )
        for kind in RUN_KINDS
    }
    if spec.weights not in ("none", "imagenet") and not Path(spec.weights).is_file():
        raise UsageError(
            f"There is no weights file {spec.weights}; --weights takes none, imagenet or a file."
        )
    if not spec.training.epochs and any(cycle.epochs is None for cycle in spec.training.cycles):
        raise UsageError("With epochs 0 each of training.cycles needs epochs of its own, or leave them out.")
    if spec.test_dataset:
        use = spec.test_dataset
        uses["test_dataset"] = Use(
            name=use.name, options=bind(registry.find("dataset", use.name), use.options)
        )
    cycles = tuple(_resolved_cycle(cycle, uses["loss"], registry) for cycle in spec.training.cycles)
    training = spec.training.model_copy(update={"cycles": cycles})
    return spec.model_copy(update={**uses, "training": training})


def require_as_it_is(spec: RunSpec) -> None:
    """Refuse a run without training that has nothing to evaluate, or settings of a training.

    Raises:
        UsageError: there is no file of weights, or a setting means nothing without a training.
    """
    if spec.weights in ("none", "imagenet"):
        raise UsageError(
            f"With epochs 0 the weights of {spec.backbone.name} are taken as they are: give their file with "
            "--weights FILE, or --epochs N to train."
        )
    if spec.seed or spec.averaged > 1 or spec.relabelled_by:
        setting = "seed" if spec.seed else "averaged" if spec.averaged > 1 else "relabelled_by"
        raise UsageError(f"With epochs 0 nothing is drawn or trained: leave out {setting}.")
    if spec.test_dataset:
        raise UsageError(
            "With epochs 0 nothing is trained on one data set that could be tested on another: give "
            f"--dataset {spec.test_dataset.name} without --test-dataset."
        )


def _resolved_cycle(cycle: Cycle, loss: Use, registry: Registry) -> Cycle:
    """The cycle with its loss options checked, and only those kept that differ from the run's."""
    options = bind(registry.find("loss", loss.name), {**loss.options, **cycle.loss})
    differing = {key: value for key, value in options.items() if value != loss.options[key]}
    return cycle.model_copy(update={"loss": differing})


def check(values: Mapping[str, Any]) -> RunSpec:
    """The run of these settings, the others at their defaults; names and options are not looked up.

    Raises:
        UsageError: an unknown setting, or a value of the wrong type or out of range.
    """
    try:
        return RunSpec.model_validate(dict(values))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"] if part != _AN_INTEGER)
        table = first["loc"][0] if len(first["loc"]) > 1 else None
        fields: type[BaseModel] = (
            TrainingSpec if table == "training" else Use if table in RUN_KINDS else RunSpec
        )
        if first["loc"][:2] == ("training", "cycles"):
            fields = Cycle
        if first["type"] == "extra_forbidden":
            elsewhere = fields is RunSpec and where in TrainingSpec.model_fields
            hint = f"write training.{where}." if elsewhere else _hint(where, fields)
            raise UsageError(f"There is no setting '{where}'; {hint}") from error
        message = first["msg"].removeprefix("Value error, ")
        raise UsageError(
            f"The setting {where} cannot be {first['input']!r}: {message[:1].lower()}{message[1:]}."
        ) from error


def _hint(where: str, fields: type[BaseModel]) -> str:
    """What was perhaps meant by a setting that there is not."""
    return did_you_mean(where.rpartition(".")[2], fields.model_fields)


def differing_options(spec: RunSpec, registry: Registry) -> dict[str, dict[str, Any]]:
    """Options of each component that differ from its defaults, by kind, and a test data set's."""
    uses: dict[str, tuple[Use, Kind]] = {kind: (spec.use(kind), kind) for kind in RUN_KINDS}
    if spec.test_dataset:
        uses["test_dataset"] = (spec.test_dataset, "dataset")
    return {name: keyed(use, kind, registry)["options"] for name, (use, kind) in uses.items()}


def keyed(use: Use, kind: Kind, registry: Registry) -> dict[str, Any]:
    """What a component contributes to a key: name, version, options that differ from the defaults."""
    component = registry.find(kind, use.name)
    return {
        "name": use.name,
        "version": component.version,
        "options": non_default(component, use.options),
    }
