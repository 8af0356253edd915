"""Two processes at the same training: one waits, or one was given up and writes no more."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from components.errors import SupersededError
from components.jobs.attempts import only_attempt
from components.jobs.context import FlowRunRef, JobContext
from components.jobs.recipe import Recipe
from components.jobs.train import train
from components.settings import Settings
from components.tracking.base import RunStatus
from components.tracking.memory import MemoryRegistry, MemoryTracker
from components.training.checkpoint import LAST
from components.training.config import TrainConfig
from components.training.reporting import Epoch, SilentReporter
from components.versioning.versions import DatasetVersion

CONFIG = TrainConfig(epochs=3, batch_size=512, lr=0.1)
WAIT = 60


def attempt(number: int, run: str = "flow 1") -> FlowRunRef:
    return FlowRunRef(run, f"http://prefect/{run}", number)


class Paused(SilentReporter):
    """Stops after an epoch until it is told to go on, as a paused process does."""

    def __init__(self, epoch: int) -> None:
        self.epoch, self.there, self.go_on = epoch, threading.Event(), threading.Event()

    def on_epoch(self, metrics: Epoch, epochs: int) -> None:
        if metrics.epoch == self.epoch:
            self.there.set()
            assert self.go_on.wait(WAIT)


def test_another_flow_run_waits_and_finds_the_work_done(tmp_path: Path) -> None:
    begun = threading.Event()

    def second() -> int:
        begun.set()
        with only_attempt(tmp_path / "work", attempt(7, "flow 2")) as fence:
            fence.check()
            return fence.number

    with ThreadPoolExecutor(1) as pool, only_attempt(tmp_path / "work", attempt(1)) as fence:
        waiting = pool.submit(second)
        assert begun.wait(WAIT)
        with pytest.raises(TimeoutError):
            waiting.result(timeout=1)
        fence.check()
    assert waiting.result(WAIT) == 2


def test_a_newer_attempt_of_the_same_flow_run_does_not_wait(tmp_path: Path) -> None:
    with only_attempt(tmp_path / "work", attempt(1)) as older:
        with only_attempt(tmp_path / "work", attempt(2)) as newer:
            newer.check()
            with pytest.raises(SupersededError):
                older.check()
        with only_attempt(tmp_path / "work", attempt(3)) as newest:
            newest.check()


def test_an_older_attempt_that_comes_late_waits_for_the_newer_one(tmp_path: Path) -> None:
    def late() -> None:
        with only_attempt(tmp_path / "work", attempt(1)):
            pass

    with ThreadPoolExecutor(1) as pool, only_attempt(tmp_path / "work", attempt(2)) as newer:
        waiting = pool.submit(late)
        with pytest.raises(TimeoutError):
            waiting.result(timeout=1)
        newer.check()


@pytest.mark.slow
def test_a_paused_training_that_was_started_again_writes_nothing_more(
    tmp_path: Path, sample_version: DatasetVersion
) -> None:
    tracker = MemoryTracker()
    settings = Settings(home=tmp_path / "home")
    context = JobContext(settings, tracker, MemoryRegistry(tracker), attempt(1))
    recipe, paused = Recipe(model="lenet", training=CONFIG), Paused(epoch=2)
    with ThreadPoolExecutor(1) as pool:
        older = pool.submit(train, context, sample_version, recipe, paused)
        assert paused.there.wait(WAIT)
        again = replace(context, flow_run=attempt(2))
        outcome = train(again, sample_version, recipe, SilentReporter())
        finished = tracker.get(outcome.run.run_id)
        paused.go_on.set()
        with pytest.raises(SupersededError, match="attempt 1"):
            older.result(WAIT)
    assert finished.status is RunStatus.FINISHED
    assert tracker.get(outcome.run.run_id) == finished
    folder = settings.checkpoints / outcome.fingerprint
    assert not (folder / LAST).exists()
