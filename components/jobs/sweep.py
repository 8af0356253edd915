"""A study over recipes while it runs, and what it leaves behind."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING
from uuid import uuid4

from components.errors import StudyError, TrackingError
from components.jobs.context import JobContext
from components.jobs.recipe import Recipe
from components.jobs.studies import IDENTITY, LOG, SweepConfig, define_study, study_folder
from components.jobs.study_record import StudyRecorder, StudySpec
from components.jobs.train import dataset_input, run_tags, training_fingerprint
from components.jobs.trials import TrialSetup, trial_folder, with_config
from components.tracking.base import (
    IMPORTANCE,
    INCUMBENT,
    PARALLEL_COORDINATES,
    STUDY_PAGE,
    TRIAL_CURVES,
    TRIAL_LOG,
    RunStatus,
    Tag,
    TrackedRun,
    Tracker,
)
from components.tuning.importance import importance
from components.tuning.log import TrialLog
from components.tuning.study import EPOCHS, Study
from components.tuning.trial import Trial
from components.tuning.tuner import Tuner
from components.versioning.versions import DatasetVersion

if TYPE_CHECKING:  # PyTorch takes its time, and not every run needs it
    from matplotlib.figure import Figure


class OpenStudy:
    """A study that can run now: its log is locked until the context is left.

    Args:
        context: Tracker and settings.
        data: What the trials train on.
        study: What is searched.
        recipe: What the trials have in common.

    Attributes:
        tuner: Hands out segments.
        setup: What workers must know.
        recorder: Shows the study in the tracker.

    Raises:
        StudyError: If another process runs it, or it was begun as something else.
        TrackingError: If the tracker cannot show it.
    """

    def __init__(
        self, context: JobContext, data: DatasetVersion, study: Study, recipe: Recipe
    ) -> None:
        self._context, self._data = context, data
        self._folder = study_folder(context.settings, study.name)
        self._log = TrialLog(self._folder / LOG, study.header() | {IDENTITY: uuid4().hex})
        try:
            self.tuner = Tuner(study, self._log)
            self.setup = TrialSetup(
                recipe=recipe, directory=Path(data.directory), folder=self._folder
            )
            spec = _spec(context, data, self.tuner.study, recipe, str(self._log.header[IDENTITY]))
            self.recorder = StudyRecorder(context.tracker, spec, self.tuner)
        except BaseException:
            self._log.close()
            raise
        self._removed: set[int] = set()

    def __enter__(self) -> OpenStudy:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if error is not None:
                status = RunStatus.FAILED if isinstance(error, Exception) else RunStatus.KILLED
                reason = " ".join(str(error).split()) or type(error).__name__
                with suppress(TrackingError):  # what failed is told, not that this failed as well
                    self.recorder.abandon(reason, status)
        finally:
            self._log.close()

    def changed(self, tuner: Tuner) -> None:
        """Show what is new, and remove the checkpoints that nobody needs any more."""
        self.recorder.changed(tuner)
        for trial in tuner.retired - self._removed:
            self._removed.add(trial)
            shutil.rmtree(trial_folder(self._folder, trial), ignore_errors=True)

    def close(self, *, skipped: bool, hand_over: bool = True) -> StudyOutcome:
        """Publish curves, pictures and the page; the outcome of the whole study.

        Args:
            skipped: Whether it had been over before.
            hand_over: Whether the best trial will be trained on: its checkpoint is copied.

        Raises:
            StudyError: If no trial has a result.
            TrackingError: If the tracker did not take everything.
        """
        self.tuner.retire()
        self.changed(self.tuner)
        trials, study = list(self.tuner.trials.values()), self.tuner.study
        best = self.tuner.best
        if best is None:
            raise _nothing(study, trials)

        def publish(tracker: Tracker, run_id: str) -> None:
            from components.tracking.study_figures import study_page

            for path, figure in _pictures(study, trials).items():
                tracker.log_figure(run_id, path, figure)
            tracker.log_text(run_id, STUDY_PAGE, study_page(study, trials))
            tracker.log_text(run_id, TRIAL_LOG, (self._folder / LOG).read_text(encoding="utf-8"))
            tracker.set_tags(run_id, {Tag.TRIAL: str(best.number)})

        known = self.recorder.before
        published = known is not None and known.status is RunStatus.FINISHED
        self.recorder.finish(None if skipped and published else publish, RunStatus.FINISHED)
        run = self._context.tracker.get(self.recorder.parent.run_id)
        reason = f"study {study.name} was over before" if skipped else None
        recipe = with_config(self.setup.recipe, best.config)
        if hand_over:
            self._hand_over(best, recipe)
        return StudyOutcome(run, study, tuple(trials), best, recipe, reason)

    def _hand_over(self, best: Trial, recipe: Recipe) -> None:
        """Put the trial's checkpoint where the training of its recipe looks for one."""
        print_ = training_fingerprint(self._data.version, recipe)
        target = self._context.settings.checkpoints / print_
        source = trial_folder(self._folder, best.number)
        if _epochs_in(source) <= _epochs_in(target):
            return
        temporary = target.with_name(f"{target.name}.{uuid4().hex}.tmp")
        shutil.copytree(source, temporary, ignore=shutil.ignore_patterns("lock", "*.tmp"))
        shutil.rmtree(target, ignore_errors=True)
        os.replace(temporary, target)


