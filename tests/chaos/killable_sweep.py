"""A sweep with real training in a process that can be killed at any moment.

python -m tests.chaos.killable_sweep HOME PREPARED WORKERS
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from components.datasets.base import Split
from components.jobs.context import JobContext
from components.jobs.recipe import Recipe
from components.jobs.studies import SweepConfig
from components.jobs.sweep import open_study
from components.jobs.trial_processes import keep_working
from components.settings import Settings
from components.tracking.memory import MemoryRegistry, MemoryTracker
from components.training.config import TrainConfig
from components.tuning.coordinator import Coordinator
from components.versioning.versions import DatasetVersion

NAME = "killed"
RECIPE = Recipe(model="softmax", training=TrainConfig(momentum=0, lr_schedule="constant"))
SWEEP = SweepConfig.model_validate(
    {
        "space": {
            "lr": {"distribution": "log_uniform", "low": 0.001, "high": 0.5},
            "batch_size": {"distribution": "log_integer", "low": 8, "high": 256},
        },
        "resources": {"min_resource": 1, "max_resource": 8, "reduction_factor": 2},
        "limits": {"trials": 16},
    }
)


def data(directory: Path) -> DatasetVersion:
    return DatasetVersion(
        name="fashion_mnist_sample",
        version="5" * 32,
        source="bundled sample",
        sample=True,
        counts=dict.fromkeys(Split, 5400),
        directory=directory,
        ran=(),
        change=None,
    )


def context(home: Path) -> JobContext:
    tracker = MemoryTracker()
    return JobContext(Settings(home=home), tracker, MemoryRegistry(tracker))


def main(home: Path, directory: Path, workers: int) -> None:
    with open_study(context(home), NAME, data(directory), RECIPE, SWEEP) as study:
        setup = study.setup.model_dump(mode="json")
        with Coordinator(study.tuner, setup, study.changed) as coordinator:
            with ThreadPoolExecutor(workers) as pool:
                crew = [
                    pool.submit(keep_working, coordinator.address, 1, print) for _ in range(workers)
                ]
                for member in crew:
                    member.result()
            if coordinator.failure:
                raise coordinator.failure
        outcome = study.close(skipped=False)
    print(f"trained twice: {study.tuner.trained_twice}, best {outcome.best.number}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
