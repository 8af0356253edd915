"""Prefect tasks: retry policy, progress and logging around the jobs."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

import httpx
from prefect import get_run_logger, task
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.client.schemas.objects import State, TaskRun
from prefect.runtime import flow_run
from prefect.tasks import Task

from components.errors import TrackingError
from components.fencing import Fence
from components.jobs import candidates as candidates_job
from components.jobs import compare as compare_job
from components.jobs import data as data_job
from components.jobs import evaluate as evaluate_job
from components.jobs import gate as gate_job
from components.jobs import lineage as lineage_job
from components.jobs import promote as promote_job
from components.jobs import recovery as recovery_job
from components.jobs import rollback as rollback_job
from components.jobs import suites as suites_job
from components.jobs import train as train_job
from components.jobs.beside import Beside
from components.jobs.compare import ComparisonOutcome
from components.jobs.context import FlowRunRef, JobContext
from components.jobs.data import DataOutcome, DataOutcomes
from components.jobs.evaluate import EvaluationOutcome
from components.jobs.gate import GateOutcome, RegisterOutcome
from components.jobs.lineage import ModelHistory
from components.jobs.promote import PromoteOutcome
from components.jobs.recipe import Recipe
from components.jobs.references import Reference, find
from components.jobs.rollback import RollbackOutcome
from components.jobs.suite_entries import SuiteEntry
from components.jobs.suites import SuiteOutcome
from components.jobs.train import TrainOutcome
from components.jobs.trial_processes import keep_working
from components.settings import Settings
from components.tracking.base import ModelVersion, TrackedRun
from components.training.reporting import Epoch, UInt8Images
from components.tuning.coordinator import Address
from components.tuning.space import short
from components.tuning.trial import TrialStatus
from components.tuning.tuner import Tuner
from components.versioning.versions import DatasetVersion
from flows.limits import on_gpus, one_promotion_at_a_time, own_slot, training_slot
from flows.reconciler import reconcile_now

if TYPE_CHECKING:  # PyTorch takes its time, and not every run needs it
    from components.jobs.self_check import SelfCheck

SWEEP_SECONDS = 20  # between two lines about a sweep in which nothing else happens


@cache
def settings() -> Settings:
    """This process's settings; a flow run is its own process, so they are read once."""
    return Settings.from_environment(os.environ)


def context(turn: Fence | None = None) -> JobContext:
    """The job context of the running flow; `turn` is its right to move aliases."""
    ref = FlowRunRef(str(flow_run.id), str(flow_run.ui_url), int(flow_run.run_count))
    return replace(JobContext.connect(settings(), ref), turn=turn)


def passing_trouble(task: Task[..., object], run: TaskRun, state: State) -> bool:
    """Retry what can pass (an unreachable server), not what cannot (bad data, bad config)."""
    try:
        state.result()
    except (TrackingError, ConnectionError, TimeoutError, httpx.TransportError):
        return True
    except httpx.HTTPStatusError as error:
        return error.response.is_server_error
    except Exception:
        return False
    return False


# A restarting server is back within this time; longer outages fail the night.
RETRIES: list[float] = [2, 10, 30]


STOP = threading.Event()  # set when a run is cancelled that trains in several threads


class Stopped(BaseException):
    """The run is cancelled; raised at the end of an epoch."""


def _shown(artifact: UUID | None, key: str, share: float, text: str) -> UUID:
    """Show how far something is in Prefect; the artifact, which is a new one the first time."""
    if artifact:
        update_progress_artifact(artifact, share, description=text)
        return artifact
    created = create_progress_artifact(share, key=key, description=text)
    assert isinstance(created, UUID)
    return created


