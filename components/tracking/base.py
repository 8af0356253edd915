"""What the flows need from a tracking server and a model registry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy.typing as npt

from components.datasets.base import UInt8Array

if TYPE_CHECKING:  # seconds that a command which only looks things up need not wait
    from matplotlib.figure import Figure
    from torch import nn

PREFIX = "nightforge."
CHAMPION = "champion"
PREVIOUS = "previous"
MODEL_ARTIFACT = "model"
LEARNING_CURVES = "learning_curves.png"
SAMPLES = "samples"
MODEL_CARD = "model_card.md"
CALIBRATION = "calibration.png"
TEST_SAMPLES = "test_samples.png"
CONFUSION_MATRIX = "confusion_matrix.png"
WORST_MISTAKES = "worst_mistakes.png"
PACKAGE = "transformers"  # folder of a training run: the model as transformers saves it
DATASETS_EXPERIMENT = "datasets"
SUITES_EXPERIMENT = "suites"
SWEEPS_EXPERIMENT = "sweeps"
STUDY_PAGE = "study.html"
TRIAL_CURVES = "trial_curves.png"
INCUMBENT = "incumbent.png"
PARALLEL_COORDINATES = "parallel_coordinates.png"
IMPORTANCE = "importance.png"
TRIAL_LOG = "trials.jsonl"
DATA_CARD = "card.md"
CONTACT_SHEET = "contact_sheet.png"


class Tag(StrEnum):
    """Every tag that Nightforge sets on runs, models and versions."""

    FINGERPRINT = PREFIX + "fingerprint"
    DATASET = PREFIX + "dataset"
    DATASET_VERSION = PREFIX + "dataset_version"
    SAMPLE = PREFIX + "sample"
    SOURCE = PREFIX + "source"
    CHANGE = PREFIX + "change"
    MODEL = PREFIX + "model"
    KIND = PREFIX + "kind"
    INPUT_SHAPE = PREFIX + "input_shape"
    SEED = PREFIX + "seed"
    DEVICE = PREFIX + "device"
    GIT_COMMIT = PREFIX + "git_commit"
    PACKAGES = PREFIX + "packages"
    FLOW_RUN = PREFIX + "flow_run"
    FLOW_RUN_URL = PREFIX + "flow_run_url"
    CLOSED = PREFIX + "closed"
    DECISION = PREFIX + "decision"
    LEDGER = PREFIX + "ledger"
    MOVE = PREFIX + "move"
    STUDY = PREFIX + "study"
    TRIAL = PREFIX + "trial"
    TRIAL_STATUS = PREFIX + "trial_status"
    SUITE = PREFIX + "suite"
    VERDICT = PREFIX + "verdict"


class RunStatus(StrEnum):
    """MLflow's run states."""

    RUNNING = "RUNNING"
    FINISHED = "FINISHED"
    FAILED = "FAILED"
    KILLED = "KILLED"


@dataclass(frozen=True)
class TrackedRun:
    """One run on the tracking server.

    Attributes:
        params: As the server keeps them: nested names joined by dots, values as text.
        datasets: Versions of the datasets it read.
    """

    run_id: str
    name: str
    status: RunStatus
    url: str
    tags: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    datasets: Sequence[str] = ()


@dataclass(frozen=True)
class StoredRun:
    """A run with what decides how long it is kept.

    Attributes:
        parent: Id of the run below which it is shown.
        touched: When it ended; when it began, if it has not.
        trashed: Deleted, so that nobody finds it, but not yet for good.
    """

    run: TrackedRun
    experiment: str
    parent: str | None
    touched: datetime
    trashed: bool


@dataclass(frozen=True)
class DatasetInput:
    """The dataset a run reads, as the tracking server shows it."""

    name: str
    version: str
    source: str
    counts: Mapping[str, int]


@dataclass(frozen=True)
class RunSpec:
    """What a run is started with, and completed with when it is resumed.

    Attributes:
        parent: Id of the run below which a UI shows this one.
    """

    experiment: str
    name: str
    fingerprint: str
    params: Mapping[str, object]
    tags: Mapping[str, str]
    dataset: DatasetInput
    parent: str | None = None

    def flat_params(self) -> dict[str, str]:
        """The parameters under one name each, as text."""
        return {name: str(value) for name, value in _flatten(self.params)}


