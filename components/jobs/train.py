"""Train a model once for each fingerprint, resume it after a kill, record everything."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from uuid import uuid4

from components.errors import SupersededError
from components.fencing import Fence
from components.fingerprint import fingerprint
from components.jobs.attempts import only_attempt
from components.jobs.beside import Beside
from components.jobs.context import JobContext, shape_tag
from components.jobs.recipe import Recipe
from components.models import MODELS
from components.tracking.base import (
    PACKAGE,
    SAMPLES,
    DatasetInput,
    RunSpec,
    RunStatus,
    Tag,
    TrackedRun,
    Tracker,
)
from components.training.reporting import Epoch, Reporter, UInt8Images
from components.versioning.versions import DatasetVersion

if TYPE_CHECKING:  # PyTorch takes its time, and not every run needs it
    from components.jobs.learners import Learned

SAFETENSORS = "model.safetensors"  # in a folder that a text encoder starts from


@dataclass(frozen=True)
class TrainOutcome:
    """A finished run; `skipped` says why nothing had to be trained."""

    run: TrackedRun
    fingerprint: str
    skipped: str | None


def training_fingerprint(dataset_version: str, recipe: Recipe, force_token: str = "") -> str:
    """The identity of a training run; `force_token` makes a forced repetition its own run."""
    modules = [
        MODELS.module(recipe.model),
        "components.models.deployable",
        "components.training.gan" if recipe.kind.gan else "components.training.fit",
        "components.datasets.base",
    ]
    if recipe.kind.gan:
        modules.append("components.evaluation.kernel_distance")
    if recipe.kind.task:
        modules += ["components.text.deployable", "components.text.package"]
    options = recipe.network.of(recipe.model)
    start = Path(str(options.get("source", ""))) / SAFETENSORS
    return fingerprint(
        dataset_version=dataset_version,
        config=recipe.config,
        modules=modules,
        model=recipe.model,
        network=json.dumps(options, sort_keys=True),
        weights=_digest(str(options.get("weights", ""))) + _digest(str(start)),
        force=force_token,
    )


def _digest(weights: str) -> str:
    """The sum of a file of weights: another file under the same name is another start."""
    path = Path(weights).expanduser()
    if not weights or not path.is_file():
        return ""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def train(
    context: JobContext,
    data: DatasetVersion,
    recipe: Recipe,
    progress: Reporter,
    *,
    force: bool = False,
    slot: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> TrainOutcome:
    """Train a model on `data`, unless a finished run with the same fingerprint exists.

    Args:
        context: Tracker and settings.
        data: A prepared dataset.
        recipe: The model and all tunable numbers, the seed among them.
        progress: Told of each epoch, besides the tracker.
        force: Train even if nothing changed.
        slot: Held while there is something to train.

    Raises:
        SupersededError: If the flow run was started again meanwhile, and trains elsewhere.
        ConfigError: If the model cannot learn from such data.
        TrainingError: If training cannot go on; the run is closed as FAILED.
    """
    token = _force_token(context) if force else ""
    print_ = training_fingerprint(data.version, recipe, token)
    folder = context.settings.checkpoints / print_
    with only_attempt(folder, context.flow_run) as fence:
        found = context.tracker.find(data.name, print_)
        if found and found.status is RunStatus.FINISHED:
            reason = f"fingerprint {print_[:8]} was trained before"
            return TrainOutcome(found, print_, reason)
        from components.jobs.learners import learn

        with slot():
            run = _open_run(context, data, recipe, print_, found)
            with closed_if_it_fails(context.tracker, run):
                with context.tracker.system_metrics(run.run_id), Beside() as beside:
                    reporter = _TrackingReporter(
                        context.tracker, run.run_id, progress, fence, beside
                    )
                    learned = learn(recipe, Path(data.directory), folder, reporter)
                fence.check()
                _record(context.tracker, run.run_id, learned)
    shutil.rmtree(folder, ignore_errors=True)
    return TrainOutcome(context.tracker.get(run.run_id), print_, None)


@contextmanager
def closed_if_it_fails(tracker: Tracker, run: TrackedRun) -> Iterator[None]:
    """Whatever ends the work ends its run, too, with the reason."""
    try:
        yield
    except SupersededError:
        raise  # the run belongs to the newer attempt
    except BaseException as error:
        failed = isinstance(error, Exception)
        reason = " ".join(str(error).split()) or type(error).__name__
        tracker.set_tags(run.run_id, {Tag.CLOSED: reason[:500]})
        tracker.finish(run.run_id, RunStatus.FAILED if failed else RunStatus.KILLED)
        raise


def _force_token(context: JobContext) -> str:
    """What makes a forced run its own: one for each flow run, whose retries resume it."""
    return context.flow_run.id if context.flow_run else uuid4().hex


def _open_run(
    context: JobContext,
    data: DatasetVersion,
    recipe: Recipe,
    print_: str,
    unfinished: TrackedRun | None,
) -> TrackedRun:
    spec = RunSpec(
        experiment=data.name,
        name=f"{recipe.model}-{print_[:8]}",
        fingerprint=print_,
        params={"dataset": data.name, **recipe.params()},
        tags=run_tags(context, data, recipe),
        dataset=dataset_input(data),
    )
    if unfinished:
        return context.tracker.resume(unfinished.run_id, spec)
    return context.tracker.start(spec)


def run_tags(context: JobContext, data: DatasetVersion, recipe: Recipe) -> dict[str, str]:
    """What a run of this recipe on these data is tagged with."""
    from components.training.precision import describe_device, pick_device

    return {
        **context.tags(),
        Tag.DATASET: data.name,
        Tag.DATASET_VERSION: data.version,
        Tag.SOURCE: data.source,
        Tag.SAMPLE: str(data.sample).lower(),
        Tag.MODEL: recipe.model,
        Tag.KIND: recipe.kind,
        Tag.SEED: str(recipe.config.seed),
        Tag.DEVICE: describe_device(pick_device()),
    }


def dataset_input(data: DatasetVersion) -> DatasetInput:
    """The dataset as the tracker shows it."""
    counts = {str(split): count for split, count in data.counts.items()}
    return DatasetInput(data.name, data.version, data.source, counts)


class _TrackingReporter:
    """Sends each epoch once to the tracker, also when a resumed run tells of it again.

    Servers are told while the next epoch trains; what a kill loses is told when the run resumes.
    """

    def __init__(
        self, tracker: Tracker, run_id: str, progress: Reporter, fence: Fence, beside: Beside
    ) -> None:
        self._tracker, self._run_id, self._progress = tracker, run_id, progress
        self._fence, self._beside = fence, beside
        self._logged = tracker.last_step(run_id, "seconds")

    def on_epoch(self, metrics: Epoch, epochs: int) -> None:
        self._fence.check()
        if metrics.epoch > self._logged:
            self._beside.call(
                self._tracker.log_metrics, self._run_id, metrics.metrics(), metrics.epoch
            )
            self._logged = metrics.epoch
        self._progress.on_epoch(metrics, epochs)

    def on_samples(self, epoch: int, samples: UInt8Images) -> None:
        self._fence.check()
        from components.tracking import figures

        picture = figures.grid(samples)
        self._beside.call(self._tracker.log_image, self._run_id, SAMPLES, picture, epoch)
        self._progress.on_samples(epoch, samples)


def _record(tracker: Tracker, run_id: str, learned: Learned) -> None:
    tracker.log_metrics(run_id, learned.summary, step=int(learned.summary["epochs"]))
    for path, figure in learned.pictures.items():
        tracker.log_figure(run_id, path, figure)
    tracker.set_tags(run_id, shape_tag(learned.example.shape[1:]))
    if learned.package:
        with TemporaryDirectory() as folder:
            learned.package(Path(folder))
            tracker.log_folder(run_id, PACKAGE, Path(folder))
    tracker.log_model(run_id, learned.model, learned.example)
    tracker.finish(run_id, RunStatus.FINISHED)