class _ProgressArtifact:
    """Shows epochs as a Prefect progress artifact, which the UI and the terminal follow."""

    def __init__(self, model: str, beside: Beside) -> None:
        self._model, self._beside = model, beside
        self._artifact: UUID | None = None

    def on_epoch(self, metrics: Epoch, epochs: int) -> None:
        if STOP.is_set():
            raise Stopped
        share = 100 * metrics.epoch / epochs
        text = (
            f"{self._model}: epoch {metrics.epoch}/{epochs}, {metrics.headline()}, "
            f"{metrics.seconds:.1f} s"
        )
        self._beside.call(self._show, share, text)

    def _show(self, share: float, text: str) -> None:
        with suppress(httpx.HTTPError):  # a server that is away is no reason to end a training
            self._artifact = _shown(self._artifact, "training-progress", share, text)

    def on_samples(self, epoch: int, samples: UInt8Images) -> None:
        """Pictures are in MLflow."""


class SweepProgress:
    """Shows a study as a Prefect progress artifact: how far it is, and the best trial so far."""

    def __init__(self, tuner: Tuner) -> None:
        self._tuner = tuner
        self._artifact: UUID | None = None
        self._said: tuple[object, ...] = ()

    def show(self, lock: AbstractContextManager[object]) -> None:
        """Say it if the best trial is another one, a trial failed, or some time has passed."""
        with lock:
            share, text = progress_of(self._tuner)
            best = self._tuner.best
            failed = sum(t.status is TrialStatus.FAILED for t in self._tuner.trials.values())
            key = best and best.number, failed, self._tuner.over, self._tuner.now // SWEEP_SECONDS
        if key == self._said:
            return
        with suppress(httpx.HTTPError):  # a restarting server is no reason to end a study
            self._artifact = _shown(self._artifact, "sweep-progress", share, text)
            self._said = key


def progress_of(tuner: Tuner) -> tuple[float, str]:
    """Percent of the study's nearest limit, and one line for a person."""
    trials, study = list(tuner.trials.values()), tuner.study
    failed = sum(trial.status is TrialStatus.FAILED for trial in trials)
    epochs = sum(len(trial.curve) for trial in trials)
    limits = study.limits
    shares = [1.0 if tuner.over else (len(trials) - tuner.running) / limits.trials]
    shares += [tuner.now / 60 / limits.minutes] if limits.minutes else []
    shares += [epochs / limits.epochs] if limits.epochs else []
    text = f"{study.name}: {len(trials)} of {limits.trials} trials begun, {epochs} epochs"
    text += f", {failed} failed" if failed else ""
    best = tuner.best
    if best:
        words = ", ".join(f"{name} {short(value)}" for name, value in best.config.items())
        text += f", best {study.metric} {study.best_value(best):.4f} (trial {best.number}: {words})"
    return min(100.0, 100 * max(shares)), text


_RETRIED: dict[str, Any] = {
    "retries": len(RETRIES),
    "retry_delay_seconds": RETRIES,
    "retry_condition_fn": passing_trouble,
}


@task(name="self_check", task_run_name="self_check")
def self_check(force: bool = False) -> SelfCheck:
    """Prove that this worker computes correctly, once."""
    from components.jobs import self_check as self_check_job

    return self_check_job.self_check(settings(), force=force)


@task(name="data", task_run_name="data {name}", **_RETRIED)
def refresh_data(name: str) -> DataOutcome:
    """Bring the dataset up to date through DVC."""
    return _refreshed([name]).found[name]


@task(name="data", task_run_name="data", **_RETRIED)
def refresh_several(names: Sequence[str]) -> DataOutcomes:
    """Bring datasets up to date in one run of DVC."""
    return _refreshed(names)


def _refreshed(names: Sequence[str]) -> DataOutcomes:
    logger = get_run_logger()
    outcomes = data_job.refresh(settings(), names, logger.info, context)
    for warning in outcomes.warnings:
        logger.warning(warning)
    for outcome in outcomes.found.values():
        if outcome.dataset.change:
            logger.info(str(outcome.dataset.change))
    return outcomes


@task(name="train", task_run_name="train {recipe.model}", **_RETRIED)
def train(dataset: DatasetVersion, recipe: Recipe, force: bool) -> TrainOutcome:
    """Train, or find the finished run with the same fingerprint."""
    slot = partial(own_slot, settings())
    with Beside() as beside:
        progress = _ProgressArtifact(recipe.model, beside)
        return train_job.train(context(), dataset, recipe, progress, force=force, slot=slot)


