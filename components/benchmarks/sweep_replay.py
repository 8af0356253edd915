"""Decisions beside those of other tuners, replayed on recorded learning curves.

All see the same configurations in the same order, with two workers on the table's clock.
"""

from __future__ import annotations

import heapq
import math
import statistics
import warnings
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, Protocol

import numpy as np
from pydantic import BaseModel, ConfigDict

from components.benchmarks.base import hardware, versions
from components.settings import PROJECT_ROOT
from components.tuning.backend import SimulatedBackend
from components.tuning.curves import CurveTable, Entry, TableSearcher, load_table
from components.tuning.log import TrialLog
from components.tuning.scheduler import Resources
from components.tuning.study import Limits, Study
from components.tuning.trial import EpochDone
from components.tuning.tuner import Tuner

TABLE = PROJECT_ROOT / "data" / "curves" / "lenet_fashion_mnist.json"
SEEDS = 50
WORKERS = 2
NEAR = 0.005  # of the table's best: found
BUDGET = 240  # epochs over which the best error is averaged
RESOURCES = Resources(min_resource=2, max_resource=10, reduction_factor=2)
BOOTSTRAPS = 4000


class ReplayedTuner(BaseModel):
    """One tuner over all seeds.

    Attributes:
        epochs_to_best: Median epochs until a value within NEAR of the table's best was seen.
        mean_best_error: Median over the seeds of the best error so far, averaged over BUDGET
            epochs.
        against_asha: Mean over the seeds of its mean best error less that of asha, over that of
            asha; above 0, asha is better.
        interval: Bootstrap interval of that mean, 95 %.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    epochs_to_best: float
    mean_best_error: float
    against_asha: float
    interval: tuple[float, float]


class ReplayBenchmark(BaseModel):
    """What `nightforge bench sweep-replay` found.

    Attributes:
        ratio: Epochs that asha needs, over those of random search.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    benchmark: str = "sweep-replay"
    what: str
    ratio: float
    seeds: int
    tuners: tuple[ReplayedTuner, ...]
    hardware: str
    versions: dict[str, str]


def sweep_replay(say: Callable[[str], None]) -> ReplayBenchmark:
    """Replay ours, Optuna's pruner and Ray Tune's ASHA over 50 seeds.

    Raises:
        StudyError: If the table is missing.
    """
    warnings.filterwarnings("ignore")
    table = load_table(TABLE)
    contestants: dict[str, Callable[[CurveTable, int], list[float]]] = {
        "asha": lambda t, seed: ours(t, "asha", seed),
        "asha_stopping": lambda t, seed: ours(t, "asha_stopping", seed),
        "successive_halving": lambda t, seed: ours(t, "successive_halving", seed),
        "random search": lambda t, seed: ours(t, "fifo", seed),
        "Optuna SuccessiveHalvingPruner": lambda t, seed: stopping(t, OptunaRule(), seed),
        "Ray Tune ASHAScheduler": lambda t, seed: stopping(t, RayRule(t.epochs), seed),
    }
    runs = {name: [run(table, s) for s in range(SEEDS)] for name, run in contestants.items()}
    areas = {name: np.array([_area(values) for values in all_]) for name, all_ in runs.items()}
    tuners = []
    for name, all_ in runs.items():
        difference = (areas[name] - areas["asha"]) / areas["asha"]
        tuner = ReplayedTuner(
            name=name,
            epochs_to_best=statistics.median(_epochs_to_best(v, table.best) for v in all_),
            mean_best_error=float(np.median(areas[name])),
            against_asha=float(difference.mean()),
            interval=_interval(difference),
        )
        say(
            f"{name}: {tuner.epochs_to_best:g} epochs to the best, mean best error "
            f"{tuner.mean_best_error:.4f}, against asha {100 * tuner.against_asha:+.1f} % "
            f"({100 * tuner.interval[0]:+.1f} to {100 * tuner.interval[1]:+.1f})"
        )
        tuners.append(tuner)
    needed = {tuner.name: tuner.epochs_to_best for tuner in tuners}
    return ReplayBenchmark(
        what=f"{len(table.entries)} curves of {table.what}; rungs 2, 4, 8, 10; {WORKERS} workers",
        ratio=needed["asha"] / needed["random search"],
        seeds=SEEDS,
        tuners=tuple(tuners),
        hardware=hardware(),
        versions=versions(),
    )


