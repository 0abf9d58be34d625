"""Class activation maps, as the library ``grad-cam`` makes them.

Gildenblat and contributors, "PyTorch library for CAM methods", github.com/jacobgil/pytorch-grad-cam. It
takes the logit of a class (before the sigmoid or softmax), cuts the map at 0, brings it to the image's size
(bilinearly) and each image's map to 0..1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pytorch_grad_cam as library
import torch
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor, nn

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cxrbench.map_layers import MapLayer


@dataclass(frozen=True, kw_only=True)
class _ClassActivationMap:
    """What the methods share: everything but the library's class."""

    method: ClassVar[type[library.base_cam.BaseCAM]]

    def maps(
        self, network: nn.Module, layer: MapLayer, inputs: Sequence[Tensor], classes: Sequence[int]
    ) -> NDArray[np.float32]:
        """See :meth:`cxrbench.interfaces.Explainer.maps`."""
        images = next(each for each in inputs if each.ndim == 4)
        with _gradients_from(network, layer.module), torch.enable_grad():
            # Copied: what is behind the layer may change its output in place.
            cam = self.method(
                _OfImages(network, inputs), [layer.module], lambda output: layer.maps(output).clone()
            )
            try:
                maps = cam(images, [ClassifierOutputTarget(index) for index in classes])
            finally:
                cam.activations_and_grads.release()
        # The library adds 1e-7 to what it divides by, which is much where gradients are small.
        most = maps.max(axis=(1, 2), keepdims=True)
        return np.asarray(np.divide(maps, most, out=np.zeros_like(maps), where=most > 0), np.float32)


class GradCam(_ClassActivationMap):
    """Grad-CAM (Selvaraju et al. 2017): channels weighted by the mean of their gradient."""

    method = library.GradCAM


class GradCamPlusPlus(_ClassActivationMap):
    """Grad-CAM++ (Chattopadhay et al. 2018): positive gradients, weighted place by place."""

    method = library.GradCAMPlusPlus


class LayerCam(_ClassActivationMap):
    """LayerCAM (Jiang et al. 2021): each place by its own positive gradient, for finer layers too."""

    method = library.LayerCAM


class HiResCam(_ClassActivationMap):
    """HiResCAM (Draelos and Carin 2020): each place by its own gradient, of both signs."""

    method = library.HiResCAM


class EigenCam(_ClassActivationMap):
    """EigenCAM (Muhammad and Yeasin 2020): the maps' first principal component, the same for every class.

    The sign of a principal component is arbitrary, so that a map may be that of the background.
    """

    method = library.EigenCAM


class _OfImages(nn.Module):
    """A network as a function of its images alone, the other inputs given."""

    def __init__(self, network: nn.Module, inputs: Sequence[Tensor]) -> None:
        super().__init__()
        self.network = network
        self.inputs = list(inputs)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.network(*(images if each.ndim == 4 else each for each in self.inputs))
        return logits


@contextmanager
def _gradients_from(network: nn.Module, layer: nn.Module) -> Iterator[None]:
    """Take gradients back to the layer's output and no further, and of no weight."""

    def cut(_module: nn.Module, _inputs: Any, output: Tensor) -> Tensor:
        # A copy, since a leaf could not be changed in place by what is behind the layer.
        return output.detach().requires_grad_().clone()

    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    hook = layer.register_forward_hook(cut)
    for parameter in trained:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        hook.remove()
        for parameter in trained:
            parameter.requires_grad_(True)
