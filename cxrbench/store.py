"""The store: content-addressed, append-only artifacts, published whole or not at all.

::

    results/
      store.json                     schema version of the store
      artifacts/STAGE/KEY/           one folder an artifact: its files and artifact.json
      runs/RUN_ID/                   one folder a run: what people read
      partial/STAGE-KEY/             work in progress; what a resumable stage goes on from
      locks/STAGE-KEY.lock           held by the process that works on the key, dies with it
      locks/live-ID.json             what a run at work needs, beside the lock that says it is at work
      label_reads.jsonl              every read of labels, by whom and for what
      cache/images-KEY/              images as networks read them (pixels/cache.py); made again where freed
      latency/TRAINING_KEY/          measurements of a network (latency/record.py); added, never changed
      explanations/RUN_ID/           what was last explained of a run (report/heatmap_kept.py)
      failures/                      traces of cells (grid.py) and of plugins that look on (hearing.py)
      tuning/NAME/                   one folder a search (tuning/)
      pixel_hashes/                  SHA-256 of image files (pixels/identities.py)
"""

from __future__ import annotations

import json
import platform
import shutil
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import filelock

from cxrbench.canonical import digest
from cxrbench.errors import CxrbenchError, UsageError
from cxrbench.files import read_json, sha256, sync, write_json
from cxrbench.hearing import tell
from cxrbench.reporter import Reporter

SCHEMA_VERSION = 1
"""Of the store and each artifact's record; readers of newer versions keep reading older ones."""

RUN_STAGE = "run"


@dataclass(frozen=True)
class Step:
    """A piece of work addressed by its inputs.

    Attributes:
        stage: which stage does it.
        inputs: everything the result depends on besides the parents (JSON values).
        parents: the steps whose artifacts it reads; their keys are part of its own.
        label: what precedes the key in the folder's name (runs only).
    """

    stage: str
    inputs: dict[str, Any]
    parents: tuple[Step, ...] = ()
    label: str = ""

    @cached_property
    def key(self) -> str:
        """24 hex digits that follow from stage, inputs and parents alone."""
        return digest({"stage": self.stage, "inputs": self.inputs, "parents": [p.id for p in self.parents]})

    @property
    def name(self) -> str:
        """The folder's name."""
        return f"{self.label}-{self.key[:8]}" if self.label else self.key

    @property
    def id(self) -> str:
        """``stage/name``: how records name each other."""
        return f"{self.stage}/{self.name}"


@dataclass(frozen=True)
class Artifact:
    """A published artifact: a folder whose files do not change any more."""

    id: str
    folder: Path
    record: dict[str, Any]

    @property
    def references(self) -> list[str]:
        """The artifacts that this one was made from."""
        # Images were artifacts once, used by what read them.
        return [*self.record["parents"], *self.record.get("uses", ())]


@dataclass(frozen=True)
class Garbage:
    """What no run needs.

    Attributes:
        folders: artifacts that no run refers to.
        unfinished: work in progress that no process is at; a killed training would go on from there.
    """

    folders: tuple[Path, ...]
    unfinished: tuple[Path, ...]


