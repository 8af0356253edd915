from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from components.datasets.prepared import CARD
from components.errors import (
    ConfigError,
    CorruptDataError,
    NonFiniteLossError,
    TrackingError,
    UnknownKeyError,
)
from components.jobs.context import FlowRunRef, JobContext, git_commit, registered_model
from components.jobs.evaluate import evaluate
from components.jobs.gate import gate, register
from components.jobs.promote import promote
from components.jobs.recipe import Recipe
from components.jobs.train import TrainOutcome, train
from components.models.spec import ModelKind
from components.settings import PROJECT_ROOT, Settings
from components.tracking.base import CHAMPION, RunStatus, Tag
from components.tracking.memory import MemoryRegistry, MemoryTracker
from components.training.config import TrainConfig
from components.training.reporting import Epoch, Reporter, SilentReporter
from components.versioning.versions import DatasetVersion

CONFIG = TrainConfig(epochs=3, batch_size=512, lr=0.1)
SHORT = CONFIG.model_copy(update={"epochs": 1})
PARAMS = "promotion: {default: {floor: 0.1, latency_budget_ms: 1000, calibration_ceiling: 1}}\n"


class RecordingTracker(MemoryTracker):
    """Remembers every (run, step) at which a validation loss was logged."""

    def __init__(self) -> None:
        super().__init__()
        self.logged: list[tuple[str, int]] = []

    def log_metrics(self, run_id: str, metrics: Mapping[str, float], step: int) -> None:
        if "validation_loss" in metrics:
            self.logged.append((run_id, step))
        super().log_metrics(run_id, metrics, step)


class Breaking(SilentReporter):
    """Progress that raises after an epoch."""

    def __init__(self, epoch: int, error: BaseException) -> None:
        self.epoch, self.error = epoch, error

    def on_epoch(self, metrics: Epoch, epochs: int) -> None:
        if metrics.epoch == self.epoch:
            raise self.error


@pytest.fixture
def context(tmp_path: Path) -> JobContext:
    (tmp_path / "params.yaml").write_text(PARAMS, encoding="utf-8")
    settings = Settings(home=tmp_path / "home", params_file=tmp_path / "params.yaml")
    tracker = RecordingTracker()
    return JobContext(settings, tracker, MemoryRegistry(tracker))


@pytest.fixture
def data(sample_version: DatasetVersion) -> DatasetVersion:
    return sample_version


def run(
    context: JobContext,
    data: DatasetVersion,
    config: TrainConfig = SHORT,
    progress: Reporter | None = None,
    *,
    model: str = "lenet",
    force: bool = False,
) -> TrainOutcome:
    recipe = Recipe(model=model, training=config)
    return train(context, data, recipe, progress or SilentReporter(), force=force)


def weights(context: JobContext, outcome: TrainOutcome) -> dict[str, torch.Tensor]:
    return context.tracker.models[outcome.run.run_id].state_dict()


def test_a_run_records_what_it_did(context: JobContext, data: DatasetVersion) -> None:
    outcome = run(context, data)
    recorded = outcome.run
    assert recorded.status is RunStatus.FINISHED
    assert outcome.skipped is None
    assert recorded.tags[Tag.FINGERPRINT] == outcome.fingerprint
    assert recorded.tags[Tag.DATASET] == data.name
    assert recorded.tags[Tag.DATASET_VERSION] == data.version
    assert recorded.tags[Tag.SOURCE] == "bundled sample"
    assert recorded.tags[Tag.SAMPLE] == "true"
    assert recorded.tags[Tag.MODEL] == "lenet"
    assert recorded.tags[Tag.SEED] == "0"
    assert recorded.tags[Tag.DEVICE].startswith(("cpu", "cuda"))
    assert recorded.tags[Tag.GIT_COMMIT]
    assert recorded.metrics["epochs"] == recorded.metrics["best_epoch"] == 1
    assert recorded.metrics["best_validation_accuracy"] == recorded.metrics["validation_accuracy"]
    assert (recorded.run_id, "learning_curves.png") in context.tracker.artifacts


def test_the_logged_model_takes_unit_pictures_and_is_in_evaluation_mode(context, data) -> None:
    model = context.tracker.models[run(context, data, model="lenet_modern").run.run_id]
    images = torch.rand(3, 1, 28, 28)
    assert not model.training
    assert torch.equal(model(images), model(images))
    labels = np.load(data.directory / "test_labels.npy")
    pictures = torch.from_numpy(np.load(data.directory / "test_images.npy")).float() / 255
    with torch.no_grad():
        accuracy = (model(pictures).argmax(1).numpy() == labels).mean()
    assert accuracy > 0.5


