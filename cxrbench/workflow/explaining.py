"""Runs with their trained networks, opened again to be explained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from cxrbench.architecture import architecture_of
from cxrbench.canonical import digest
from cxrbench.data import Data, Purpose
from cxrbench.errors import CxrbenchError, UsageError
from cxrbench.interfaces import Explainer, SamplePlan
from cxrbench.localisation.pairs import Pairs, Window, annotated_pairs, pairs_of
from cxrbench.map_layers import MapLayer, layer_of, named_layers, without_maps
from cxrbench.options import Use, make
from cxrbench.roles import ROLES, Role
from cxrbench.specs import keyed, resolve
from cxrbench.stages import average, explain
from cxrbench.statistics.localisation import rank_correlations
from cxrbench.store import Step
from cxrbench.training.batches import Rows
from cxrbench.training.inference import logits_of
from cxrbench.training.randomness import derive
from cxrbench.training.views import central_window
from cxrbench.workflow.deployed import deployed
from cxrbench.workflow.job import Job
from cxrbench.workflow.network import Network
from cxrbench.workflow.runs import Workflow
from cxrbench.workflow.trained import require_network

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cxrbench.interfaces import FloatArray

    Maps = NDArray[np.float32]

RANDOMISED = ("last", "all")
"""What is made random for the sanity check: the last layer that has weights, or every one."""


@dataclass(frozen=True)
class Scores:
    """What a run says of images.

    Attributes:
        probabilities: a row an image, a column a class: those that decisions are made from.
        called: what is decided of each, by thresholds (or the most probable class) and the run's rule: 1, 0
            or NaN.
        thresholds: of each class; NaN where it has none.
    """

    probabilities: pd.DataFrame
    called: pd.DataFrame
    thresholds: pd.Series[float]


class ExplainedRun:
    """A run of the store with its networks, as they were when it was published."""

    def __init__(self, workflow: Workflow, record: Mapping[str, Any]) -> None:
        """Open the run's data; networks are read when they are used.

        Args:
            workflow: whose store, device and data root are used.
            record: the run's ``run.json``.

        Raises:
            UsageError: the run has no network, or none that sees images.
            CxrbenchError: the data at hand are not the run's, or its checkpoint is gone.
        """
        self.record, self.run_id = record, str(record["run_id"])
        require_network(record)
        self._workflow, self._store = workflow, workflow.store
        self.spec = resolve(record["spec"], workflow.registry)
        self._backbone = architecture_of(self.spec, workflow.registry)
        if "image" not in self._backbone.inputs:
            raise UsageError(f"The network of {self.run_id} sees no images; explain another run.")
        opened = workflow.open(self.spec)
        tested = opened
        if use := self.spec.test_dataset:
            tested = workflow.open_test(self.spec, use, opened.data.task)
        self._opened, self._tested = opened, tested
        self._read_boxes: dict[Role, pd.DataFrame] = {}
        self._job = Job(workflow, self.spec, self._backbone, opened, tested)
        for network in self._job.networks:
            if not self._store.has(network.training):
                raise CxrbenchError(
                    f"The store at {self._store.root} holds no checkpoint of {self.run_id} for the data and "
                    "components at hand; give --data-root the folder that it was trained on, or run it again."
                )

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes of its task."""
        return self._opened.data.task.classes

    @property
    def passport(self) -> str:
        """The id of its passport."""
        return self._tested.passport(self.spec.tune).id

    @cached_property
    def window(self) -> Window:
        """What of each image its network sees."""
        side = self._job.images.cache.side
        start, width = central_window(side, self.spec.image_size, self.spec.crop)
        return Window(start / side, width / side)

    # Images ------------------------------------------------------------------------------------------

    def _data_of(self, role: Role) -> Data:
        return self._tested.data if role == "test" else self._opened.data

    def role_of(self, image_id: str) -> Role:
        """The role of an image of the run.

        Raises:
            UsageError: it is none of its images.
        """
        roles: list[Role] = ["test", *(role for role in ROLES if role != "test")]
        for role in roles:
            data = self._data_of(role)
            if image_id in data.roles.index and data.roles[image_id] == role:
                return role
        raise UsageError(f"{image_id} is no image of {self.run_id}; --images takes ids of its data set.")

    def pixels(self, image_id: str) -> NDArray[np.uint8]:
        """An image ``[h, w]`` for people to look at."""
        opened = self._tested if self.role_of(image_id) == "test" else self._opened
        return opened.example(image_id)

    def annotated(self, role: Role) -> Pairs:
        """All pairs of a role's images and findings with boxes; test's are read for evaluation alone."""
        return annotated_pairs(self._boxes(role), self._data_of(role).patients(role))

    def _boxes(self, role: Role) -> pd.DataFrame:
        """The boxes of a role, read once."""
        if role not in self._read_boxes:
            purpose: Purpose = "evaluate" if role == "test" else "fit"
            reader = f"explain/{self.run_id}"
            self._read_boxes[role] = self._data_of(role).boxes(role, reader, purpose)
        return self._read_boxes[role]

    def pairs(self, image_ids: Sequence[str], findings: Sequence[str]) -> Pairs:
        """These pairs, whatever the roles of the images, with whatever boxes there are."""
        roles = [self.role_of(image_id) for image_id in image_ids]
        used: list[Role] = [role for role in ROLES if role in roles]
        tables = [self._boxes(role) for role in used]
        patients = pd.concat([self._data_of(role).patients(role) for role in used])
        return pairs_of(image_ids, findings, patients, pd.concat(tables))

    def labels(self, image_ids: Sequence[str]) -> pd.DataFrame:
        """The labels of images, 1, 0 or NaN; a row an image, a column a class."""
        tables = []
        for role in dict.fromkeys(map(self.role_of, image_ids)):
            data = self._data_of(role)
            labels = data.labels(role, f"explain/{self.run_id}", "evaluate")
            tables.append(pd.DataFrame(labels, data.image_ids(role), list(data.task.classes)))
        return pd.concat(tables).loc[list(image_ids)].reindex(columns=list(self.classes))

    # Networks ----------------------------------------------------------------------------------------

    @cached_property
    def _networks(self) -> list[nn.Module]:
        return [network.trained().to(self._workflow.device) for network in self._job.networks]

    @cached_property
    def _probe(self) -> list[Tensor]:
        """Two images of noise, to see which layers give maps."""
        generator = torch.Generator().manual_seed(0)
        side, channels = self.spec.image_size, len(self._backbone.mean)
        shapes = {"image": (2, channels, side, side), "patient": (2, 3)}
        return [
            torch.rand(shapes[name], generator=generator).to(self._workflow.device)
            for name in self._backbone.inputs
        ]

    @cached_property
    def layers(self) -> tuple[str, ...]:
        """The layers that it is explained by unless another is asked for, the first before all others.

        Raises:
            UsageError: no layer gives maps.
        """
        names = tuple(named_layers(self._networks[0], self._probe))
        if not names:
            raise without_maps(self.run_id)
        return names

    def layer(self, name: str) -> MapLayer:
        """A layer of its (first) network, see :func:`cxrbench.map_layers.layer_of`."""
        return layer_of(self._networks[0], self._probe, name)

    def _rows(self, role: Role, image_ids: pd.Index[str], network: Network) -> Rows:
        """Images of a role, some perhaps several times."""
        rows = network.image_rows(role)
        places = rows.image_ids.get_indexer(image_ids).astype(np.int64)
        return rows.planned(SamplePlan(places, np.zeros(len(places), bool)))

    def maps(self, explainer: Use, layer: str, pairs: Pairs) -> Maps:
        """Heatmaps ``[n, S, S]`` of pairs, 0..1; of several networks their mean, brought to 0..1 again.

        Kept in the store; what nothing refers to is freed by ``store gc``, and made again.
        """
        roles = np.array([self.role_of(image_id) for image_id in pairs.image_ids], dtype=object)
        maps = np.zeros((len(pairs), self.spec.image_size, self.spec.image_size), np.float32)
        needed = [images.cache.id for network in self._job.networks for _, images in network.all_images]
        with self._store.needing(needed):
            for role in dict.fromkeys(roles):
                own = roles == role
                for place in range(len(self._networks)):
                    maps[own] += self._maps_of(place, explainer, layer, role, pairs.at(own))
        most = maps.max(axis=(1, 2), keepdims=True)
        scaled: Maps = np.divide(maps, most, out=np.zeros_like(maps), where=most > 0)
        return scaled

    def _maps_of(self, place: int, explainer: Use, layer: str, role: Role, pairs: Pairs) -> Maps:
        network = self._job.networks[place]
        step = Step(
            "explain",
            {
                "version": explain.VERSION,
                "explainer": keyed(explainer, "explainer", self._workflow.registry),
                "layer": layer,
                "pairs": digest([pairs.image_ids.tolist(), pairs.findings.tolist()]),
                "data": network.prediction(role).inputs["data"],
            },
            (network.training,),
        )
        make_maps = partial(self._write_maps, place, explainer, layer, role, pairs)
        return explain.read_maps(self._store.ensure(step, make_maps).folder)

    def _write_maps(
        self, place: int, explainer: Use, layer: str, role: Role, pairs: Pairs, folder: Path
    ) -> None:
        explain.run(folder, self._computed(self._networks[place], place, explainer, layer, role, pairs))

    def _computed(
        self, network: nn.Module, place: int, explainer: Use, layer: str, role: Role, pairs: Pairs
    ) -> Maps:
        maker: Explainer = make(explainer, "explainer", self._workflow.registry)
        return explain.maps_of(
            maker,
            network,
            layer_of(network, self._probe, layer),
            self.spec,
            self._backbone,
            self._rows(role, pairs.image_ids, self._job.networks[place]),
            [self.classes.index(name) for name in pairs.findings],
            self._workflow.device,
            self._workflow.reporter,
        )

    def activations(self, layer: str, image_id: str) -> NDArray[np.float32]:
        """What a layer of its (first) network gives of an image: maps ``[C, h, w]``."""
        network, found = self._networks[0], self.layer(layer)
        kept: list[Tensor] = []
        hook = found.module.register_forward_hook(
            lambda _module, _inputs, output: kept.append(output.clone())
        )
        try:
            self._logits(
                network, self._rows(self.role_of(image_id), pd.Index([image_id]), self._job.networks[0])
            )
        finally:
            hook.remove()
        return np.asarray(found.maps(kept[0])[0].float().cpu(), np.float32)

    # Scores ------------------------------------------------------------------------------------------

    def scores(self, image_ids: Sequence[str]) -> Scores:
        """Probabilities of images, calibrated as the run's, and its thresholds and decisions."""
        task = self._opened.data.task
        behind = deployed(self._store, self._workflow.registry, self.record, task)
        tables = []
        for role in dict.fromkeys(map(self.role_of, image_ids)):
            ids = pd.Index([each for each in dict.fromkeys(image_ids) if self.role_of(each) == role])
            logits = average.mean_logits(
                task,
                np.stack(
                    [
                        self._logits(network, self._rows(role, ids, member))
                        for network, member in zip(self._networks, self._job.networks, strict=True)
                    ]
                ),
            )
            tables.append(pd.DataFrame(behind.probabilities(logits), ids, list(task.classes)))
        probabilities = pd.concat(tables).loc[list(image_ids)]
        decided = behind.decisions(probabilities.to_numpy(np.float64))
        called = pd.DataFrame(decided, probabilities.index, probabilities.columns)
        return Scores(probabilities, called, pd.Series(behind.thresholds, list(task.classes)))

    def _logits(self, network: nn.Module, rows: Rows) -> FloatArray:
        spec = self.spec
        logits = logits_of(
            network,
            self._backbone,
            rows,
            image_size=spec.image_size,
            crop=spec.crop,
            batch_size=spec.training.images_a_step,
            channels_last=spec.training.channels_last,
            device=self._workflow.device,
        )
        return logits.numpy().astype(np.float64)

    # Sanity ------------------------------------------------------------------------------------------

    def sanity(self, explainer: Use, layer: str, pairs: Pairs) -> dict[str, FloatArray]:
        """Rank correlation ``[n]`` of maps with those of the same network with random weights.

        Of its first network, for each of :data:`RANDOMISED` (Adebayo et al., "Sanity Checks for Saliency
        Maps", 2018): maps that stay as they are do not show what the network has learnt. NaN where a map has
        one value everywhere.
        """
        role = self.role_of(pairs.image_ids[0])
        trained = self._computed(self._networks[0], 0, explainer, layer, role, pairs)
        return {
            what: rank_correlations(
                trained, self._computed(self._randomised(what), 0, explainer, layer, role, pairs)
            )
            for what in RANDOMISED
        }

    def _randomised(self, what: str) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive("sanity", self.spec.seed))
            fresh: nn.Module = self._backbone.build(len(self.classes), self.spec.image_size, False)
        if what == "last":
            fresh = _with_last_layer_of(self._job.networks[0].trained(), fresh)
        return fresh.to(self._workflow.device).eval()


def _with_last_layer_of(network: nn.Module, other: nn.Module) -> nn.Module:
    """``network`` with the weights of the last of its layers that has some replaced by ``other``'s."""
    weighted = [
        name
        for name, module in network.named_modules()
        if next(module.parameters(recurse=False), None) is not None
    ]
    network.get_submodule(weighted[-1]).load_state_dict(other.get_submodule(weighted[-1]).state_dict())
    return network