@task(name="candidate", task_run_name="candidate", **_RETRIED)
def candidate(model: str, text: str) -> TrainOutcome:
    """Find the training run that a person named."""
    return candidates_job.find_candidate(context(), model, text)


@task(name="admit", task_run_name="admit", **_RETRIED)
def admit(run: TrackedRun, dataset: DatasetVersion) -> None:
    """Refuse a candidate on which the gate need not spend a test."""
    candidates_job.refuse_other_data(run, dataset)
    candidates_job.refuse_hopeless(context(), run, dataset)


@task(name="compare", task_run_name="compare", **_RETRIED)
def compare(run: TrackedRun, dataset: DatasetVersion) -> ComparisonOutcome:
    """Examine candidate and champion on the test split, for a person."""
    candidates_job.refuse_other_data(run, dataset)
    return compare_job.compare(context(), run, dataset)


@task(name="worker", task_run_name="worker {number}")
def work(address: Address, threads: int, number: int) -> None:
    """One of a sweep's workers, until the study is over."""
    # On processors the sweep has one place for all its workers.
    with training_slot(settings()) if on_gpus() else nullcontext(1.0) as share:
        keep_working(address, threads, get_run_logger().warning, share)


@task(name="settle", task_run_name="settle {model}", **_RETRIED)
def settle(model: str, turn: Fence) -> None:
    """Finish or undo what a kill left half done of earlier promotions."""
    for settled in recovery_job.settle(context(turn), model):
        get_run_logger().warning(settled.line)


@task(name="evaluate", task_run_name="evaluate", **_RETRIED)
def evaluate(run: TrackedRun, dataset: DatasetVersion) -> EvaluationOutcome:
    """Evaluate candidate and champion on the held-out test split."""
    return evaluate_job.evaluate(context(), run, dataset)


@task(name="suite", task_run_name="evaluate suite {name}", **_RETRIED)
def evaluate_suite(
    name: str,
    entries: Sequence[SuiteEntry],
    data: Mapping[str, DatasetVersion],
    trained: Mapping[str, TrackedRun],
) -> SuiteOutcome:
    """Evaluate every entry of a suite."""
    say = get_run_logger().info
    return suites_job.evaluate_suite(context(), name, entries, data, trained, say)


@task(name="register", task_run_name="register", **_RETRIED)
def register(run: TrackedRun, dataset: DatasetVersion) -> RegisterOutcome:
    """Make the candidate a version of its registered model."""
    return gate_job.register(context(), run, dataset)


@task(name="gate", task_run_name="gate", **_RETRIED)
def gate(
    version: ModelVersion, evaluation: EvaluationOutcome, dataset: DatasetVersion
) -> GateOutcome:
    """Decide whether the candidate becomes champion."""
    return gate_job.gate(context(), version, evaluation, dataset)


@task(name="promote", task_run_name="promote", **_RETRIED)
def promote(version: ModelVersion, dataset: DatasetVersion, turn: Fence) -> PromoteOutcome:
    """Move the champion alias if the gate said so."""
    return promote_job.promote(context(turn), version, dataset.version)


@task(name="rollback", task_run_name="rollback {model}", **_RETRIED)
def rollback(model: str, reason: str, to: int | None) -> RollbackOutcome:
    """Make an earlier version champion again."""
    find(context().registry, Reference(model))  # before a limit is made for a misspelt name
    with one_promotion_at_a_time(settings(), model) as turn:
        return rollback_job.rollback(context(turn), model, reason, to)


@task(name="registry", task_run_name="registry {model}", **_RETRIED)
def history(model: str) -> ModelHistory:
    """All versions, and all moves of the champion alias."""
    return lineage_job.history(context(), model)


@dataclass(frozen=True)
class Reconciled:
    """What was closed or started again, a line each."""

    lines: list[str]
    skipped: str | None


@task(name="reconcile", task_run_name="reconcile", **_RETRIED)
def reconcile() -> Reconciled:
    """Close what only claims to be running, and start crashed runs again."""
    lines = reconcile_now(context())
    return Reconciled(lines, None if lines else "all runs are as they say")
