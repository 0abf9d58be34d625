"""mypy reads this file too: each built-in is assigned to the Protocol that it implements."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from torch import nn

from cxrbench.augmentations.affine import Affine
from cxrbench.augmentations.four_class import FourClassAugmentation
from cxrbench.augmentations.fpn_fusion import FpnFusionAugmentation
from cxrbench.augmentations.none import NoAugmentation
from cxrbench.backbones.densenet_fpn import DensenetFpn
from cxrbench.backbones.fused_cnn import FusedCnn
from cxrbench.backbones.prior import Prior
from cxrbench.backbones.scratch_cnn import ScratchCnnA, ScratchCnnB
from cxrbench.backbones.timm_network import TimmNetwork
from cxrbench.backbones.torchvision_network import TorchvisionNetwork
from cxrbench.calibrators.beta import Beta
from cxrbench.calibrators.isotonic import Isotonic
from cxrbench.calibrators.none import NoCalibrator
from cxrbench.calibrators.platt import Platt
from cxrbench.calibrators.softmax_temperature import SoftmaxTemperature
from cxrbench.calibrators.temperature import Temperature
from cxrbench.calibrators.vector import Vector
from cxrbench.datasets.manifest_csv import ManifestCsv
from cxrbench.datasets.nih import Nih
from cxrbench.datasets.phantom import Phantom
from cxrbench.decisions.no_finding_exclusive import NoFindingExclusive
from cxrbench.decisions.none import NoRule
from cxrbench.ensembles.average import Average
from cxrbench.ensembles.best_single import BestSingle
from cxrbench.ensembles.differential_evolution import DifferentialEvolution
from cxrbench.ensembles.genetic import Genetic
from cxrbench.ensembles.greedy import Greedy
from cxrbench.ensembles.logistic import Logistic
from cxrbench.ensembles.pareto import Pareto
from cxrbench.ensembles.per_finding import PerFinding
from cxrbench.explainers.cams import EigenCam, GradCam, GradCamPlusPlus, HiResCam, LayerCam
from cxrbench.heads.dense import DenseHead
from cxrbench.heads.own import OwnHead
from cxrbench.heads.transition import TransitionHead
from cxrbench.interfaces import (
    Augmentation,
    Backbone,
    Calibrator,
    Dataset,
    DecisionRule,
    EnsembleSearch,
    Explainer,
    FeatureBackbone,
    Head,
    Loss,
    Metric,
    Preprocessing,
    Resizer,
    Runtime,
    Sampler,
    TaskDefinition,
    ThresholdStrategy,
)
from cxrbench.losses.asymmetric import Asymmetric
from cxrbench.losses.batch_balanced import BatchBalanced
from cxrbench.losses.bce import Bce
from cxrbench.losses.cross_entropy import CrossEntropy
from cxrbench.losses.focal import Focal
from cxrbench.losses.weighted_bce import WeightedBce
from cxrbench.metrics.expected_cost import ExpectedCost
from cxrbench.metrics.f_beta import FBeta
from cxrbench.metrics.log_loss import LogLoss
from cxrbench.plugins import load_plugins
from cxrbench.preprocessing.equalize import Equalize
from cxrbench.preprocessing.none import NoPreprocessing
from cxrbench.preprocessing.otsu_mask import OtsuMask
from cxrbench.registry import KINDS, Kind
from cxrbench.resizers.learnable import LearnableResizer
from cxrbench.resizers.none import NoResizer
from cxrbench.runtimes.compiled import Compiled
from cxrbench.runtimes.cudagraphs import CudaGraphs
from cxrbench.runtimes.eager import Eager
from cxrbench.runtimes.onnx_runtime import OnnxRuntime
from cxrbench.runtimes.tensorrt import TensorRt
from cxrbench.samplers.fpn_fusion import FpnFusion
from cxrbench.samplers.limit import Limit
from cxrbench.samplers.none import NoSampler
from cxrbench.tasks.findings import Findings
from cxrbench.tasks.single_label import SingleLabel
from cxrbench.tasks.with_no_finding import WithNoFinding
from cxrbench.thresholds.argmax import Argmax
from cxrbench.thresholds.cost import Cost
from cxrbench.thresholds.dynamic import Dynamic
from cxrbench.thresholds.f1 import F1
from cxrbench.thresholds.fixed import Fixed
from cxrbench.thresholds.precision_f1 import PrecisionF1
from cxrbench.thresholds.prevalence import Prevalence
from cxrbench.thresholds.sensitivity import Sensitivity
from cxrbench.thresholds.specificity import Specificity
from cxrbench.thresholds.youden import Youden

SAMPLERS: tuple[Callable[..., Sampler], ...] = (NoSampler, Limit, FpnFusion)
PREPROCESSING: tuple[Callable[..., Preprocessing], ...] = (NoPreprocessing, Equalize, OtsuMask)
AUGMENTATIONS: tuple[Callable[..., Augmentation], ...] = (
    NoAugmentation,
    Affine,
    FpnFusionAugmentation,
    FourClassAugmentation,
)
DATASETS: tuple[Callable[..., Dataset], ...] = (Phantom, Nih, ManifestCsv)
WITH_FEATURES: tuple[Callable[..., FeatureBackbone], ...] = (
    TimmNetwork,
    TorchvisionNetwork,
    ScratchCnnA,
    ScratchCnnB,
    FusedCnn,
)
BACKBONES: tuple[Callable[..., Backbone], ...] = (DensenetFpn, Prior, *WITH_FEATURES)
LOSSES: tuple[Callable[..., Loss], ...] = (
    Bce,
    WeightedBce,
    BatchBalanced,
    Focal,
    Asymmetric,
    CrossEntropy,
)
CALIBRATORS: tuple[Callable[..., Calibrator], ...] = (
    NoCalibrator,
    Temperature,
    Platt,
    Isotonic,
    Beta,
    SoftmaxTemperature,
    Vector,
)
STRATEGIES: tuple[Callable[..., ThresholdStrategy], ...] = (
    Fixed,
    Youden,
    PrecisionF1,
    Dynamic,
    F1,
    Sensitivity,
    Specificity,
    Cost,
    Prevalence,
    Argmax,
)

TASKS: tuple[Callable[..., TaskDefinition], ...] = (Findings, WithNoFinding, SingleLabel)
RESIZERS: tuple[Callable[..., Resizer], ...] = (NoResizer, LearnableResizer)
HEADS: tuple[Callable[..., Head], ...] = (OwnHead, DenseHead, TransitionHead)
EXPLAINERS: tuple[Callable[..., Explainer], ...] = (GradCam, GradCamPlusPlus, LayerCam, EigenCam, HiResCam)
RULES: tuple[Callable[..., DecisionRule], ...] = (NoRule, NoFindingExclusive)
RUNTIMES: tuple[Callable[..., Runtime], ...] = (Eager, Compiled, CudaGraphs, OnnxRuntime, TensorRt)
SEARCHES: tuple[Callable[..., EnsembleSearch], ...] = (
    Average,
    BestSingle,
    Genetic,
    Greedy,
    DifferentialEvolution,
    Logistic,
    PerFinding,
    Pareto,
)

METRICS: tuple[Callable[..., Metric], ...] = (FBeta, ExpectedCost, LogLoss)

TYPED: dict[Kind, tuple[Callable[..., Any], ...]] = {
    "dataset": DATASETS,
    "task": TASKS,
    "sampler": SAMPLERS,
    "preprocessing": PREPROCESSING,
    "resizer": RESIZERS,
    "augmentation": AUGMENTATIONS,
    "backbone": BACKBONES,
    "head": HEADS,
    "loss": LOSSES,
    "calibrator": CALIBRATORS,
    "thresholds": STRATEGIES,
    "decision": RULES,
    "runtime": RUNTIMES,
    "explainer": EXPLAINERS,
    "ensemble": SEARCHES,
    "metric": METRICS,
}


@dataclass(frozen=True)
class FieldsWillDo:
    """A backbone whose attributes are fields that cannot be set."""

    inputs: tuple[Literal["image", "patient"], ...] = ("image",)
    mean: tuple[float, ...] = (0.5,)
    std: tuple[float, ...] = (0.25,)

    def build(self, outputs: int, image_size: int, pretrained: bool) -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(image_size**2, outputs))


FIELDS: Backbone = FieldsWillDo()


def test_every_built_in_is_among_them() -> None:
    registry = load_plugins([]).registry
    assert {kind: {c.load() for c in registry.all(kind)} for kind in KINDS} == {
        kind: set(classes) for kind, classes in TYPED.items()
    }
