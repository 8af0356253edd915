"""The contestants of `sweep-rivals`, each in a process of its own.

python -m components.benchmarks.rival_sides NAME DIRECTORY SECONDS OUT

Each writes a line of JSON for every epoch to OUT.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

WORKERS = 2
LENGTH, GRACE, ETA = 10, 2, 2
LR, BATCH = (0.01, 1.0), (32, 256)


class EpochLine(BaseModel):
    """An epoch of any contestant.

    Attributes:
        end: Wall clock, seconds.
        seconds: What the epoch took.
        worker: Process that trained it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    trial: str
    epoch: int
    value: float
    seconds: float
    end: float
    worker: int


class Trial:
    """LeNet with one configuration, trained an epoch at a time.

    Checkpoints are in a folder of its own, as they are where trials pause.
    """

    trainee: Any = None

    def __init__(self, directory: Path, name: str, config: dict[str, Any], out: Path) -> None:
        from components.jobs.learners import Trainee
        from components.jobs.recipe import Recipe
        from components.training.config import TrainConfig

        Trial.trainee = Trial.trainee or Trainee(directory)
        values = {"epochs": LENGTH, "momentum": 0, "lr_schedule": "constant"} | config
        self._recipe = Recipe(model="lenet", training=TrainConfig.model_validate(values))
        self._name, self._out = name, out
        self._folder = tempfile.TemporaryDirectory()
        self._told = 0

    def epoch(self) -> float:
        """Train one more epoch; the validation accuracy after it."""
        self.value = 0.0
        Trial.trainee.advance(self._recipe, Path(self._folder.name), self._told + 1, self)
        return self.value

    def on_epoch(self, metrics: Any, epochs: int) -> None:
        """Write a new epoch down."""
        if metrics.epoch <= self._told:
            return
        self._told, self.value = metrics.epoch, metrics.validation_accuracy
        line = EpochLine(
            trial=self._name,
            epoch=metrics.epoch,
            value=self.value,
            seconds=metrics.seconds,
            end=time.time(),
            worker=os.getpid(),
        )
        with self._out.open("a", encoding="utf-8") as stream:
            stream.write(line.model_dump_json() + "\n")

    def on_samples(self, epoch: int, samples: Any) -> None:
        """Classifiers show none."""