class Store:
    """All artifacts and runs below one folder."""

    def __init__(self, root: Path, reporter: Reporter, *, create: bool = True) -> None:
        """Open the store at ``root``; where it is not there and ``create``, it is made by the first write.

        ``reporter`` is told what must be waited for, and what is wrong with a run that is left out.

        Raises:
            UsageError: there is no store, and none may be made.
            CxrbenchError: it is of a newer cxrbench.
        """
        self.root = root
        self.reporter = reporter
        self._marker = root / "store.json"
        if self._marker.exists():
            try:
                _require_readable(f"The store at {root}", read_json(self._marker))
            except (ValueError, KeyError) as error:
                raise CxrbenchError(
                    f'{self._marker} is damaged; write {{"schema_version": {SCHEMA_VERSION}}} into it.'
                ) from error
        elif not create:
            raise UsageError(
                f"There is no store at {root}; give --results the folder that runs were written to."
            )

    def _begin(self) -> None:
        """Make the store before the first write, so that a request that is wrong leaves nothing."""
        if not self._marker.exists():
            self.root.mkdir(parents=True, exist_ok=True)
            write_json(self._marker, {"schema_version": SCHEMA_VERSION})

    def folder(self, step_id: str) -> Path:
        """Where an artifact lies or will lie."""
        stage, name = step_id.split("/", 1)
        return self.root / "runs" / name if stage == RUN_STAGE else self.root / "artifacts" / stage / name

    def has(self, step: Step) -> bool:
        """Whether the step's artifact is published."""
        return (self.folder(step.id) / "artifact.json").exists()

    def read(self, step_id: str) -> Artifact:
        """A published artifact.

        Raises:
            CxrbenchError: it is not there, its record cannot be read, or it is of a newer cxrbench.
        """
        folder = self.folder(step_id)
        try:
            record: dict[str, Any] = read_json(folder / "artifact.json")
        except FileNotFoundError as error:
            raise CxrbenchError(
                f"The store at {self.root} holds no {step_id}; run the same command again to make it."
            ) from error
        except ValueError as error:
            raise CxrbenchError(
                f"{folder / 'artifact.json'} is damaged; remove the folder {folder} and run the same "
                "command again to make it."
            ) from error
        _require_readable(step_id, record)
        return Artifact(step_id, folder, record)

    def step(self, step_id: str) -> Step:
        """The step of a published artifact, so that other steps can be made from it.

        Raises:
            CxrbenchError: it, or something that it was made from, is not there.
        """
        record = self.read(step_id).record
        step = Step(record["stage"], record["inputs"], tuple(map(self.step, record["parents"])))
        if step.id != step_id:
            raise CxrbenchError(
                f"The record of {step_id} is not what its key was made of; see 'cxrbench verify'."
            )
        return step

    def ensure(self, step: Step, make: Callable[[Path], None], *, resumable: bool = False) -> Artifact:
        """The step's artifact, made by ``make(folder)`` where it is not published yet.

        ``folder`` is empty, or for a ``resumable`` step as a killed process left it. Another process that
        works on the same key is waited for.
        """
        if self.has(step):
            return self.read(step.id)
        with self.locked(step.id):
            if self.has(step):
                return self.read(step.id)
            partial = self.root / "partial" / step.id.replace("/", "-")
            if not resumable:
                shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True, exist_ok=True)
            # What a process left that was killed while it published, or wrote a file.
            for leftover in [partial / "artifact.json", *partial.rglob(".*.tmp")]:
                leftover.unlink(missing_ok=True)
            started = time.perf_counter()
            make(partial)
            self._publish(step, partial, time.perf_counter() - started)
        artifact = self.read(step.id)
        # Not under the lock: who waits for the artifact does not wait for those that hear of it.
        self.tell("artifact_written", artifact_id=artifact.id, folder=artifact.folder, record=artifact.record)
        return artifact

    def tell(self, hook: Literal["artifact_written", "epoch_ended"], **values: Any) -> None:
        """Tell plugins that look on; see :func:`cxrbench.hearing.tell`."""
        tell(hook, self.reporter, self.root / "failures", **values)

    def _publish(self, step: Step, partial: Path, seconds: float) -> None:
        files = sorted(path for path in partial.rglob("*") if path.is_file())
        for path in files:
            sync(path)
        record = {
            "schema_version": SCHEMA_VERSION,
            "stage": step.stage,
            "key": step.key,
            "inputs": step.inputs,
            "parents": [parent.id for parent in step.parents],
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "seconds": round(seconds, 3),
            "made_with": provenance(),
            "files": {
                path.relative_to(partial).as_posix(): {"sha256": sha256(path), "bytes": path.stat().st_size}
                for path in files
            },
        }
        write_json(partial / "artifact.json", record)
        for path in files:
            # safetensors writes for the owner alone; the store may be shared.
            path.chmod((partial / "artifact.json").stat().st_mode)
        sync(partial)
        target = self.folder(step.id)
        target.parent.mkdir(parents=True, exist_ok=True)
        # A folder without a record is what an interrupted removal left.
        shutil.rmtree(target, ignore_errors=True)
        partial.rename(target)
        sync(target.parent)

    @contextmanager
    def locked(self, step_id: str) -> Iterator[None]:
        """Work on something alone: another process that does is waited for, which is said."""
        self._begin()
        path = self.root / "locks" / f"{step_id.replace('/', '-')}.lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(path)
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            self.reporter.say(f"another process works on {step_id}; waiting for it")
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def ids(self) -> list[str]:
        """The id of every published artifact and run."""
        artifacts = sorted(self.root.glob("artifacts/*/*/artifact.json"))
        return [
            *(f"{path.parent.parent.name}/{path.parent.name}" for path in artifacts),
            *(f"{RUN_STAGE}/{name}" for name in self.run_names()),
        ]

    def run_names(self) -> list[str]:
        """The name of every run, which stands for all that it was made from."""
        return [path.parent.name for path in sorted(self.root.glob("runs/*/artifact.json"))]

    def runs(self) -> Iterator[Artifact]:
        """Every run."""
        for name in self.run_names():
            try:
                yield self.read(f"{RUN_STAGE}/{name}")
            except CxrbenchError as error:
                # One damaged record must not hide the other runs.
                self.reporter.warn(str(error))

    def find_run(self, text: str) -> Artifact:
        """The run whose id is ``text``, or starts or ends with it, and no other.

        Raises:
            UsageError: none or several match.
        """
        names = self.run_names()
        wanted = text.rstrip("/").rpartition("/")[2]
        matches = (
            [wanted]
            if wanted in names
            else [n for n in names if wanted and (n.startswith(wanted) or n.endswith(wanted))]
        )
        if len(matches) != 1:
            known = f"there are {', '.join(names)}" if names else "the store holds none"
            which = (
                f"is not one run but {', '.join(matches)}"
                if matches
                else f"is no run of {self.root}; {known}"
            )
            raise UsageError(f"'{text}' {which}.")
        return self.read(f"{RUN_STAGE}/{matches[0]}")

    def remove_run(self, run: Artifact) -> None:
        """Delete a run's folder and what was explained of it; artifacts stay until :meth:`collect`."""
        self._remove(run.folder)
        # The same run made again may have other weights, where training does not repeat itself bit for bit.
        shutil.rmtree(self.explanations(run.folder.name), ignore_errors=True)

    def explanations(self, run_id: str) -> Path:
        """The folder of what was last explained of a run (:mod:`cxrbench.report.heatmap_kept`)."""
        return self.root / "explanations" / run_id

    def behind(self, runs: Iterable[str]) -> list[str]:
        """These runs and all that they were made from, directly or through others, as far as it is there."""
        found: dict[str, None] = {}
        waiting = list(runs)
        while waiting:
            current = waiting.pop()
            if current not in found and (self.folder(current) / "artifact.json").exists():
                found[current] = None
                waiting += self._references(current)
        return list(found)

    def _references(self, step_id: str) -> list[str]:
        try:
            return self.read(step_id).references
        except CxrbenchError:
            return []  # what is wrong with it is for problems() to say

    @contextmanager
    def needing(self, step_ids: Sequence[str]) -> Iterator[None]:
        """Keep these artifacts, to which no run refers yet, and caches from being freed meanwhile."""
        name = f"live-{uuid.uuid4().hex}"
        path = self.root / "locks" / f"{name}.json"
        try:
            with self.locked(name):
                write_json(path, list(step_ids))
                yield
        finally:
            path.unlink(missing_ok=True)
            path.with_suffix(".lock").unlink(missing_ok=True)

    def needed_now(self) -> list[str]:
        """Ids of what runs at work need (:meth:`needing`), there or still to come."""
        found: list[str] = []
        for path in self.root.glob("locks/live-*.json"):
            if self._is_locked(path.stem):
                # A run that ended meanwhile needs nothing any more.
                with suppress(FileNotFoundError):
                    found += read_json(path)
        return found

    def garbage(self) -> Garbage:
        """What no run, finished or at work, refers to, and work in progress that nobody is at.

        Raises:
            CxrbenchError: a record is damaged, so that what it refers to is not known.
        """
        ids = [self.read(id_).id for id_ in self.ids()]
        needed = [f"{RUN_STAGE}/{name}" for name in self.run_names()]
        kept = set(self.behind([*needed, *self.needed_now()]))
        folders = [self.folder(id_) for id_ in ids if id_ not in kept]
        folders += [
            path
            for path in sorted([*self.root.glob("artifacts/*/*"), *self.root.glob("runs/*")])
            if not (path / "artifact.json").exists()
        ]
        unfinished = [path for path in sorted(self.root.glob("partial/*")) if not self._is_locked(path.name)]
        return Garbage(tuple(folders), tuple(unfinished))

    def collect(self, folders: Iterable[Path]) -> None:
        """Delete folders that :meth:`garbage` found, and what killed runs said that they need."""
        for folder in folders:
            self._remove(folder)
        for path in self.root.glob("locks/live-*.lock"):
            with suppress(filelock.Timeout), filelock.FileLock(path).acquire(timeout=0):
                path.with_suffix(".json").unlink(missing_ok=True)
                path.unlink(missing_ok=True)

    def _is_locked(self, name: str) -> bool:
        lock = filelock.FileLock(self.root / "locks" / f"{name}.lock")
        if not Path(lock.lock_file).exists():
            return False
        try:
            with lock.acquire(timeout=0):
                return False
        except filelock.Timeout:
            return True

    @staticmethod
    def _remove(folder: Path) -> None:
        # The record goes first: a folder without it is no artifact, whatever interrupts the rest.
        (folder / "artifact.json").unlink(missing_ok=True)
        shutil.rmtree(folder)

    def problems(self, step_id: str) -> list[str]:
        """What is wrong with an artifact: its record, missing, added or changed files, lost references."""
        try:
            artifact = self.read(step_id)
        except CxrbenchError as error:
            return [f"{step_id}: {error}"]
        found = []
        addressed = {part: artifact.record[part] for part in ("stage", "inputs", "parents")}
        if digest(addressed) != artifact.record["key"] or not artifact.folder.name.endswith(
            artifact.record["key"][:8] if artifact.record["stage"] == RUN_STAGE else artifact.record["key"]
        ):
            found.append(f"{artifact.id}: its record has changed since it was written")
        recorded = artifact.record["files"]
        present = {
            path.relative_to(artifact.folder).as_posix(): path
            for path in artifact.folder.rglob("*")
            if path.is_file() and path != artifact.folder / "artifact.json"
        }
        for name, facts in recorded.items():
            if name not in present:
                found.append(f"{artifact.id}: {name} is missing")
            elif sha256(present[name]) != facts["sha256"]:
                found.append(f"{artifact.id}: {name} has changed since it was written")
        found += [
            f"{artifact.id}: {name} was added later" for name in sorted(present.keys() - recorded.keys())
        ]
        found += [
            f"{artifact.id}: refers to {reference}, which is gone"
            for reference in artifact.references
            if not (self.folder(reference) / "artifact.json").exists()
        ]
        return found

    def log_label_read(self, role: str, labels: str, reader: str, purpose: str) -> None:
        """Append one read of labels to the access log."""
        line = {
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
            "role": role,
            "labels": labels,
            "reader": reader,
            "purpose": purpose,
        }
        self._begin()
        with (self.root / "label_reads.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def _require_readable(what: str, record: dict[str, Any]) -> None:
    found = record["schema_version"]
    if found > SCHEMA_VERSION:
        raise CxrbenchError(
            f"{what} has schema version {found}, which needs a newer cxrbench; update it or use another "
            "--results."
        )


@cache
def provenance() -> Mapping[str, str]:
    """What an artifact was made with: versions and processor; never part of a key.

    Asked once a process: packages' metadata take longer to read than most artifacts to write.
    """
    packages = ("cxrbench", "torch", "timm", "accelerate", "numpy", "pandas", "scikit-learn")
    return {name: version(name) for name in packages} | {
        "python": platform.python_version(),
        "system": platform.platform(terse=True),
        "processor": platform.machine(),
    }
