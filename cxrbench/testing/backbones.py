"""Checks of backbones (:class:`cxrbench.interfaces.Backbone`), with random weights."""

from __future__ import annotations

import math
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import torch
from torch import Tensor, nn

from cxrbench.errors import CxrbenchError
from cxrbench.interfaces import Backbone
from cxrbench.testing.check import Check, Subject, require, unchanged
from cxrbench.testing.components import settings_that_exist
from cxrbench.training.checkpoint import load_own_weights, save_weights

_OUTPUTS = 3
_SIDES = (48, 33, 96, 128, 144, 224)
"""The first two sizes that the backbone does not refuse are checked; a refusal is a CxrbenchError."""


def declares_its_inputs(subject: Subject) -> None:
    """'inputs' is a tuple of 'image' and 'patient', one or both; 'mean' and 'std' have a number a channel."""
    backbone: Backbone = subject.make()
    inputs = backbone.inputs
    require(
        isinstance(inputs, tuple) and inputs and len(set(inputs)) == len(inputs), f"inputs is {inputs!r}."
    )
    require(set(inputs) <= {"image", "patient"}, f"inputs is {inputs!r}.")
    mean, std = backbone.mean, backbone.std
    require(len(mean) == len(std) >= 1, f"mean is {mean!r} and std {std!r}.")
    require(all(map(math.isfinite, mean)), f"mean is {mean!r}.")
    require(all(math.isfinite(s) and s > 0 for s in std), f"std is {std!r}.")


def gives_a_logit_for_each_output(subject: Subject) -> None:
    """Finite float32 logits [B, outputs], for any batch in evaluation and from two images on in training."""
    outputs = _outputs(subject)
    for side, network in _networks(subject, 2):
        for training, sizes in ((False, (1, 2, 3)), (True, (2, 3))):
            network.train(training)
            for n in sizes:
                logits = _logits(network, _batch(subject, n, side))
                case = f"{n} images of {side} px, {'training' if training else 'evaluation'}"
                require(isinstance(logits, Tensor), f"{case}: no tensor but {type(logits).__name__}.")
                shape = tuple(logits.shape)
                require(shape == (n, outputs), f"{case}: shape {shape}, not {(n, outputs)}.")
                require(logits.dtype == torch.float32, f"{case}: {logits.dtype}.")
                require(logits.isfinite().all(), f"{case}: logits that are not finite.")


def draws_weights_from_the_seed(subject: Subject) -> None:
    """Random weights come from torch's global generator: they repeat with its seed and only with it."""
    side, network = _first(subject)
    first = network.state_dict()
    again, other = (_network(subject, side, seed).state_dict() for seed in (0, 1))
    require(first.keys() == again.keys(), "The same seed gives other tensors.")
    for name, tensor in first.items():
        require(torch.equal(tensor, again[name]), f"The same seed gives another {name}.")
    require(any(not torch.equal(t, other[name]) for name, t in first.items()), "Each seed gives the same.")


def evaluates_without_chance(subject: Subject) -> None:
    """In evaluation the same images give the same logits."""
    side, network = _first(subject)
    batch = _batch(subject, 2, side)
    require(torch.equal(_logits(network, batch), _logits(network, batch)), "A second pass differs.")


def treats_images_alone(subject: Subject) -> None:
    """In evaluation an image's logits do not depend on the other images of its batch."""
    side, network = _first(subject)
    batch = _batch(subject, 3, side)
    alone = torch.cat([_logits(network, [x[i : i + 1] for x in batch]) for i in range(3)])
    _near(_logits(network, batch), alone, 1e-3, "Alone and together")


def takes_channels_last(subject: Subject) -> None:
    """The memory format 'channels last' changes speed, not logits."""
    side, network = _first(subject)
    batch = _batch(subject, 2, side)
    plain = _logits(network, batch)
    moved = [x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x for x in batch]
    _near(plain, _logits(network.to(memory_format=torch.channels_last), moved), 1e-3, "In channels last")


def runs_in_bf16(subject: Subject) -> None:
    """Under bf16 autocast logits are finite and near those of float32."""
    side, network = _first(subject)
    batch = _batch(subject, 2, side)
    plain = _logits(network, batch)
    with torch.autocast("cpu", torch.bfloat16):
        half = _logits(network, batch).float()
    require(half.isfinite().all(), "Some are not finite.")
    _near(plain, half, 0.1, "In bf16")


def trains_every_parameter(subject: Subject) -> None:
    """Each parameter that wants a gradient gets a finite one; an unused one troubles distributed training."""
    side, network = _first(subject)
    network.train()
    with torch.random.fork_rng(devices=[]):
        network(*_batch(subject, 3, side)).square().sum().backward()
    wanted = {name: p.grad for name, p in network.named_parameters() if p.requires_grad}
    require(wanted, "No parameter wants a gradient.")
    for name, gradient in wanted.items():
        require(gradient is not None, f"{name} gets none.")
        require(gradient is not None and gradient.isfinite().all(), f"That of {name} is not finite.")