def _flatten(params: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    for name, value in params.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


@dataclass(frozen=True)
class ModelVersion:
    """One version of a registered model."""

    name: str
    version: int
    run_id: str
    url: str
    tags: Mapping[str, str]
    aliases: Sequence[str] = ()
    described: bool = False


class Tracker(Protocol):
    """Records runs. All methods raise TrackingError when the server refuses."""

    def find(self, experiment: str, fingerprint: str) -> TrackedRun | None:
        """The run with this fingerprint: a finished one, else the newest, else None."""

    def start(self, spec: RunSpec) -> TrackedRun:
        """Start a run."""

    def resume(self, run_id: str, spec: RunSpec) -> TrackedRun:
        """Set an unfinished run to RUNNING again, with the spec's tags.

        Parameters and dataset that a kill kept from being recorded are added; recorded ones stay.
        """

    def last_step(self, run_id: str, metric: str) -> int:
        """The highest step at which `metric` was logged; 0 if never."""

    def log_metrics(self, run_id: str, metrics: Mapping[str, float], step: int) -> None:
        """Log one batch of metrics."""

    def log_figure(self, run_id: str, path: str, figure: Figure) -> None:
        """Store a picture as the run's artifact `path` (PNG)."""

    def log_image(self, run_id: str, name: str, image: UInt8Array, step: int) -> None:
        """Add a picture (H, W, C) uint8 to the run's series `name`, which the UI can scrub."""

    def log_text(self, run_id: str, path: str, text: str) -> None:
        """Store a text as the run's artifact `path`."""

    def read_text(self, run_id: str, path: str) -> str:
        """Read a text artifact back."""

    def log_table(self, run_id: str, path: str, rows: Sequence[Mapping[str, str]]) -> None:
        """Store rows with the same columns as a table that the server's pages can show."""

    def log_folder(self, run_id: str, path: str, folder: Path) -> None:
        """Store all files of a folder below the artifact `path`."""

    def fetch_folder(self, run_id: str, path: str, destination: Path) -> Path:
        """Copy such files below `destination`; returns the folder with them."""

    def artifact_url(self, run_id: str, path: str) -> str:
        """Where a browser fetches an artifact."""

    def artifact_page(self, run: TrackedRun, path: str) -> str:
        """Where the server's own pages show an artifact."""

    def log_model(self, run_id: str, model: nn.Module, example: npt.NDArray[Any]) -> None:
        """Store `model` with signature and input example, in a format without pickle.

        Args:
            run_id: The run that owns it.
            model: In evaluation mode, on the CPU.
            example: A batch of at least two inputs; the batch size of the stored model is free.
        """

    def set_tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Set tags of a run."""

    def finish(self, run_id: str, status: RunStatus) -> None:
        """Close a run."""

    def get(self, run_id: str) -> TrackedRun:
        """The run with its latest metrics."""

    def children(self, run_id: str, experiment: str) -> list[TrackedRun]:
        """All runs below a run of that experiment."""

    def running(self) -> list[TrackedRun]:
        """All of Nightforge's runs whose state is RUNNING."""

    def system_metrics(self, run_id: str) -> AbstractContextManager[None]:
        """Log the load of processor, memory and GPU while the context is open."""


class RunStorage(Protocol):
    """The runs of a tracker as things that take space. All methods raise TrackingError.

    A run is trashed before it is erased: until then it can be restored as it was.
    """

    def runs(self) -> list[StoredRun]:
        """All of Nightforge's runs, trashed ones too."""

    def size(self, run_id: str) -> int:
        """Bytes of a run's artifacts and models."""

    def trash(self, run_id: str) -> None:
        """Delete a run so that nobody finds it any more; may be repeated."""

    def restore(self, run_id: str) -> None:
        """Take a run out of the trash."""

    def erase(self, run_id: str) -> None:
        """Remove a trashed run for good: its models, its artifacts, then itself.

        May be repeated after a kill, until the run is gone. A run that is not trashed is refused.
        """


class ModelRegistry(Protocol):
    """Registered models, their versions and aliases."""

    def register(self, name: str, run_id: str, tags: Mapping[str, str]) -> ModelVersion:
        """Make the model of a run the next version of `name`."""

    def version_of_run(self, name: str, run_id: str) -> ModelVersion | None:
        """The version that a run's model already is, if any."""

    def by_alias(self, name: str, alias: str) -> ModelVersion | None:
        """The version an alias points to; None if the alias or the model does not exist."""

    def names(self) -> list[str]:
        """All registered models, in alphabetical order."""

    def versions(self, name: str) -> list[ModelVersion]:
        """All versions of a registered model, oldest first; none if it does not exist."""

    def set_alias(self, name: str, alias: str, version: int) -> None:
        """Point an alias at a version."""

    def remove_alias(self, name: str, alias: str) -> None:
        """Remove an alias that exists; its version stays."""

    def tag_version(self, name: str, version: int, tags: Mapping[str, str]) -> None:
        """Set tags of a version."""

    def describe_version(self, name: str, version: int, text: str) -> None:
        """Set the description of a version, in markdown."""

    def remove_version(self, name: str, version: int) -> None:
        """Remove a version that has no alias; its number is never given again, its run stays.

        Raises:
            TrackingError: If there is none, or an alias points to it.
        """

    def model_tags(self, name: str) -> Mapping[str, str]:
        """Tags of the registered model itself; empty if it does not exist."""

    def tag_model(self, name: str, tags: Mapping[str, str]) -> None:
        """Set tags of the registered model itself, which is created if need be."""

    def verify(self, version: ModelVersion) -> None:
        """Raise a TrackingError unless all files of a version are there and undamaged."""

    def load(self, version: ModelVersion) -> nn.Module:
        """Load a version, on the CPU, ready for inference."""

    def load_run(self, run_id: str) -> nn.Module:
        """Load the model of a run that may not be registered yet."""
