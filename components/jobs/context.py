"""What every job needs: settings, tracker, registry, data, and who is asking."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from components.datasets.base import DataKind
from components.errors import ConfigError, TrackingError
from components.fencing import Fence
from components.models.spec import ModelKind
from components.params import check, load_params
from components.promotion.policy import PromotionParams, PromotionPolicy
from components.settings import PROJECT_ROOT, Settings
from components.tracking.base import ModelRegistry, Tag, TrackedRun, Tracker
from components.versioning.dvc import DvcWorkspace

COMMIT_FILE = PROJECT_ROOT / "COMMIT"


@dataclass(frozen=True)
class FlowRunRef:
    """The orchestrator's run that a job belongs to.

    Attributes:
        attempt: How often it was begun, this time included.
    """

    id: str
    url: str
    attempt: int = 1


@dataclass(frozen=True)
class JobContext:
    """The services a job works with.

    Attributes:
        turn: The right to move aliases, where several processes could.
    """

    settings: Settings
    tracker: Tracker
    registry: ModelRegistry
    flow_run: FlowRunRef | None = None
    turn: Fence | None = None

    @classmethod
    def connect(cls, settings: Settings, flow_run: FlowRunRef | None = None) -> JobContext:
        """A context over the MLflow server that the settings name.

        Raises:
            ConfigError: If they name none.
        """
        from components.tracking.mlflow import MlflowTracker
        from components.tracking.mlflow_registry import MlflowRegistry

        uri, ui = settings.mlflow_uri, settings.mlflow_ui
        if not uri:
            raise ConfigError(
                "MLflow server",
                got="no address",
                wanted="the one that the embedded servers give to a job",
                remedy="Start the servers with `nightforge up` and the job with `nightforge run`.",
            )
        return cls(settings, MlflowTracker(uri, ui), MlflowRegistry(uri, ui), flow_run)

    def check_turn(self) -> None:
        """Call before an alias is moved.

        Raises:
            SupersededError: If somebody else's turn has come since.
        """
        if self.turn:
            self.turn.check()

    @cached_property
    def workspace(self) -> DvcWorkspace:
        """The DVC workspace of this state directory."""
        return DvcWorkspace(self.settings)

    def policy(self, registered_model: str) -> PromotionPolicy:
        """The gate's policy for a registered model, from params.yaml."""
        section = load_params(self.settings.params_file).get("promotion") or {}
        params = check(PromotionParams, section, "params.yaml: promotion")
        return params.policy_for(registered_model)

    def tags(self) -> dict[str, str]:
        """Tags that say which code and which flow run stand behind a record."""
        tags = {str(Tag.GIT_COMMIT): git_commit()}
        if self.flow_run:
            tags |= {Tag.FLOW_RUN: self.flow_run.id, Tag.FLOW_RUN_URL: self.flow_run.url}
        return tags


def registered_model(dataset: str, kind: ModelKind) -> str:
    """The registered model whose versions compete on a dataset."""
    return f"{dataset}-{kind.role}"


def registered_models(dataset: str, data: DataKind) -> list[str]:
    """Every registered model that there may be for a dataset of such data."""
    kinds = [kind for kind in ModelKind if kind.data == data]
    return sorted({registered_model(dataset, kind) for kind in kinds})


def kind_of(run: TrackedRun) -> ModelKind:
    """What a run's model learned.

    Raises:
        TrackingError: If the run does not say.
    """
    if Tag.KIND not in run.tags:
        raise TrackingError(
            f"tag {Tag.KIND} of run {run.name}",
            got="nothing",
            wanted="the kind of its model",
            remedy="Train it again with --set force=true.",
        )
    return ModelKind(run.tags[Tag.KIND])


def input_shape(tags: Mapping[str, str], label: str) -> tuple[int, ...]:
    """Shape of one input of a model, from the tags of its run or version.

    Raises:
        TrackingError: If they do not state it.
    """
    text = tags.get(Tag.INPUT_SHAPE)
    if not text:
        raise TrackingError(
            f"tag {Tag.INPUT_SHAPE} of {label}",
            got="nothing",
            wanted="the shape of an input, noted when the model was trained",
            remedy="Train it again with --set force=true.",
        )
    return tuple(int(size) for size in text.split(","))


def shape_tag(shape: Iterable[int]) -> dict[str, str]:
    """The tag from which `input_shape` reads the shape of one input."""
    return {str(Tag.INPUT_SHAPE): ",".join(str(size) for size in shape)}


def git_commit() -> str:
    """The checked-out commit, with "-dirty" if the tree differs; "unknown" outside git.

    An image of containers holds no git: its build writes the commit into a file.
    """
    if COMMIT_FILE.exists():
        return COMMIT_FILE.read_text("utf-8").strip()
    try:
        return subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            cwd=PROJECT_ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