def optuna_side(directory: Path, seconds: float, out: Path) -> None:
    """Optuna: random sampler, successive halving pruner, journal file, two processes."""
    journal = str(out.with_suffix(".journal"))
    _optuna_study(journal)
    context = get_context("spawn")
    arguments = (directory, time.time() + seconds, out, journal)
    workers = [context.Process(target=_optuna_worker, args=arguments) for _ in range(WORKERS)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def _optuna_study(journal: str) -> Any:
    import optuna
    from optuna.storages.journal import JournalFileBackend

    warnings.filterwarnings("ignore")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna.create_study(
        study_name="rivals",
        storage=optuna.storages.JournalStorage(JournalFileBackend(journal)),
        load_if_exists=True,
        direction="maximize",
        sampler=optuna.samplers.RandomSampler(),
        pruner=optuna.pruners.SuccessiveHalvingPruner(min_resource=GRACE, reduction_factor=ETA),
    )


def _optuna_worker(directory: Path, deadline: float, out: Path, journal: str) -> None:
    import optuna
    import torch

    torch.set_num_threads(1)

    def objective(asked: Any) -> float:
        lr = asked.suggest_float("lr", *LR, log=True)
        config = {"lr": lr, "batch_size": asked.suggest_int("batch_size", *BATCH)}
        trial = Trial(directory, str(asked.number), config, out)
        value = 0.0
        for epoch in range(1, LENGTH + 1):
            if time.time() > deadline:
                raise optuna.TrialPruned
            value = trial.epoch()
            asked.report(value, epoch)
            if asked.should_prune():
                raise optuna.TrialPruned
        return value

    study = _optuna_study(journal)
    while time.time() < deadline:
        study.optimize(objective, n_trials=1)


def ray_side(directory: Path, seconds: float, out: Path) -> None:
    """Ray Tune: random search, ASHA, two actors that are used again (its fast way)."""
    os.environ["RAY_AIR_NEW_OUTPUT"] = "0"
    warnings.filterwarnings("ignore")
    import ray
    from ray import tune

    class Trainable(tune.Trainable):
        def setup(self, config: dict[str, Any]) -> None:
            import torch

            torch.set_num_threads(1)
            self._begin(config)

        def _begin(self, config: dict[str, Any]) -> None:
            self._mine = Trial(directory, self.trial_id, dict(config), out)

        def step(self) -> dict[str, float]:
            return {"accuracy": self._mine.epoch()}

        def reset_config(self, new_config: dict[str, Any]) -> bool:
            self._begin(new_config)
            return True

        def save_checkpoint(self, checkpoint_dir: str) -> None:
            """Every epoch is in a checkpoint already."""

    ray.init(num_cpus=WORKERS, include_dashboard=False, logging_level=logging.ERROR)
    scheduler = tune.schedulers.ASHAScheduler(
        time_attr="training_iteration",
        metric="accuracy",
        mode="max",
        max_t=LENGTH,
        grace_period=GRACE,
        reduction_factor=ETA,
    )
    space = {"lr": tune.loguniform(*LR), "batch_size": tune.randint(BATCH[0], BATCH[1] + 1)}
    tuner = tune.Tuner(
        tune.with_resources(Trainable, {"cpu": 1}),
        param_space=space,
        tune_config=tune.TuneConfig(
            scheduler=scheduler, num_samples=10_000, time_budget_s=seconds, reuse_actors=True
        ),
        run_config=tune.RunConfig(storage_path=str(out.parent / "ray"), verbose=0),
    )
    tuner.fit()
    ray.shutdown()


def our_side(directory: Path, seconds: float, out: Path) -> None:
    """Nightforge: random search, asha in the promotion form, two worker processes."""
    from concurrent.futures import ThreadPoolExecutor

    from components.jobs.recipe import Recipe
    from components.jobs.trial_processes import keep_working
    from components.jobs.trials import TrialSetup
    from components.training.config import TrainConfig
    from components.tuning.coordinator import Coordinator
    from components.tuning.log import TrialLog
    from components.tuning.scheduler import Resources
    from components.tuning.space import SearchSpace
    from components.tuning.study import Limits, Study
    from components.tuning.tuner import Tuner

    fields = {
        "lr": {"distribution": "log_uniform", "low": LR[0], "high": LR[1]},
        "batch_size": {"distribution": "integer", "low": BATCH[0], "high": BATCH[1]},
    }
    study = Study(
        name="rivals",
        space=SearchSpace.model_validate({"fields": fields}),
        metric="validation_accuracy",
        mode="max",
        searcher="random",
        scheduler="asha",
        resources=Resources(min_resource=GRACE, max_resource=LENGTH, reduction_factor=ETA),
        limits=Limits(trials=10_000, minutes=seconds / 60),
    )
    training = TrainConfig(epochs=LENGTH, momentum=0, lr_schedule="constant")
    recipe = Recipe(model="lenet", training=training)
    setup = TrialSetup(recipe=recipe, directory=directory, folder=out.parent / "ours")
    log = TrialLog(out.parent / "ours" / "trials.jsonl", study.header())
    tuner = Tuner(study, log)
    known: dict[int, int] = {}

    def changed(tuner: Tuner) -> None:
        for trial in tuner.trials.values():
            for epoch in range(known.get(trial.number, 0), len(trial.curve)):
                line = EpochLine(
                    trial=str(trial.number),
                    epoch=epoch + 1,
                    value=trial.curve[epoch],
                    seconds=trial.seconds[epoch],
                    end=time.time() - tuner.now + trial.times[epoch],
                    worker=0,
                )
                with out.open("a", encoding="utf-8") as stream:
                    stream.write(line.model_dump_json() + "\n")
            known[trial.number] = len(trial.curve)

    with Coordinator(tuner, setup.model_dump(mode="json"), changed) as coordinator:
        arguments = coordinator.address, 1, lambda line: None
        with ThreadPoolExecutor(WORKERS) as pool:
            crew = [pool.submit(keep_working, *arguments) for _ in range(WORKERS)]
            for member in crew:
                member.result()
        if coordinator.failure:
            raise coordinator.failure


SIDES: dict[str, Callable[[Path, float, Path], None]] = {
    "nightforge asha": our_side,
    "Optuna SuccessiveHalvingPruner": optuna_side,
    "Ray Tune ASHAScheduler": ray_side,
}


def main() -> None:
    """Run one contestant."""
    name, directory, seconds, out = sys.argv[1:]
    print(json.dumps({"side": name}), flush=True)
    SIDES[name](Path(directory), float(seconds), Path(out))


if __name__ == "__main__":
    main()
