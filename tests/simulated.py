"""Studies on generated curves, for tests."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from components.tuning.backend import Curve, SimulatedBackend
from components.tuning.log import TrialLog
from components.tuning.searchers import Searcher
from components.tuning.space import Config, SearchSpace
from components.tuning.study import Study
from components.tuning.tuner import Tuner

SPACE = SearchSpace.model_validate(
    {
        "fields": {
            "lr": {"distribution": "log_uniform", "low": 0.01, "high": 1.0},
            "batch_size": {"distribution": "integer", "low": 32, "high": 256},
        }
    }
)
LENGTH = 10


def error_curve(config: Config) -> Curve:
    """A falling error with noise of its own; smaller batches take longer."""
    lr, batch = float(config["lr"]), float(config["batch_size"])
    noise = np.random.default_rng(int(1e6 * lr) + int(batch)).normal(0, 0.02, LENGTH)
    floor = 0.15 + 0.2 * abs(math.log10(lr) + 0.4) + batch / 4000
    values = [floor + 0.6 / (epoch + 1) + noise[epoch] for epoch in range(LENGTH)]
    return Curve(tuple(values), (64 / batch + 0.5,) * LENGTH)


def study(**changes: Any) -> Study:
    values: dict[str, Any] = {
        "name": "test",
        "space": SPACE,
        "metric": "error",
        "mode": "min",
        "searcher": "random",
        "scheduler": "asha",
        "limits": {"trials": 60},
    }
    return Study.model_validate(values | changes)


def simulate(
    wanted: Study,
    workers: int = 1,
    curve: Callable[[Config], Curve] = error_curve,
    log: TrialLog | None = None,
    searcher: Searcher | None = None,
) -> tuple[Tuner, SimulatedBackend]:
    backend = SimulatedBackend(curve, wanted.metric, workers)
    log = log or TrialLog(None, wanted.header())
    tuner = Tuner(wanted, log, searcher, backend.clock)
    backend.run(tuner)
    return tuner, backend
