"""In-memory tracker and registry with the same behaviour as the real ones, for tests."""

from __future__ import annotations

import copy
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from components.datasets.base import UInt8Array
from components.errors import TrackingError
from components.tracking.base import (
    ModelVersion,
    RunSpec,
    RunStatus,
    StoredRun,
    Tag,
    TrackedRun,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import nn


class MemoryTracker:
    """A `Tracker` that keeps everything in this process."""

    def __init__(self) -> None:
        self._ids = itertools.count(1)
        self._runs: dict[str, TrackedRun] = {}
        self._experiments: dict[str, str] = {}
        self._parents: dict[str, str | None] = {}
        self._steps: dict[tuple[str, str], int] = {}
        self.touched: dict[str, datetime] = {}
        self.trashed: set[str] = set()
        self.images: dict[tuple[str, str, int], UInt8Array] = {}
        self.artifacts: dict[tuple[str, str], str | bytes | Figure] = {}
        self.models: dict[str, nn.Module] = {}

    def find(self, experiment: str, fingerprint: str) -> TrackedRun | None:
        """See `Tracker`."""
        runs = [
            run
            for run in self._runs.values()
            if self._experiments[run.run_id] == experiment
            and run.tags.get(Tag.FINGERPRINT) == fingerprint
            and run.run_id not in self.trashed
        ]
        finished = [run for run in runs if run.status is RunStatus.FINISHED]
        best = finished or runs
        return best[-1] if best else None

    def start(self, spec: RunSpec) -> TrackedRun:
        """See `Tracker`."""
        run_id = f"run{next(self._ids)}"
        tags = {**spec.tags, Tag.FINGERPRINT: spec.fingerprint}
        run = TrackedRun(run_id, spec.name, RunStatus.RUNNING, f"memory://{run_id}", tags)
        self._runs[run_id], self._experiments[run_id] = run, spec.experiment
        self._parents[run_id], self.touched[run_id] = spec.parent, datetime.now(UTC)
        return self._complete(run, spec)

    def resume(self, run_id: str, spec: RunSpec) -> TrackedRun:
        """See `Tracker`."""
        self.set_tags(run_id, spec.tags)
        self._change(run_id, status=RunStatus.RUNNING)
        return self._complete(self.get(run_id), spec)

    def _complete(self, run: TrackedRun, spec: RunSpec) -> TrackedRun:
        params = {**spec.flat_params(), **run.params}
        datasets = run.datasets or (spec.dataset.version,)
        return self._change(run.run_id, params=params, datasets=datasets)

    def last_step(self, run_id: str, metric: str) -> int:
        """See `Tracker`."""
        return self._steps.get((run_id, metric), 0)

    def log_metrics(self, run_id: str, metrics: Mapping[str, float], step: int) -> None:
        """See `Tracker`."""
        run = self.get(run_id)
        latest = {k: v for k, v in metrics.items() if step >= self.last_step(run_id, k)}
        self._steps |= {(run_id, name): step for name in latest}
        self._change(run_id, metrics={**run.metrics, **latest})

    def log_figure(self, run_id: str, path: str, figure: Figure) -> None:
        """See `Tracker`."""
        self.artifacts[self.get(run_id).run_id, path] = figure

    def log_image(self, run_id: str, name: str, image: UInt8Array, step: int) -> None:
        """See `Tracker`."""
        self.images[self.get(run_id).run_id, name, step] = image

    def log_text(self, run_id: str, path: str, text: str) -> None:
        """See `Tracker`."""
        self.artifacts[self.get(run_id).run_id, path] = text

    def read_text(self, run_id: str, path: str) -> str:
        """See `Tracker`."""
        text = self.artifacts.get((run_id, path))
        if not isinstance(text, str):
            raise _missing(f"artifact {path} of run {run_id}", "a text")
        return text

    def log_table(self, run_id: str, path: str, rows: Sequence[Mapping[str, str]]) -> None:
        """See `Tracker`."""
        self.artifacts[self.get(run_id).run_id, path] = json.dumps([dict(row) for row in rows])

    def log_folder(self, run_id: str, path: str, folder: Path) -> None:
        """See `Tracker`."""
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                place = f"{path}/{file.relative_to(folder).as_posix()}"
                self.artifacts[self.get(run_id).run_id, place] = file.read_bytes()

    def fetch_folder(self, run_id: str, path: str, destination: Path) -> Path:
        """See `Tracker`."""
        within = {
            name: data
            for (owner, name), data in self.artifacts.items()
            if owner == run_id and name.startswith(f"{path}/") and isinstance(data, bytes)
        }
        if not within:
            raise _missing(f"artifact {path} of run {run_id}", "a folder")
        for name, data in within.items():
            (destination / name).parent.mkdir(parents=True, exist_ok=True)
            (destination / name).write_bytes(data)
        return destination / path

    def artifact_url(self, run_id: str, path: str) -> str:
        """See `Tracker`."""
        return f"memory://{run_id}/{path}"

    def artifact_page(self, run: TrackedRun, path: str) -> str:
        """See `Tracker`."""
        return f"{run.url}/artifacts/{path}"

    def log_model(self, run_id: str, model: nn.Module, example: npt.NDArray[Any]) -> None:
        """See `Tracker`."""
        self.models[self.get(run_id).run_id] = copy.deepcopy(model).eval()

    def set_tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        """See `Tracker`."""
        self._change(run_id, tags={**self.get(run_id).tags, **tags})

    def finish(self, run_id: str, status: RunStatus) -> None:
        """See `Tracker`."""
        self._change(run_id, status=status)
        self.touched[run_id] = datetime.now(UTC)

    def get(self, run_id: str) -> TrackedRun:
        """See `Tracker`."""
        if run_id not in self._runs:
            raise _missing(f"run {run_id}", "a known run")
        return self._runs[run_id]

    def children(self, run_id: str, experiment: str) -> list[TrackedRun]:
        """See `Tracker`."""
        found = [child for child in self._runs if self._parents[child] == run_id]
        found = [child for child in found if child not in self.trashed]
        return [self.get(child) for child in found if self._experiments[child] == experiment]

    def running(self) -> list[TrackedRun]:
        """See `Tracker`."""
        runs = [run for run in self._runs.values() if run.run_id not in self.trashed]
        return [run for run in runs if run.status is RunStatus.RUNNING]

    @contextmanager
    def system_metrics(self, run_id: str) -> Iterator[None]:
        """See `Tracker`."""
        self.get(run_id)
        yield

    def _change(self, run_id: str, **changes: object) -> TrackedRun:
        self._runs[run_id] = replace(self.get(run_id), **changes)  # type: ignore[arg-type]
        return self._runs[run_id]


class MemoryStorage:
    """A `RunStorage` over the runs of a `MemoryTracker`."""

    def __init__(self, tracker: MemoryTracker) -> None:
        self._tracker = tracker

    def runs(self) -> list[StoredRun]:
        """See `RunStorage`."""
        tracker = self._tracker
        return [
            StoredRun(
                run,
                tracker._experiments[id_],
                tracker._parents[id_],
                tracker.touched[id_],
                id_ in tracker.trashed,
            )
            for id_, run in tracker._runs.items()
        ]

    def size(self, run_id: str) -> int:
        """See `RunStorage`; texts and weights alone."""
        texts = [a for (id_, _), a in self._tracker.artifacts.items() if id_ == run_id]
        model = self._tracker.models.get(run_id)
        weights = model.parameters() if model else ()
        return sum(len(a.encode()) for a in texts if isinstance(a, str)) + sum(
            tensor.nbytes for tensor in weights
        )

    def trash(self, run_id: str) -> None:
        """See `RunStorage`."""
        self._tracker.trashed.add(self._tracker.get(run_id).run_id)

    def restore(self, run_id: str) -> None:
        """See `RunStorage`."""
        self._tracker.trashed.discard(self._tracker.get(run_id).run_id)

    def erase(self, run_id: str) -> None:
        """See `RunStorage`."""
        tracker = self._tracker
        if tracker.get(run_id).run_id not in tracker.trashed:
            raise TrackingError(
                f"run {run_id}", got="no trashed run", wanted="one", remedy="Trash it first."
            )
        tracker.models.pop(run_id, None)
        for key in [key for key in tracker.artifacts if key[0] == run_id]:
            del tracker.artifacts[key]
        tracker.trashed.discard(run_id)
        del tracker._runs[run_id]


class MemoryRegistry:
    """A `ModelRegistry` over the models of a `MemoryTracker`."""

    def __init__(self, tracker: MemoryTracker) -> None:
        self._tracker = tracker
        self._versions: dict[str, list[ModelVersion]] = {}
        self._aliases: dict[str, dict[str, int]] = {}
        self._tags: dict[str, dict[str, str]] = {}
        self._removed: set[tuple[str, int]] = set()
        self.descriptions: dict[tuple[str, int], str] = {}

    def register(self, name: str, run_id: str, tags: Mapping[str, str]) -> ModelVersion:
        """See `ModelRegistry`."""
        self.load_run(run_id)
        versions = self._versions.setdefault(name, [])
        number = len(versions) + 1
        versions.append(ModelVersion(name, number, run_id, f"memory://{name}/{number}", dict(tags)))
        return versions[-1]

    def version_of_run(self, name: str, run_id: str) -> ModelVersion | None:
        """See `ModelRegistry`."""
        of_run = [one for one in self.versions(name) if one.run_id == run_id]
        return of_run[-1] if of_run else None

    def by_alias(self, name: str, alias: str) -> ModelVersion | None:
        """See `ModelRegistry`."""
        number = self._aliases.get(name, {}).get(alias)
        return self._with_aliases(self._get(name, number)) if number else None

    def names(self) -> list[str]:
        """See `ModelRegistry`."""
        return sorted({*self._versions, *self._tags})

    def versions(self, name: str) -> list[ModelVersion]:
        """See `ModelRegistry`."""
        there = [v for v in self._versions.get(name, []) if (name, v.version) not in self._removed]
        return [self._with_aliases(version) for version in there]

    def set_alias(self, name: str, alias: str, version: int) -> None:
        """See `ModelRegistry`."""
        self._get(name, version)
        self._aliases.setdefault(name, {})[alias] = version

    def remove_alias(self, name: str, alias: str) -> None:
        """See `ModelRegistry`."""
        if self._aliases.get(name, {}).pop(alias, None) is None:
            raise _missing(f"alias {alias} of model {name}", "an alias")

    def tag_version(self, name: str, version: int, tags: Mapping[str, str]) -> None:
        """See `ModelRegistry`."""
        old = self._get(name, version)
        self._versions[name][version - 1] = replace(old, tags={**old.tags, **tags})

    def describe_version(self, name: str, version: int, text: str) -> None:
        """See `ModelRegistry`."""
        self._get(name, version)
        self.descriptions[name, version] = text

    def remove_version(self, name: str, version: int) -> None:
        """See `ModelRegistry`."""
        found = self._with_aliases(self._get(name, version))
        if found.aliases:
            raise TrackingError(
                f"{name} version {version}",
                got=f"the alias {', '.join(found.aliases)}",
                wanted="a version that nobody points to",
                remedy="Move the alias first.",
            )
        self._removed.add((name, version))

    def model_tags(self, name: str) -> Mapping[str, str]:
        """See `ModelRegistry`."""
        return dict(self._tags.get(name, {}))

    def tag_model(self, name: str, tags: Mapping[str, str]) -> None:
        """See `ModelRegistry`."""
        self._tags.setdefault(name, {}).update(tags)

    def verify(self, version: ModelVersion) -> None:
        """See `ModelRegistry`."""
        self.load_run(version.run_id)

    def load(self, version: ModelVersion) -> nn.Module:
        """See `ModelRegistry`."""
        return self.load_run(version.run_id)

    def load_run(self, run_id: str) -> nn.Module:
        """See `ModelRegistry`."""
        if run_id not in self._tracker.models:
            raise _missing(f"model of run {run_id}", "a logged model")
        return copy.deepcopy(self._tracker.models[run_id])

    def _get(self, name: str, version: int) -> ModelVersion:
        versions = self._versions.get(name, [])
        if not 1 <= version <= len(versions) or (name, version) in self._removed:
            raise _missing(f"model {name} version {version}", "a registered version")
        return versions[version - 1]

    def _with_aliases(self, version: ModelVersion) -> ModelVersion:
        aliases = self._aliases.get(version.name, {})
        names = sorted(name for name, number in aliases.items() if number == version.version)
        described = (version.name, version.version) in self.descriptions
        return replace(version, aliases=names, described=described)


def _missing(subject: str, wanted: str) -> TrackingError:
    return TrackingError(
        subject, got="nothing", wanted=wanted, remedy="Check the id; it may have been deleted."
    )