def _epochs_in(folder: Path) -> int:
    import torch

    from components.training.checkpoint import LAST, load_checkpoint

    state = load_checkpoint(folder / LAST, torch.device("cpu"))
    return len(state["history"]) if state else 0


@dataclass(frozen=True)
class StudyOutcome:
    """A study that is over, as far as its limits let it go.

    Attributes:
        run: The study's run in the tracker.
        best: The trial with the best epoch.
        recipe: Of the best trial; training it goes on from the trial's checkpoint.
    """

    run: TrackedRun
    study: Study
    trials: tuple[Trial, ...]
    best: Trial
    recipe: Recipe
    skipped: str | None = None


def _spec(
    context: JobContext, data: DatasetVersion, study: Study, recipe: Recipe, id_: str
) -> StudySpec:
    """What the tracker shows; the fingerprint is that of this study alone."""
    return StudySpec(
        study=study,
        fingerprint=id_,
        params={"dataset": data.name, **recipe.params()},
        tags=run_tags(context, data, recipe),
        dataset=dataset_input(data),
    )


def _pictures(study: Study, trials: Sequence[Trial]) -> dict[str, Figure]:
    from components.tracking import study_figures  # plotly takes its time; a night needs none

    pictures = {
        TRIAL_CURVES: study_figures.trial_curves(study, trials),
        INCUMBENT: study_figures.incumbent(study, trials),
        PARALLEL_COORDINATES: study_figures.parallel_coordinates(study, trials),
    }
    shares = importance(study, trials)
    if shares:
        pictures[IMPORTANCE] = study_figures.importance_bars(shares)
    return pictures


def _nothing(study: Study, trials: Sequence[Trial]) -> StudyError:
    reasons = sorted({str(trial.reason) for trial in trials})
    return StudyError(
        f"study {study.name}",
        got=f"no result from {len(trials)} trials ({'; '.join(reasons)[:300]})",
        wanted="at least one trial with a result",
        remedy="Correct the search space or the base, and give the study another name.",
    )


def open_study(
    context: JobContext, name: str, data: DatasetVersion, recipe: Recipe, sweep: SweepConfig
) -> OpenStudy:
    """Begin a study, or take it up where it stopped.

    Raises:
        ConfigError: As `define_study`.
        StudyError: As `OpenStudy`.
    """
    whole = with_config(recipe, {EPOCHS: sweep.resources.max_resource})
    study = define_study(context.settings, name, data, whole, sweep)
    return OpenStudy(context, data, study, whole)