def test_the_same_fingerprint_is_trained_once(context: JobContext, data: DatasetVersion) -> None:
    first = run(context, data)
    second = run(context, data, progress=Breaking(1, AssertionError("trained again")))
    assert second.run.run_id == first.run.run_id
    assert second.fingerprint == first.fingerprint
    assert "trained before" in second.skipped


@pytest.mark.slow
def test_another_version_seed_or_model_is_another_run(context, data) -> None:
    outcomes = [
        run(context, data),
        run(context, data, SHORT.model_copy(update={"seed": 1})),
        run(context, replace(data, version="6" * 32)),
    ]
    assert len({outcome.run.run_id for outcome in outcomes}) == 3
    assert not any(outcome.skipped for outcome in outcomes)


@pytest.mark.slow
def test_force_trains_although_nothing_changed(context, data) -> None:
    first = run(context, data)
    second = run(context, data, force=True)
    third = run(context, data, force=True)
    assert not any(outcome.skipped for outcome in (first, second, third))
    assert len({outcome.run.run_id for outcome in (first, second, third)}) == 3


def test_a_forced_run_that_is_retried_within_its_flow_run_is_resumed(context, data) -> None:
    context = replace(context, flow_run=FlowRunRef("flow 1", "http://prefect/1"))
    with pytest.raises(RuntimeError):
        run(context, data, progress=Breaking(1, RuntimeError("gone")), force=True)
    assert len(context.tracker.running()) == 0
    outcome = run(context, data, force=True)
    assert context.tracker.logged == [(outcome.run.run_id, 1)]
    assert outcome.run.tags[Tag.FLOW_RUN] == "flow 1"
    assert outcome.run.tags[Tag.FLOW_RUN_URL] == "http://prefect/1"


@pytest.mark.slow
@pytest.mark.parametrize("stop", [1, 2, 3])
@pytest.mark.parametrize(
    ("error", "status"),
    [(RuntimeError("disk\non fire"), RunStatus.FAILED), (KeyboardInterrupt(), RunStatus.KILLED)],
)
def test_an_interrupted_run_is_closed_and_resumed_as_the_same_run(
    context, data, tmp_path: Path, stop: int, error: BaseException, status: RunStatus
) -> None:
    with pytest.raises(type(error)):
        run(context, data, CONFIG, Breaking(stop, error))
    (closed,) = {run_id for run_id, _ in context.tracker.logged}
    assert context.tracker.get(closed).status is status
    assert context.tracker.get(closed).tags[Tag.CLOSED] in {"disk on fire", "KeyboardInterrupt"}
    resumed = run(context, data, CONFIG)
    assert resumed.run.run_id == closed
    assert resumed.run.status is RunStatus.FINISHED
    assert context.tracker.logged == [(closed, 1), (closed, 2), (closed, 3)]


