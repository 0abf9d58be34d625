"""Whether a store keeps its roles: that nothing in it was fitted on what it is tested on.

The proof is from records that are written apart from each other: the parents of each artifact (part of its
key, so ``cxrbench verify`` sees where they were changed), the log of label reads, and the ids in the label
artifacts themselves.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from cxrbench.errors import CxrbenchError
from cxrbench.files import read_json
from cxrbench.store import RUN_STAGE, Artifact, Store

FIT_STAGES = ("relabel", "train", "calibrate", "threshold", "ensemble")
"""Stages that fit something to labels, or make labels that are fitted to."""


@dataclass
class RoleProof:
    """What was looked at, and what is wrong.

    Attributes:
        counts: how many steps, reads and runs each rule was checked on, by what the rule says.
        violations: one sentence each.
        not_shown: what could not be checked, and why.
    """

    counts: dict[str, int] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)
    not_shown: list[str] = field(default_factory=list)

    def add(self, rule: str, checked: int, violations: Iterable[str]) -> None:
        """What a rule found."""
        self.counts[rule] = checked
        self.violations += violations


def prove_roles(store: Store) -> RoleProof:
    """Check every artifact, every logged read and every run of a store."""
    proof, artifacts = RoleProof(), list[Artifact]()
    for id_ in store.ids():
        try:
            artifacts.append(store.read(id_))
        except CxrbenchError as error:
            proof.violations.append(f"{id_}: {error}")
    fits = [each for each in artifacts if each.record["stage"] in FIT_STAGES]
    proof.add("no fit has test labels among its parents", len(fits), _test_parents(store, fits))
    reads = list(_reads(store))
    proof.add("no fit is logged as a reader of test labels", len(reads), _test_reads(reads))
    proof.add("every label that a fit is made of was read through the log", len(fits), _unlogged(fits, reads))
    runs = [each for each in artifacts if each.record["stage"] == RUN_STAGE]
    for run in runs:
        _check_run(store, run, proof)
    proof.counts["no run is tested on an image, or a patient, that it was fitted on"] = len(runs)
    return proof


def _test_parents(store: Store, fits: Iterable[Artifact]) -> Iterator[str]:
    for artifact in fits:
        for parent in artifact.record["parents"]:
            if _label_role(store, parent) == "test":
                yield f"{artifact.id} was fitted on {parent}, labels of test."


def _label_role(store: Store, step_id: str) -> str | None:
    """Of which role a label artifact is; None for every other artifact."""
    if not step_id.startswith("labels/"):
        return None
    role: str = store.read(step_id).record["inputs"]["role"]
    return role


def _reads(store: Store) -> Iterator[Mapping[str, Any]]:
    path = store.root / "label_reads.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    for number, line in enumerate(lines, start=1):
        try:
            yield json.loads(line)
        except ValueError as error:
            raise CxrbenchError(
                f"Line {number} of {path} is damaged, so that what it logged is not known."
            ) from error


def _test_reads(reads: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for read in reads:
        fitting = read["purpose"] == "fit" or read["reader"].split("/")[0] in FIT_STAGES
        if read["role"] == "test" and fitting:
            yield (
                f"{read['reader']} read labels of test ({read['labels']}) for '{read['purpose']}' at "
                f"{read['time']}."
            )


def _unlogged(fits: Iterable[Artifact], reads: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Fits whose labels nobody is logged to have read: lines of the log are gone."""
    logged = {(read["reader"], read["labels"]) for read in reads}
    for artifact in fits:
        for parent in artifact.record["parents"]:
            if parent.startswith("labels/") and (artifact.id, parent) not in logged:
                yield f"{artifact.id} is made of {parent}, but no line of the log says that it was read."


def _check_run(store: Store, run: Artifact, proof: RoleProof) -> None:
    """Compare the images whose labels the run was fitted on with those that it was tested on."""
    steps = [store.read(id_) for id_ in store.behind([run.id])]
    fitted: set[str] = set()
    tested: set[str] = set()
    for step in steps:
        stage = step.record["stage"]
        for parent in step.record["parents"]:
            role = _label_role(store, parent)
            if role is not None and stage in FIT_STAGES:
                fitted |= _images(store, parent)
            elif role == "test" and stage == "evaluate":
                tested |= _images(store, parent)
    manifests = [step for step in steps if step.record["stage"] == "manifest"]
    if both := fitted & tested:
        proof.violations.append(
            f"{run.id} was fitted on {len(both):,} of the images that it is tested on, such as {min(both)}."
        )
    passport = read_json(run.folder / "run.json")["passport"]
    if len(manifests) == 1:
        table = pd.read_parquet(manifests[0].folder / "manifest.parquet").set_index("image_id")
        patients = table["patient_id"]
        shared = len(set(patients.reindex(list(fitted))) & set(patients.reindex(list(tested))))
        told = f"{shared:,} of the patients that it is tested on"
    else:
        # Of two data sets, who is who was found out when the run was made.
        counts = [n for pair, n in passport["shared_patients"].items() if pair.endswith("/test")]
        if None in counts:
            proof.not_shown.append(f"{run.id}: the two data sets name patients differently.")
        shared = sum(count or 0 for count in counts)
        told = f"patients that it is tested on ({passport['shared_patients']})"
    if shared and passport.get("split") == "image":
        proof.not_shown.append(f"{run.id}: split by image; it was fitted on {told}, as its tables say.")
    elif shared:
        proof.violations.append(f"{run.id} was fitted on {told}.")


def _images(store: Store, labels: str) -> set[str]:
    """The ids in a label artifact."""
    path = store.folder(labels) / "labels.parquet"
    return set(pd.read_parquet(path, columns=["image_id"])["image_id"])
