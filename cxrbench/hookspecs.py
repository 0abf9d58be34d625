"""The whole plugin surface of cxrbench.

A plugin is a module named by an entry point of group ``cxrbench.v1``. It implements the hooks that it
needs with :data:`hookimpl`. Most register components; each of these is handed a ``register`` callable::

    from cxrbench.hookspecs import hookimpl

    @hookimpl
    def register_thresholds(register):
        register("p90", "my_package.p90:P90", version="1", summary="90th percentile of the scores")

``register`` takes a name, a target ``"module:Class"`` that is imported only when the component is used,
the component's version (change it when its results change) and one line on what it is. A name ending
in ``/*`` registers a family: ``timm/resnet18`` reaches the target as its option ``name="resnet18"``.

The last three hooks hear of runs instead. An implementation takes those of a hook's arguments that it needs,
by their names, and gets copies: nothing that it does to them changes a result. One that raises is warned of
once, and the command goes on without it. Commands of plugins are entry points of a group of their own, see
:mod:`cxrbench.commands`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import pluggy

if TYPE_CHECKING:
    from pathlib import Path

    from cxrbench.sections import Section

ENTRY_POINT_GROUP = "cxrbench.v1"
"""Ends in the major version of this surface, which can so be read without an import."""

hookspec = pluggy.HookspecMarker("cxrbench")
hookimpl = pluggy.HookimplMarker("cxrbench")


class Deprecated(DeprecationWarning):
    """Marks a hook that will go, ``@hookspec(warn_on_impl=Deprecated(gone="0.4", instead="register_x"))``.

    A plugin that implements it works on until then, and is warned of by name.
    """

    def __init__(self, *, gone: str, instead: str) -> None:
        self.gone = gone
        super().__init__(f"goes with cxrbench {gone}; implement {instead} instead")


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


@hookspec
def report_sections(  # type: ignore[empty-body]
    run_id: str, record: Mapping[str, Any], folder: Path
) -> Sequence[Section]:
    """Add sections to the page that a run has in the leaderboard's HTML, behind those of cxrbench.

    Args:
        run_id: name of the run.
        record: its ``run.json``.
        folder: where its files lie, to be read.

    Returns:
        The sections, in their order; an empty list for none. All text is escaped.
    """


@hookspec
def artifact_written(artifact_id: str, folder: Path, record: Mapping[str, Any]) -> None:
    """Hear that an artifact was published, or a run: all of it is on disk.

    Called once, by the process that made it, while the run waits; what a store has already is not told again.

    Args:
        artifact_id: ``STAGE/KEY``, such as ``train/…``, ``predict/…`` and ``evaluate/…``; at last
            ``run/RUN_ID``, whose folder has the ``run.json`` with all figures.
        folder: where its files lie, to be read: whatever is changed there is damage (``cxrbench verify``).
        record: its ``artifact.json``: inputs, parents, seconds, versions, files.
    """


@hookspec
def epoch_ended(training_id: str, spec: Mapping[str, Any], epoch: Mapping[str, Any]) -> None:
    """Hear that an epoch of a training is over and its state on disk.

    Called in the leading process alone, while the training waits. A killed training that goes on tells of the
    epochs from there on; one that was killed within this call does not tell of that epoch again.

    Args:
        training_id: ``train/KEY``, of which :func:`artifact_written` tells when the training is done.
        spec: settings of the run that the training is made for first, as in ``run.json``.
        epoch: the row of the log, as in ``epochs.csv``; what is undefined is NaN.
    """
