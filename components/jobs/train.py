"""Train a classifier once for each fingerprint, resume it after a kill, record everything."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import numpy as np
import torch

from components.datasets.base import Split
from components.datasets.prepared import PreparedDataset, load_prepared
from components.datasets.stream import open_split
from components.errors import CorruptDataError
from components.fingerprint import fingerprint
from components.jobs.context import JobContext
from components.models import MODELS
from components.models.deployable import Deployable
from components.tracking import figures
from components.tracking.base import (
    LEARNING_CURVES,
    DatasetInput,
    RunSpec,
    RunStatus,
    Tag,
    TrackedRun,
    Tracker,
)
from components.training.classifier import TrainConfig, TrainResult, train_classifier
from components.training.precision import describe_device, pick_device
from components.training.reporting import EpochMetrics, Reporter
from components.versioning.versions import DatasetVersion

EXAMPLE_IMAGES = 8


@dataclass(frozen=True)
class TrainOutcome:
    """A finished run; `skipped` says why nothing had to be trained."""

    run: TrackedRun
    fingerprint: str
    skipped: str | None


def training_fingerprint(
    dataset_version: str, model: str, config: TrainConfig, force_token: str = ""
) -> str:
    """The identity of a training run; `force_token` makes a forced repetition its own run."""
    modules = [
        MODELS.module(model),
        "components.models.deployable",
        "components.training.classifier",
        "components.datasets.base",
    ]
    return fingerprint(
        dataset_version=dataset_version,
        config=config,
        modules=modules,
        model=model,
        force=force_token,
    )


def train(
    context: JobContext,
    data: DatasetVersion,
    model: str,
    config: TrainConfig,
    progress: Reporter,
    *,
    force: bool = False,
) -> TrainOutcome:
    """Train `model` on `data`, unless a finished run with the same fingerprint exists.

    Args:
        context: Tracker and settings.
        data: A prepared dataset.
        model: Key in the catalog of models.
        config: All tunable numbers, the seed among them.
        progress: Told of each epoch, besides the tracker.
        force: Train even if nothing changed.

    Raises:
        TrainingError: If training cannot go on; the run is closed as FAILED.
    """
    token = _force_token(context) if force else ""
    print_ = training_fingerprint(data.version, model, config, token)
    folder = context.settings.checkpoints / print_
    with _one_at_a_time(folder):
        found = context.tracker.find(data.name, print_)
        if found and found.status is RunStatus.FINISHED:
            reason = f"fingerprint {print_[:8]} was trained before"
            return TrainOutcome(found, print_, reason)
        run = _open_run(context, data, model, config, print_, found)
        try:
            with context.tracker.system_metrics(run.run_id):
                _train_run(context, data, model, config, run, folder, progress)
        except BaseException as error:
            failed = isinstance(error, Exception)
            reason = " ".join(str(error).split()) or type(error).__name__
            context.tracker.set_tags(run.run_id, {Tag.CLOSED: reason[:500]})
            context.tracker.finish(run.run_id, RunStatus.FAILED if failed else RunStatus.KILLED)
            raise
    shutil.rmtree(folder, ignore_errors=True)
    return TrainOutcome(context.tracker.get(run.run_id), print_, None)


def _force_token(context: JobContext) -> str:
    """What makes a forced run its own: one for each flow run, whose retries resume it."""
    return context.flow_run.id if context.flow_run else uuid4().hex


@contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    """Two flow runs with the same fingerprint: the second waits and finds the run finished."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _open_run(
    context: JobContext,
    data: DatasetVersion,
    model: str,
    config: TrainConfig,
    print_: str,
    unfinished: TrackedRun | None,
) -> TrackedRun:
    tags = {
        **context.tags(),
        Tag.DATASET: data.name,
        Tag.DATASET_VERSION: data.version,
        Tag.SOURCE: data.source,
        Tag.SAMPLE: str(data.sample).lower(),
        Tag.MODEL: model,
        Tag.SEED: str(config.seed),
        Tag.DEVICE: describe_device(pick_device()),
    }
    counts = {str(split): count for split, count in data.counts.items()}
    spec = RunSpec(
        experiment=data.name,
        name=f"{model}-{print_[:8]}",
        fingerprint=print_,
        params={"model": model, "dataset": data.name, "training": config.model_dump(mode="json")},
        tags=tags,
        dataset=DatasetInput(data.name, data.version, data.source, counts),
    )
    if unfinished:
        return context.tracker.resume(unfinished.run_id, spec)
    return context.tracker.start(spec)


class _TrackingReporter:
    """Sends each epoch once to the tracker, also when a resumed run tells of it again."""

    def __init__(self, tracker: Tracker, run_id: str, progress: Reporter) -> None:
        self._tracker, self._run_id, self._progress = tracker, run_id, progress
        self._logged = tracker.last_step(run_id, "validation_loss")

    def on_epoch(self, metrics: EpochMetrics, epochs: int) -> None:
        if metrics.epoch > self._logged:
            self._tracker.log_metrics(self._run_id, metrics.metrics(), metrics.epoch)
        self._progress.on_epoch(metrics, epochs)


def _train_run(
    context: JobContext,
    data: DatasetVersion,
    model: str,
    config: TrainConfig,
    run: TrackedRun,
    folder: Path,
    progress: Reporter,
) -> None:
    prepared, device = load_prepared(data.directory), pick_device()
    card, resident = prepared.card, int(config.resident_gib * 2**30)
    _refuse_small(prepared, config.batch_size)
    torch.manual_seed(config.seed)
    net = MODELS.get(model)(card.image_shape, len(card.class_names)).to(device)
    train_split, validation = (
        open_split(prepared.splits[split], card.mean, card.std, device, resident)
        for split in (Split.TRAIN, Split.VALIDATION)
    )
    reporter = _TrackingReporter(context.tracker, run.run_id, progress)
    result = train_classifier(net, train_split, validation, config, folder, reporter)
    _record(context.tracker, run.run_id, prepared, net, result)


def _refuse_small(prepared: PreparedDataset, batch_size: int) -> None:
    count = prepared.count(Split.TRAIN)
    if count < batch_size:
        raise CorruptDataError(
            f"dataset {prepared.card.name}",
            got=f"{count} training images",
            wanted=f"at least one batch of {batch_size}",
            remedy="Add images, or lower training.batch_size.",
        )


def _record(
    tracker: Tracker,
    run_id: str,
    prepared: PreparedDataset,
    net: torch.nn.Module,
    result: TrainResult,
) -> None:
    best = result.history[result.best_epoch - 1]
    summary = {
        "best_epoch": result.best_epoch,
        "best_validation_accuracy": best.validation_accuracy,
        "epochs": len(result.history),
        "training_seconds": sum(metrics.seconds for metrics in result.history),
    }
    tracker.log_metrics(run_id, summary, step=len(result.history))
    tracker.log_figure(run_id, LEARNING_CURVES, figures.learning_curves(result.history))
    pictures = prepared.splits[Split.VALIDATION].images[:EXAMPLE_IMAGES]
    example = (pictures / 255).astype(np.float32)
    deployable = Deployable(net.cpu(), prepared.card.mean, prepared.card.std).eval()
    tracker.log_model(run_id, deployable, example)
    tracker.finish(run_id, RunStatus.FINISHED)