def keeps_all_it_learns_in_its_state(subject: Subject) -> None:
    """Weights that are written as safetensors and read into a newly built network give the same logits."""
    side, network = _first(subject)
    batch = _batch(subject, 3, side)
    _logits(network.train(), batch)  # running statistics, where there are any, must be kept as well
    read = _network(subject, side, seed=1)
    with TemporaryDirectory() as folder:
        save_weights(network, Path(folder) / "weights.safetensors")
        load_own_weights(read, Path(folder) / "weights.safetensors")
    require(torch.equal(_logits(network.eval(), batch), _logits(read, batch)), "They give other logits.")


def exports(subject: Subject) -> None:
    """torch.export makes a graph of the network, for formats of other tools, that gives the same logits."""
    side, network = _first(subject)
    batch = _batch(subject, 2, side)
    plain = _logits(network, batch)
    with torch.no_grad():
        program = torch.export.export(network, tuple(batch))
    _near(plain, _logits(program.module(), batch), 1e-3, "Exported")


def compiles(subject: Subject) -> None:
    """torch.compile traces the network, and what is traced gives the same logits."""
    side, network = _first(subject)
    batch = _batch(subject, 2, side)
    plain = _logits(network, batch)
    torch.compiler.reset()
    try:
        # Without code generation: whether there is a compiler is no matter of the network's.
        compiled = cast(nn.Module, torch.compile(network, backend="aot_eager"))
        _near(plain, _logits(compiled, batch), 1e-3, "Compiled")
    finally:
        torch.compiler.reset()


def says_what_published_weights_tell(subject: Subject) -> None:
    """Where weights decide its outputs ('classes'), these have names, and what it recommends are settings."""
    backbone = subject.make()
    if not hasattr(backbone, "classes"):
        return
    classes = backbone.classes
    named = isinstance(classes, tuple) and all(isinstance(each, str) and each for each in classes)
    require(named and classes and len(set(classes)) == len(classes), f"classes is {classes!r}.")
    require(hasattr(backbone, "recommend"), "It has no 'recommend'.")
    settings_that_exist(backbone.recommend())


def leaves_its_arguments_alone(subject: Subject) -> None:
    """The network does not change its inputs in place."""
    side, network = _first(subject)
    batch = _batch(subject, 2, side)
    inputs = dict(zip(subject.make().inputs, batch, strict=True))
    for training in (False, True):
        with unchanged(**inputs):
            _logits(network.train(training), batch)


CHECKS = (
    *map(
        Check,
        (
            declares_its_inputs,
            gives_a_logit_for_each_output,
            draws_weights_from_the_seed,
            evaluates_without_chance,
            treats_images_alone,
            takes_channels_last,
            runs_in_bf16,
            trains_every_parameter,
            keeps_all_it_learns_in_its_state,
            leaves_its_arguments_alone,
            says_what_published_weights_tell,
        ),
    ),
    Check(exports, long=True),
    Check(compiles, long=True),
)


def _outputs(subject: Subject) -> int:
    """How many logits are asked for: those of published weights are as many as these tell."""
    return len(getattr(subject.make(), "classes", ())) or _OUTPUTS


def _first(subject: Subject) -> tuple[int, nn.Module]:
    return _networks(subject, 1)[0]


def _networks(subject: Subject, most: int) -> list[tuple[int, nn.Module]]:
    """The first sizes that the backbone can be built for, each with its network."""
    found: list[tuple[int, nn.Module]] = []
    refusals = []
    for side in _SIDES:
        if len(found) < most:
            try:
                found.append((side, _network(subject, side)))
            except CxrbenchError as error:
                refusals.append(f"{side} px: {error}")
    require(found, f"It refuses every size that was tried: {' '.join(refusals)}")
    return found


def _network(subject: Subject, side: int, seed: int = 0) -> nn.Module:
    """A network for evaluation; torch's own generator is left where it was."""
    backbone: Backbone = subject.make()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return backbone.build(_outputs(subject), side, False).eval()


def _batch(subject: Subject, n: int, side: int) -> list[Tensor]:
    backbone: Backbone = subject.make()
    generator = torch.Generator().manual_seed(0)
    made = {
        "image": torch.randn(n, len(backbone.mean), side, side, generator=generator),
        "patient": torch.rand(n, 3, generator=generator),
    }
    return [made[name] for name in backbone.inputs]


def _logits(network: nn.Module, batch: list[Tensor]) -> Tensor:
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        logits: Tensor = network(*batch)
    return logits


def _near(logits: Tensor, others: Tensor, share: float, what: str) -> None:
    """Require that logits differ by no more than a share of their own size."""
    size, difference = float(logits.abs().max()), float((logits - others).abs().max())
    require(difference <= share * size + 1e-6, f"{what}, logits up to {size:g} differ by {difference:g}.")
