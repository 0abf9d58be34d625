"""The whole plugin surface of cxrbench.

A plugin is a module named by an entry point of group ``cxrbench.v1``. It implements the hooks that it
needs with :data:`hookimpl`; each is handed a ``register`` callable::

    from cxrbench.hookspecs import hookimpl

    @hookimpl
    def register_thresholds(register):
        register("p90", "my_package.p90:P90", version="1", summary="90th percentile of the scores")

``register`` takes a name, a target ``"module:Class"`` that is imported only when the component is used,
the component's version (change it when its results change) and one line on what it is. A name ending
in ``/*`` registers a family: ``timm/resnet18`` reaches the target as its option ``name="resnet18"``.
"""

from __future__ import annotations

from typing import Protocol

import pluggy

ENTRY_POINT_GROUP = "cxrbench.v1"

hookspec = pluggy.HookspecMarker("cxrbench")
hookimpl = pluggy.HookimplMarker("cxrbench")


class Register(Protocol):
    """Adds one component to the registry."""

    def __call__(self, name: str, target: str, *, version: str, summary: str) -> None:
        """Register ``target`` under ``name``."""


@hookspec
def register_datasets(register: Register) -> None:
    """Register data sets (:class:`cxrbench.interfaces.Dataset`)."""


@hookspec
def register_tasks(register: Register) -> None:
    """Register tasks (:class:`cxrbench.interfaces.TaskDefinition`)."""


@hookspec
def register_samplers(register: Register) -> None:
    """Register samplers (:class:`cxrbench.interfaces.Sampler`)."""


@hookspec
def register_preprocessing(register: Register) -> None:
    """Register preprocessing of images (:class:`cxrbench.interfaces.Preprocessing`)."""


@hookspec
def register_resizers(register: Register) -> None:
    """Register resizers (:class:`cxrbench.interfaces.Resizer`)."""


@hookspec
def register_augmentations(register: Register) -> None:
    """Register augmentations (:class:`cxrbench.interfaces.Augmentation`)."""


@hookspec
def register_backbones(register: Register) -> None:
    """Register networks (:class:`cxrbench.interfaces.Backbone`)."""


@hookspec
def register_heads(register: Register) -> None:
    """Register heads (:class:`cxrbench.interfaces.Head`)."""


@hookspec
def register_losses(register: Register) -> None:
    """Register training losses (:class:`cxrbench.interfaces.Loss`)."""


@hookspec
def register_calibrators(register: Register) -> None:
    """Register calibrators (:class:`cxrbench.interfaces.Calibrator`)."""


@hookspec
def register_thresholds(register: Register) -> None:
    """Register threshold strategies (:class:`cxrbench.interfaces.ThresholdStrategy`)."""


@hookspec
def register_decisions(register: Register) -> None:
    """Register decision rules (:class:`cxrbench.interfaces.DecisionRule`)."""


@hookspec
def register_runtimes(register: Register) -> None:
    """Register runtimes (:class:`cxrbench.interfaces.Runtime`)."""


@hookspec
def register_explainers(register: Register) -> None:
    """Register explainers (:class:`cxrbench.interfaces.Explainer`)."""


@hookspec
def register_ensembles(register: Register) -> None:
    """Register searches of ensembles (:class:`cxrbench.interfaces.EnsembleSearch`)."""


@hookspec
def register_metrics(register: Register) -> None:
    """Register metrics (:class:`cxrbench.interfaces.Metric`)."""