@pytest.mark.slow
def test_a_resumed_run_has_the_weights_of_an_uninterrupted_one(context, data, tmp_path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(context, data, CONFIG, Breaking(2, KeyboardInterrupt()))
    resumed = weights(context, run(context, data, CONFIG))
    tracker = RecordingTracker()
    settings = Settings(home=tmp_path / "other", params_file=tmp_path / "params.yaml")
    fresh = JobContext(settings, tracker, MemoryRegistry(tracker))
    whole = weights(fresh, run(fresh, data, CONFIG))
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_a_run_left_running_by_a_dead_process_goes_on(context, data) -> None:
    """After a SIGKILL nobody closed the run, and it may have come before all was recorded."""
    with pytest.raises(KeyboardInterrupt):
        run(context, data, CONFIG, Breaking(1, KeyboardInterrupt()))
    (left,) = {run_id for run_id, _ in context.tracker.logged}
    context.tracker._change(left, status=RunStatus.RUNNING, params={}, datasets=())
    resumed = run(context, data, CONFIG).run
    assert resumed.run_id == left
    assert resumed.params["training.epochs"] == "3"
    assert resumed.datasets == (data.version,)
    assert context.tracker.logged == [(left, 1), (left, 2), (left, 3)]


def test_the_tracker_is_told_of_an_epoch_while_the_next_one_trains(
    context, data, monkeypatch: pytest.MonkeyPatch
) -> None:
    second, log = threading.Event(), RecordingTracker.log_metrics

    def slow(self: RecordingTracker, run_id: str, metrics: Mapping[str, float], step: int) -> None:
        assert step != 1 or second.wait(60)
        log(self, run_id, metrics, step)

    class Watching(SilentReporter):
        def on_epoch(self, metrics: Epoch, epochs: int) -> None:
            if metrics.epoch == 2:
                second.set()

    monkeypatch.setattr(RecordingTracker, "log_metrics", slow)
    run(context, data, CONFIG, Watching())
    assert [step for _, step in context.tracker.logged] == [1, 2, 3]


def test_a_tracker_that_fails_beside_the_last_epoch_fails_the_run(
    context, data, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise TrackingError("tracking server", got="no answer", wanted="one", remedy="Start it.")

    monkeypatch.setattr(RecordingTracker, "log_metrics", away)
    with pytest.raises(TrackingError, match="no answer"):
        run(context, data, SHORT)
    monkeypatch.undo()
    (failed,) = context.tracker._runs.values()
    assert failed.status is RunStatus.FAILED
    assert run(context, data, SHORT).run.run_id == failed.run_id


def test_a_kill_between_checkpoint_and_metrics_loses_no_epoch(context, data, monkeypatch) -> None:
    def killed(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(RecordingTracker, "log_metrics", killed)
    with pytest.raises(KeyboardInterrupt):
        run(context, data, CONFIG)
    monkeypatch.undo()
    outcome = run(context, data, CONFIG)
    assert [step for _, step in context.tracker.logged] == [1, 2, 3]
    assert outcome.run.metrics["epochs"] == 3


def test_checkpoints_are_kept_until_the_run_is_finished(context, data) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(context, data, CONFIG, Breaking(1, KeyboardInterrupt()))
    folder = next(path for path in context.settings.checkpoints.iterdir() if path.is_dir())
    assert {path.name for path in folder.iterdir()} == {"last.pt", "best.pt"}
    run(context, data, CONFIG)
    assert not folder.exists()


def test_a_loss_that_is_not_finite_closes_the_run_as_failed_with_the_reason(
    context, data, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(data.directory, tmp_path / "tiny deviation"))
    card = json.loads((folder / CARD).read_text("utf-8"))
    (folder / CARD).write_text(json.dumps(card | {"std": [1e-300]}), encoding="utf-8")
    with pytest.raises(NonFiniteLossError):
        run(context, replace(data, directory=folder))
    (closed,) = context.tracker._runs.values()
    assert closed.status is RunStatus.FAILED
    assert "loss of epoch 1" in closed.tags[Tag.CLOSED]


def test_data_that_do_not_load_fail_the_run_before_any_epoch(context, data, tmp_path) -> None:
    with pytest.raises(CorruptDataError):
        run(context, replace(data, directory=tmp_path / "none"))
    assert context.tracker.running() == []
    assert context.tracker.logged == []


def test_an_unknown_model_is_named_before_a_run_is_opened(context, data) -> None:
    with pytest.raises(UnknownKeyError, match="Did you mean 'lenet'"):
        run(context, data, model="lenett")
    assert context.tracker._runs == {}


def test_a_trained_model_goes_all_the_way_to_champion(context, data) -> None:
    trained = run(context, data, model="lenet_modern")
    evaluation = evaluate(context, trained.run, data)
    version = register(context, trained.run, data).version
    gated = gate(context, version, evaluation, data)
    assert gated.decision.promoted, gated.decision.reasons
    promote(context, gated.version, data.version)
    champion = context.registry.by_alias(
        registered_model(data.name, ModelKind.CLASSIFIER), CHAMPION
    )
    assert champion.run_id == trained.run.run_id
    assert evaluation.run.metrics["test_accuracy"] > 0.5


# The context


def test_a_context_without_a_server_says_what_to_do() -> None:
    with pytest.raises(ConfigError, match="nightforge up"):
        JobContext.connect(Settings())


def test_the_commit_is_that_of_the_checkout(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    assert git_commit().removesuffix("-dirty").isalnum()
    monkeypatch.setattr("components.jobs.context.PROJECT_ROOT", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert git_commit() == "unknown"


def test_the_projects_policies_can_be_read() -> None:
    context = JobContext(Settings(), MemoryTracker(), MemoryRegistry(MemoryTracker()))
    assert context.settings.params_file == PROJECT_ROOT / "params.yaml"
    sample = context.policy(registered_model("fashion_mnist_sample", ModelKind.CLASSIFIER))
    assert sample.floor < context.policy("another").floor
