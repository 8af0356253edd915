"""What a sweep costs besides training: time between segments, idle workers, repeated epochs."""

from __future__ import annotations

import os
import statistics
import tempfile
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psutil
from pydantic import BaseModel, ConfigDict

from components.benchmarks.base import hardware, versions
from components.datasets import DATASETS
from components.datasets.base import DataConfig, FetchConfig, HoldOutConfig
from components.jobs.recipe import Recipe
from components.jobs.trial_processes import keep_working
from components.jobs.trials import TrialSetup
from components.settings import Settings
from components.training.config import TrainConfig
from components.tuning.coordinator import Coordinator
from components.tuning.log import TrialLog
from components.tuning.scheduler import Resources
from components.tuning.space import SearchSpace
from components.tuning.study import Limits, Study
from components.tuning.trial import Claimed, EpochDone, Event, SegmentDone, SegmentFailed
from components.tuning.tuner import Tuner
from components.versioning.stage import run_fetch, run_prepare

DATASET = "fashion_mnist_sample"
WORKERS = 2
TRIALS = 32
METRIC = "validation_accuracy"
# Small batches take several times as long as large ones: trials of unequal length.
SPACE = SearchSpace.model_validate(
    {
        "fields": {
            "lr": {"distribution": "log_uniform", "low": 0.01, "high": 1.0},
            "batch_size": {"distribution": "log_integer", "low": 16, "high": 256},
        }
    }
)


class SweepBenchmark(BaseModel):
    """What `nightforge bench sweep` found.

    Attributes:
        overhead_ms: Median time of a segment that is no epoch: from the claim to its end, less
            the epochs. Checkpoints, the log and the building of the network are in it.
        overhead_ms_worst: The largest.
        startup_seconds: From nothing to the first claim, and what the first segments took longer.
        idle_share: Of the workers' time between the first and the last claim, under asha.
        successive_halving_idle_share: The same under successive_halving.
        epochs_trained_twice: In both, and in a third run whose workers are killed.
        kills: In that third run.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    benchmark: str = "sweep"
    what: str
    overhead_ms: float
    overhead_ms_worst: float
    startup_seconds: float
    idle_share: float
    successive_halving_idle_share: float
    epochs_trained_twice: int
    kills: int
    segments: int
    epochs: int
    hardware: str
    versions: dict[str, str]


@dataclass(frozen=True)
class _Segment:
    start: float
    end: float
    trained: float

    @property
    def overhead(self) -> float:
        return self.end - self.start - self.trained


@dataclass(frozen=True)
class _Run:
    segments: list[_Segment]
    startup: float
    twice: int
    kills: int
    epochs: int

    @property
    def later(self) -> list[_Segment]:
        """All but the first segment of each worker, whose process still imports."""
        return self.segments[WORKERS:]

    @property
    def idle_share(self) -> float:
        first = min(segment.start for segment in self.segments)
        last = max(segment.start for segment in self.segments)
        busy = sum(min(s.end, last) - s.start for s in self.segments)
        return max(0.0, 1 - busy / (WORKERS * (last - first)))


def sweep(say: Callable[[str], None]) -> SweepBenchmark:
    """Run LeNet studies on the bundled sample with two local worker processes.

    Raises:
        StudyError: If a worker cannot start.
    """
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        directory = _prepared(root)
        runs = {}
        for name, kills in (("asha", 0), ("successive_halving", 0), ("asha", 4)):
            label = f"{name}, {kills} kills" if kills else name
            run = runs[label] = _run(root / label.replace(", ", "-"), directory, name, kills)
            overhead = 1000 * statistics.median(s.overhead for s in run.later)
            say(
                f"{label}: {len(run.segments)} segments, overhead {overhead:.0f} ms, "
                f"idle {100 * run.idle_share:.1f} %, trained twice {run.twice}"
            )
    asha = runs["asha"]
    return SweepBenchmark(
        what=f"{TRIALS} trials of LeNet on {DATASET}, batches of 16 to 256, 2 to 8 epochs, "
        f"{WORKERS} processes",
        overhead_ms=1000 * statistics.median(s.overhead for s in asha.later),
        overhead_ms_worst=1000 * max(s.overhead for s in asha.later),
        startup_seconds=asha.startup,
        idle_share=asha.idle_share,
        successive_halving_idle_share=runs["successive_halving"].idle_share,
        epochs_trained_twice=sum(run.twice for run in runs.values()),
        kills=sum(run.kills for run in runs.values()),
        segments=len(asha.segments),
        epochs=asha.epochs,
        hardware=hardware(),
        versions=versions(),
    )


def _prepared(root: Path) -> Path:
    spec = DATASETS.get(DATASET)
    config = DataConfig(FetchConfig(), HoldOutConfig())
    run_fetch(spec, config, Settings(home=root), root)
    run_prepare(spec, config, root)
    return root / "data" / "prepared" / DATASET


def _run(folder: Path, directory: Path, scheduler: str, kills: int) -> _Run:
    study = Study(
        name=scheduler,
        space=SPACE,
        metric=METRIC,
        mode="max",
        searcher="random",
        scheduler=scheduler,
        resources=Resources(max_resource=8),
        limits=Limits(trials=TRIALS),
    )
    training = TrainConfig(epochs=8, momentum=0, lr_schedule="constant")
    recipe = Recipe(model="lenet", training=training)
    setup = TrialSetup(recipe=recipe, directory=directory, folder=folder)
    log = TrialLog(folder / "trials.jsonl", study.header())
    tuner = Tuner(study, log)
    killer = _Killer(kills)
    with Coordinator(tuner, setup.model_dump(mode="json"), killer.changed) as coordinator:
        threads = max(1, len(os.sched_getaffinity(0)) // WORKERS)
        arguments = coordinator.address, threads, lambda line: None
        with ThreadPoolExecutor(WORKERS) as pool:
            crew = [pool.submit(keep_working, *arguments) for _ in range(WORKERS)]
            for member in crew:
                member.result()
        if coordinator.failure:
            raise coordinator.failure
    log.close()
    segments = _segments(tuner.events)
    first = max(segment.overhead for segment in segments[:WORKERS])
    startup = segments[0].start + first
    epochs = sum(len(trial.curve) for trial in tuner.trials.values())
    return _Run(segments, startup, tuner.trained_twice, killer.done, epochs)


class _Killer:
    """Kills a worker process after every tenth epoch, so many times."""

    def __init__(self, kills: int) -> None:
        self._kills, self.done = kills, 0

    def changed(self, tuner: Tuner) -> None:
        """See `Coordinator`."""
        epochs = sum(len(trial.curve) for trial in tuner.trials.values())
        if self.done < self._kills and epochs >= 10 * (self.done + 1):
            self.done += 1
            workers = psutil.Process().children()
            workers[self.done % len(workers)].kill()


def _segments(events: Collection[Event]) -> list[_Segment]:
    """Segments in the order of their claims."""
    open_: dict[int, tuple[int, float, float]] = {}
    found: dict[int, _Segment] = {}
    for number, event in enumerate(events):
        match event:
            case Claimed():
                open_[event.segment.trial] = number, event.at, 0.0
            case EpochDone():
                place, at, trained = open_[event.trial]
                open_[event.trial] = place, at, trained + event.metrics["seconds"]
            case SegmentDone() | SegmentFailed():
                place, at, trained = open_.pop(event.trial)
                found[place] = _Segment(at, event.at, trained)
    return [found[place] for place in sorted(found)]