def ours(table: CurveTable, scheduler: str, seed: int) -> list[float]:
    """Scores of the epochs in the order in which they end."""
    study = Study(
        name="replay",
        space=table.space,
        metric=table.metric,
        mode=table.mode,
        searcher="random",
        scheduler=scheduler,
        resources=RESOURCES,
        limits=Limits(trials=len(table.entries)),
        seed=seed,
    )
    backend = SimulatedBackend(table.curve, table.metric, WORKERS)
    searcher = TableSearcher(table, seed)
    tuner = Tuner(study, TrialLog(None, study.header()), searcher, backend.clock)
    backend.run(tuner)
    return [study.sign * event.value for event in tuner.events if isinstance(event, EpochDone)]


class StoppingRule(Protocol):
    """Another tuner's decision after each epoch."""

    def stops(self, trial: int, epoch: int, score: float) -> bool:
        """Whether the trial ends here; higher scores are better."""


class OptunaRule:
    """Optuna's SuccessiveHalvingPruner."""

    def __init__(self) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        pruner = optuna.pruners.SuccessiveHalvingPruner(
            min_resource=RESOURCES.min_resource, reduction_factor=RESOURCES.reduction_factor
        )
        self._study = optuna.create_study(direction="maximize", pruner=pruner)
        self._trials: dict[int, Any] = {}

    def stops(self, trial: int, epoch: int, score: float) -> bool:
        """See `StoppingRule`."""
        asked = self._trials.get(trial) or self._trials.setdefault(trial, self._study.ask())
        asked.report(score, epoch)
        return bool(asked.should_prune())


class RayRule:
    """Ray Tune's ASHAScheduler."""

    def __init__(self, epochs: int) -> None:
        from ray.tune.schedulers import ASHAScheduler

        self._scheduler = ASHAScheduler(
            time_attr="epoch",
            metric="score",
            mode="max",
            max_t=epochs,
            grace_period=RESOURCES.min_resource,
            reduction_factor=RESOURCES.reduction_factor,
        )
        self._trials: dict[int, Any] = {}

    def stops(self, trial: int, epoch: int, score: float) -> bool:
        """See `StoppingRule`."""
        nobody: Any = None  # Ray's loop, which this scheduler does not ask
        if trial not in self._trials:
            self._trials[trial] = SimpleNamespace(trial_id=str(trial))
            self._scheduler.on_trial_add(nobody, self._trials[trial])
        said = {"epoch": epoch, "score": score}
        return bool(self._scheduler.on_trial_result(nobody, self._trials[trial], said) == "STOP")


def stopping(table: CurveTable, rule: StoppingRule, seed: int) -> list[float]:
    """As `ours`, with trials that run until the rule stops them."""
    searcher, sign = TableSearcher(table, seed), 1 if table.mode == "max" else -1
    entries = {tuple(sorted(entry.config.items())): entry for entry in table.entries}
    running: list[tuple[float, int, int, int, Entry]] = []
    scores, begun, order, now = list[float](), 0, 0, 0.0
    while True:
        while len(running) < WORKERS and begun < len(table.entries):
            entry = entries[tuple(sorted(searcher.propose(begun, {}, []).items()))]
            heapq.heappush(running, (now + entry.seconds[0], order, begun, 1, entry))
            begun, order = begun + 1, order + 1
        if not running:
            return scores
        now, _, trial, epoch, entry = heapq.heappop(running)
        scores.append(sign * entry.values[epoch - 1])
        stopped = rule.stops(trial, epoch, scores[-1])
        if not stopped and epoch < table.epochs:
            until = now + entry.seconds[epoch]
            heapq.heappush(running, (until, order, trial, epoch + 1, entry))
            order += 1


def _area(scores: list[float]) -> float:
    """The best error so far, averaged over the first BUDGET epochs."""
    best = np.maximum.accumulate(np.array(scores[:BUDGET]))
    padded = np.concatenate([best, np.full(BUDGET - len(best), best[-1])])
    return float((1 - padded).mean())


def _epochs_to_best(scores: list[float], best: float) -> float:
    """Epochs until a score is near the best; infinite if it never is."""
    near = [n for n, score in enumerate(scores, 1) if score >= best - NEAR]
    return near[0] if near else math.inf


def _interval(differences: np.ndarray[Any, np.dtype[np.float64]]) -> tuple[float, float]:
    generator = np.random.default_rng(0)
    picks = generator.integers(0, len(differences), (BOOTSTRAPS, len(differences)))
    low, high = np.quantile(differences[picks].mean(1), [0.025, 0.975])
    return float(low), float(high)
