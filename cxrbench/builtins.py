"""The components that come with cxrbench, registered through the same hooks as anyone's."""

from __future__ import annotations

from cxrbench.hookspecs import Register, hookimpl


@hookimpl
def register_datasets(register: Register) -> None:
    """Data sets."""
    register(
        "phantom",
        "cxrbench.datasets.phantom:Phantom",
        version="1",
        summary="Drawn radiographs with the 14 findings, for trying the tool and testing it",
    )
    register(
        "nih",
        "cxrbench.datasets.nih:Nih",
        version="3",
        summary="NIH ChestX-ray14 as downloaded, whole or in part (--data-root DIR)",
    )
    register(
        "csv",
        "cxrbench.datasets.manifest_csv:ManifestCsv",
        version="2",
        summary="Images of your own, from a CSV file and a TOML map of its columns (--data-root DIR)",
    )


@hookimpl
def register_tasks(register: Register) -> None:
    """Tasks."""
    register(
        "findings",
        "cxrbench.tasks.findings:Findings",
        version="1",
        summary="The data set's own classes",
    )
    register(
        "with_no_finding",
        "cxrbench.tasks.with_no_finding:WithNoFinding",
        version="1",
        summary='The data set\'s findings, and "No Finding" as a class of its own',
    )
    register(
        "single_label",
        "cxrbench.tasks.single_label:SingleLabel",
        version="1",
        summary="One class out of several, of images with one label alone: four, the eight of ChestX-ray8, …",
    )


@hookimpl
def register_samplers(register: Register) -> None:
    """Samplers."""
    register("none", "cxrbench.samplers.none:NoSampler", version="1", summary="Every image once, as it is")
    register(
        "limit",
        "cxrbench.samplers.limit:Limit",
        version="2",
        summary="Fewer images of what is frequent, in training or of the whole data set",
    )
    register(
        "fpn_fusion",
        "cxrbench.samplers.fpn_fusion:FpnFusion",
        version="1",
        summary="The published sampling of densenet_fpn: less that is frequent, rare findings repeated",
    )


@hookimpl
def register_preprocessing(register: Register) -> None:
    """Preprocessing of whole images, before they are stored."""
    register("none", "cxrbench.preprocessing.none:NoPreprocessing", version="1", summary="Images as they are")
    register(
        "equalize",
        "cxrbench.preprocessing.equalize:Equalize",
        version="1",
        summary="Histogram equalisation",
    )
    register(
        "otsu_mask",
        "cxrbench.preprocessing.otsu_mask:OtsuMask",
        version="1",
        summary="The dark part of the image, by Otsu's threshold; the rest black",
    )


@hookimpl
def register_resizers(register: Register) -> None:
    """Resizers, which are part of the network."""
    register(
        "none",
        "cxrbench.resizers.none:NoResizer",
        version="1",
        summary="Images go into the network as they are",
    )
    register(
        "learnable",
        "cxrbench.resizers.learnable:LearnableResizer",
        version="1",
        summary="Talebi and Milanfar's resizer, learnt with the network",
    )


@hookimpl
def register_augmentations(register: Register) -> None:
    """Augmentations."""
    register(
        "none",
        "cxrbench.augmentations.none:NoAugmentation",
        version="1",
        summary="The central crop, as in evaluation",
    )
    register(
        "affine",
        "cxrbench.augmentations.affine:Affine",
        version="1",
        summary="Random crop, rotation and translation in one warp; scale and mirroring if asked for",
    )
    register(
        "fpn_fusion",
        "cxrbench.augmentations.fpn_fusion:FpnFusionAugmentation",
        version="1",
        summary="As published with densenet_fpn: crop, ±7°, translation to 6%, blur of 40% of the images",
    )
    register(
        "four_class",
        "cxrbench.augmentations.four_class:FourClassAugmentation",
        version="1",
        summary="As in the four-class study: mirroring left to right, ±72°, contrast",
    )


@hookimpl
def register_backbones(register: Register) -> None:
    """Networks."""
    register(
        "densenet_fpn",
        "cxrbench.backbones.densenet_fpn:DensenetFpn",
        version="1",
        summary="DenseNet121 with a feature pyramid; image, patient data, or both",
    )
    register(
        "timm/*",
        "cxrbench.backbones.timm_network:TimmNetwork",
        version="1",
        summary="Any network of timm by its name, such as timm/resnet18",
    )
    register(
        "torchvision/*",
        "cxrbench.backbones.torchvision_network:TorchvisionNetwork",
        version="1",
        summary="Any network of torchvision by its name, such as torchvision/vgg16; of one channel too",
    )
    register(
        "scratch_cnn_a",
        "cxrbench.backbones.scratch_cnn:ScratchCnnA",
        version="1",
        summary="The first model from scratch of the four-class study",
    )
    register(
        "scratch_cnn_b",
        "cxrbench.backbones.scratch_cnn:ScratchCnnB",
        version="1",
        summary="The second model from scratch of the four-class study",
    )
    register(
        "fused_cnn",
        "cxrbench.backbones.fused_cnn:FusedCnn",
        version="1",
        summary="The four-class study's network of maps of three depths, or its base of one",
    )
    register(
        "prior",
        "cxrbench.backbones.prior:Prior",
        version="1",
        summary="How frequent each class is, and nothing of the image",
    )


