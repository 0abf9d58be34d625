"""What a network is: its layers, parameters and what an image costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from cxrbench.architecture import NETWORK_KINDS, architecture_of, classes_of
from cxrbench.findings import NIH_FINDINGS
from cxrbench.interfaces import Backbone, TaskDefinition
from cxrbench.options import make
from cxrbench.registry import Kind, Registry
from cxrbench.specs import RunSpec
from cxrbench.task import Task
from cxrbench.training.schedule import cycles_of
from cxrbench.training.trainable import body_of, freeze, frozen_modules


@dataclass(frozen=True)
class Layer:
    """A module without modules in it, as the forward pass meets it.

    Attributes:
        name: in the whole network.
        type: its class.
        output: shape of what it gives for one image.
        parameters: of its own.
        trainable: those of them that are trained.
    """

    name: str
    type: str
    output: tuple[int, ...]
    parameters: int
    trainable: int


@dataclass(frozen=True)
class Description:
    """A network in numbers.

    Attributes:
        parameters: numbers that can be learnt, trained or not.
        parameters_with_statistics: with what batch norms know of their batches, as Keras counts; without
            the count of batches.
        trainable: parameters that are trained, in the last cycle where there are several.
        trainable_in_cycles: those that each cycle trains.
        head: parameters of all that is neither resizer nor pretrained part; None where the network does not
            say what that is.
        resizer: parameters of the resizer.
        flops: of convolutions and matrix products for one image, a multiplication and an addition being two.
        activations: numbers that all layers give for one image.
        inputs: shape of each input for one image.
        layers: in the order of the forward pass.
    """

    parameters: int
    parameters_with_statistics: int
    trainable: int
    trainable_in_cycles: tuple[int, ...]
    head: int | None
    resizer: int
    flops: int
    activations: int
    inputs: dict[str, tuple[int, ...]]
    layers: tuple[Layer, ...]

    def record(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


def outputs_of(spec: RunSpec, registry: Registry) -> int:
    """How many classes the task of a run has, of a data set with the fourteen findings or what it tells.

    Raises:
        UsageError: the task cannot be made of them.
    """
    import numpy as np

    if told := classes_of(make(spec.backbone, "backbone", registry)):
        return len(told)
    definition: TaskDefinition = make(spec.task, "task", registry)
    own = Task("multilabel", NIH_FINDINGS)
    return len(definition.define(own, np.empty((0, len(NIH_FINDINGS)))).task.classes)


def network_of(spec: RunSpec) -> tuple[object, ...]:
    """What of a run its description depends on, equal for runs of one network."""
    trained = tuple(cycle.trainable for cycle in cycles_of(spec.training))
    kinds: tuple[Kind, ...] = (*NETWORK_KINDS, "task")
    return (*(str(spec.use(kind)) for kind in kinds), spec.image_size, *trained)


def described(spec: RunSpec, registry: Registry, outputs: int) -> Description:
    """The network that a run trains, with random weights, and one black image through it.

    Raises:
        UsageError: its parts do not go together, or what is to be trained is not there.
    """
    architecture = architecture_of(spec, registry)
    network = architecture.build(outputs, spec.image_size, False)
    learnt = [parameter for parameter in network.parameters() if parameter.requires_grad]
    trainable = []
    for cycle in cycles_of(spec.training):
        freeze(learnt, frozen_modules(network, cycle.trainable))
        trainable.append(_trained(network))
    inputs = _inputs(architecture, spec.image_size)
    layers, activations = _passed(network, inputs)
    state = network.state_dict()
    counted = [tensor for name, tensor in state.items() if not name.endswith("num_batches_tracked")]
    resizer, head = _parts(network)
    return Description(
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        parameters_with_statistics=sum(tensor.numel() for tensor in counted),
        trainable=trainable[-1],
        trainable_in_cycles=tuple(trainable),
        head=head,
        resizer=resizer,
        flops=flops_of(spec, architecture, outputs),
        activations=activations,
        inputs=inputs,
        layers=layers,
    )


def flops_of(spec: RunSpec, backbone: Backbone, outputs: int) -> int:
    """FLOPs of one image, as :attr:`Description.flops`, without a number computed where that can be.

    Args:
        spec: its image size is used.
        backbone: the whole network.
        outputs: how many classes it has.
    """

    def counted() -> int:
        network = backbone.build(outputs, spec.image_size, False).eval().requires_grad_(False)
        # Of fused attention the counter knows nothing on a CPU.
        with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            network(*_black(_inputs(backbone, spec.image_size)))
        return int(counter.get_total_flops())

    try:
        # Shapes alone: on this device nothing is drawn or computed.
        with torch.device("meta"):
            return counted()
    except RuntimeError:
        # A network that looks at values as it is built or run.
        return counted()


def _inputs(backbone: Backbone, side: int) -> dict[str, tuple[int, ...]]:
    """Shapes of one image's inputs."""
    shapes: dict[str, tuple[int, ...]] = {"image": (len(backbone.mean), side, side), "patient": (3,)}
    return {name: shapes[name] for name in backbone.inputs}


def _black(inputs: Mapping[str, tuple[int, ...]]) -> list[Tensor]:
    return [torch.zeros(1, *shape) for shape in inputs.values()]


def _trained(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)


def _parts(network: nn.Module) -> tuple[int, int | None]:
    """Parameters of the resizer, and those of the head where it is known."""
    from cxrbench.resizers.resized import Resized

    resizer = 0
    if isinstance(network, Resized):
        resizer = sum(parameter.numel() for parameter in network.resizer.parameters())
    if not hasattr(network, "pretrained_part"):
        return resizer, None
    body = {id(p) for module in body_of(network).values() for p in module.parameters(recurse=False)}
    outside = sum(parameter.numel() for parameter in network.parameters() if id(parameter) not in body)
    return resizer, outside - resizer


def _passed(network: nn.Module, inputs: Mapping[str, tuple[int, ...]]) -> tuple[tuple[Layer, ...], int]:
    """The layers that one image met, and how many numbers they gave."""
    layers: list[Layer] = []
    activations = 0

    def met(name: str, module: nn.Module, output: object) -> None:
        nonlocal activations
        if isinstance(output, Tensor):
            activations += output.numel()
            parameters = sum(parameter.numel() for parameter in module.parameters())
            shape = tuple(output.shape[1:])
            layers.append(Layer(name, type(module).__name__, shape, parameters, _trained(module)))

    hooks = [
        module.register_forward_hook(lambda module, _, output, name=name: met(name, module, output))
        for name, module in network.named_modules()
        if not any(module.children())
    ]
    network.eval()
    with torch.no_grad():
        network(*_black(inputs))
    for hook in hooks:
        hook.remove()
    return tuple(layers), activations