@hookimpl
def register_heads(register: Register) -> None:
    """Heads of networks."""
    register("own", "cxrbench.heads.own:OwnHead", version="1", summary="The head that the network comes with")
    register(
        "dense",
        "cxrbench.heads.dense:DenseHead",
        version="1",
        summary="Maps pooled or flattened, dense layers with dropout",
    )
    register(
        "transition",
        "cxrbench.heads.transition:TransitionHead",
        version="1",
        summary="ChestX-ray8's transition layer, pooling (average, max, log-sum-exp) and prediction layer",
    )


@hookimpl
def register_losses(register: Register) -> None:
    """Losses."""
    register(
        "bce", "cxrbench.losses.bce:Bce", version="1", summary="Binary cross-entropy, every finding alike"
    )
    register(
        "weighted_bce",
        "cxrbench.losses.weighted_bce:WeightedBce",
        version="1",
        summary="Binary cross-entropy with a positive weight for each finding",
    )
    register(
        "batch_balanced",
        "cxrbench.losses.batch_balanced:BatchBalanced",
        version="1",
        summary="Binary cross-entropy, positives and negatives of a batch weighing the same",
    )
    register(
        "focal",
        "cxrbench.losses.focal:Focal",
        version="1",
        summary="Focal loss: what the network is sure of counts less",
    )
    register(
        "asymmetric",
        "cxrbench.losses.asymmetric:Asymmetric",
        version="1",
        summary="Focal with other exponents for positives and negatives",
    )
    register(
        "cross_entropy",
        "cxrbench.losses.cross_entropy:CrossEntropy",
        version="1",
        summary="Softmax cross-entropy, where exactly one class is right",
    )


@hookimpl
def register_calibrators(register: Register) -> None:
    """Calibrators."""
    register(
        "none",
        "cxrbench.calibrators.none:NoCalibrator",
        version="1",
        summary="Probabilities as the network gives them",
    )
    register(
        "temperature",
        "cxrbench.calibrators.temperature:Temperature",
        version="1",
        summary="Logits divided by a temperature, for each finding or shared",
    )
    register(
        "platt",
        "cxrbench.calibrators.platt:Platt",
        version="1",
        summary="A logistic curve of the logit for each finding",
    )
    register(
        "isotonic",
        "cxrbench.calibrators.isotonic:Isotonic",
        version="1",
        summary="Any rising curve of the logit for each finding",
    )
    register(
        "beta",
        "cxrbench.calibrators.beta:Beta",
        version="1",
        summary="A logistic curve with other slopes at low and high probabilities, for each finding",
    )
    register(
        "softmax_temperature",
        "cxrbench.calibrators.softmax_temperature:SoftmaxTemperature",
        version="1",
        summary="One temperature for the softmax of a single-label task",
    )
    register(
        "vector",
        "cxrbench.calibrators.vector:Vector",
        version="1",
        summary="A scale and a bias for each class of a single-label task, fitted together",
    )


@hookimpl
def register_thresholds(register: Register) -> None:
    """Threshold strategies."""
    register(
        "fixed", "cxrbench.thresholds.fixed:Fixed", version="1", summary="One threshold for every finding"
    )
    register(
        "youden", "cxrbench.thresholds.youden:Youden", version="1", summary="Most sensitivity + specificity"
    )
    register(
        "precision_f1",
        "cxrbench.thresholds.precision_f1:PrecisionF1",
        version="1",
        summary="Best F1 among thresholds that reach a precision floor",
    )
    register(
        "dynamic",
        "cxrbench.thresholds.dynamic:Dynamic",
        version="1",
        summary="As precision_f1, lowered a step where the best F1 stays low",
    )
    register("f1", "cxrbench.thresholds.f1:F1", version="1", summary="Best F1 over observed probabilities")
    register(
        "sensitivity",
        "cxrbench.thresholds.sensitivity:Sensitivity",
        version="1",
        summary="Reaches a sensitivity (0.9), as specific as can be",
    )
    register(
        "specificity",
        "cxrbench.thresholds.specificity:Specificity",
        version="1",
        summary="Reaches a specificity (0.9), as sensitive as can be",
    )
    register(
        "cost",
        "cxrbench.thresholds.cost:Cost",
        version="1",
        summary="Least cost of misses and false calls; most net benefit at fp / (fp + fn)",
    )
    register(
        "prevalence",
        "cxrbench.thresholds.prevalence:Prevalence",
        version="1",
        summary="As many images called as are positive",
    )
    register(
        "argmax",
        "cxrbench.thresholds.argmax:Argmax",
        version="1",
        summary="No thresholds: the most probable class, where exactly one is right",
    )


@hookimpl
def register_decisions(register: Register) -> None:
    """Decision rules."""
    register(
        "none", "cxrbench.decisions.none:NoRule", version="1", summary="What reaches its threshold is called"
    )
    register(
        "no_finding_exclusive",
        "cxrbench.decisions.no_finding_exclusive:NoFindingExclusive",
        version="1",
        summary='Where "No Finding" scores highest, no finding is called',
    )


@hookimpl
def register_runtimes(register: Register) -> None:
    """Runtimes."""
    register(
        "eager",
        "cxrbench.runtimes.eager:Eager",
        version="1",
        summary="torch as it is, in the faster of two memory layouts",
    )
    register(
        "compile",
        "cxrbench.runtimes.compiled:Compiled",
        version="1",
        summary="torch.compile (Inductor); on a CPU with frozen weights",
    )
    register(
        "cudagraphs",
        "cxrbench.runtimes.cudagraphs:CudaGraphs",
        version="1",
        summary="torch's kernels recorded once and replayed; needs CUDA",
    )
    register(
        "onnxruntime",
        "cxrbench.runtimes.onnx_runtime:OnnxRuntime",
        version="1",
        summary="ONNX Runtime, on a CPU or CUDA",
    )
    register(
        "tensorrt",
        "cxrbench.runtimes.tensorrt:TensorRt",
        version="1",
        summary="TensorRT through torch-tensorrt; needs an NVIDIA GPU",
    )


@hookimpl
def register_explainers(register: Register) -> None:
    """Explainers."""
    register(
        "gradcam",
        "cxrbench.explainers.cams:GradCam",
        version="1",
        summary="Grad-CAM: channels weighted by the mean of their gradient",
    )
    register(
        "gradcam++",
        "cxrbench.explainers.cams:GradCamPlusPlus",
        version="1",
        summary="Grad-CAM++: positive gradients, weighted place by place",
    )
    register(
        "layercam",
        "cxrbench.explainers.cams:LayerCam",
        version="1",
        summary="LayerCAM: each place by its own positive gradient, for finer layers too",
    )
    register(
        "eigencam",
        "cxrbench.explainers.cams:EigenCam",
        version="1",
        summary="EigenCAM: the maps' first principal component, the same for every class",
    )
    register(
        "hirescam",
        "cxrbench.explainers.cams:HiResCam",
        version="1",
        summary="HiResCAM: each place by its own gradient, of both signs",
    )


@hookimpl
def register_ensembles(register: Register) -> None:
    """Searches of ensembles."""
    register(
        "average", "cxrbench.ensembles.average:Average", version="1", summary="Every member weighs the same"
    )
    register(
        "best_single",
        "cxrbench.ensembles.best_single:BestSingle",
        version="1",
        summary="The one member that is best on tune",
    )
    register(
        "genetic",
        "cxrbench.ensembles.genetic:Genetic",
        version="1",
        summary="A weight for each member by a genetic algorithm",
    )
    register(
        "greedy",
        "cxrbench.ensembles.greedy:Greedy",
        version="1",
        summary="Members picked one after another, with replacement (Caruana)",
    )
    register(
        "differential_evolution",
        "cxrbench.ensembles.differential_evolution:DifferentialEvolution",
        version="1",
        summary="A weight for each member by SciPy's differential evolution",
    )
    register(
        "logistic",
        "cxrbench.ensembles.logistic:Logistic",
        version="1",
        summary="Stacking: a logistic regression on the members' logits for each finding",
    )
    register(
        "per_finding",
        "cxrbench.ensembles.per_finding:PerFinding",
        version="1",
        summary="As genetic, with weights of its own for each finding",
    )
    register(
        "pareto",
        "cxrbench.ensembles.pareto:Pareto",
        version="1",
        summary="Fitness against cost by NSGA-II: a front, of which the best in budget is taken",
    )


@hookimpl
def register_metrics(register: Register) -> None:
    """Metrics that no run has unasked."""
    register(
        "f_beta",
        "cxrbench.metrics.f_beta:FBeta",
        version="1",
        summary="F-beta, mean over findings: recall counts beta times as much as precision",
    )
    register(
        "expected_cost",
        "cxrbench.metrics.expected_cost:ExpectedCost",
        version="1",
        summary="What missed positives and false calls cost for each image, mean over findings",
    )
    register(
        "log_loss",
        "cxrbench.metrics.log_loss:LogLoss",
        version="1",
        summary="Cross-entropy of probabilities, mean over findings",
    )
