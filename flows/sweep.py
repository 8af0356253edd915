"""Search for better hyperparameters, then hand the best trial to the gate."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

from prefect import flow
from prefect.artifacts import create_table_artifact

from components.errors import StudyError
from components.jobs.recipe import Recipe
from components.jobs.studies import MetricName, SweepConfig, study_folder, study_of
from components.jobs.sweep import OpenStudy, StudyOutcome, open_study
from components.models.network import NetworkConfig
from components.training.config import GanConfig, TrainConfig
from components.tuning.coordinator import Coordinator
from components.tuning.scheduler import Resources
from components.tuning.space import Config, Distribution
from components.tuning.study import Limits
from components.versioning.versions import DatasetVersion
from flows import tasks
from flows.forms import DatasetName, ModelName, ModeName, SchedulerName, SearcherName, Seed, Workers
from flows.limits import on_gpus, training_slot
from flows.promote import promote_if_better
from flows.reports import reporting
from flows.summary import describe_data, describe_study, trial_rows
from flows.task_runners import own_address, task_runner

SHOW_SECONDS = 2.0


@flow(name="sweep", flow_run_name="sweep {study}: {model} on {dataset}")
def sweep(
    study: str = "first",
    dataset: DatasetName = "fashion_mnist",
    model: ModelName = "lenet",
    scheduler: SchedulerName = "asha",
    searcher: SearcherName = "random",
    space: dict[str, Distribution] = {},  # noqa: B006 - never changed
    points: list[Config] = [],  # noqa: B006 - never changed
    metric: MetricName = "auto",
    mode: ModeName = "auto",
    resources: Resources = Resources(),  # noqa: B008 - frozen
    limits: Limits = Limits(),  # noqa: B008 - frozen
    workers: Workers = 2,
    seed: Seed = 0,
    warm_start: str = "",
    gate: bool = True,
    training: TrainConfig = TrainConfig(),  # noqa: B008 - frozen
    gan: GanConfig = GanConfig(),  # noqa: B008 - frozen
    network: NetworkConfig = NetworkConfig(),  # noqa: B008 - frozen
) -> None:
    """Run a study of hyperparameters, or take it up where it stopped.

    The best trial is trained to the end from its checkpoint and goes to the gate, like a candidate
    of the nightly flow.

    Args:
        study: Its name; the same name continues it, with the same base and space.
        dataset: Which dataset to use.
        model: Which network to train.
        scheduler: Which trials get more epochs. fifo: all of them.
        searcher: Where new configurations come from.
        space: Fields of the training section (or network.mlp.dropout and the like) with their
            distributions, such as {"lr": {"distribution": "log_uniform", "low": 0.01, "high": 1}}.
        points: Configurations that are tried first, such as [{"lr": 0.1}].
        metric: What is compared; auto is accuracy, loss or kernel distance on the validation
            split, as the model has it.
        mode: Whether more or less of it is better.
        resources: Epochs: the first rung, the last one, and the share that advances.
        limits: When the study ends.
        workers: Trials at the same time.
        seed: Of the searcher; the same seed proposes the same trials.
        warm_start: An earlier study whose best configurations are tried first.
        gate: Train the best trial to the end, and promote it if it is better than the champion.
        training: How classifiers and linear are trained, where the space does not say.
        gan: How GANs are trained, where the space does not say.
        network: Sizes and options of networks; each model reads its own section.
    """
    with reporting("sweep", tasks.settings()) as run:
        run.step("self_check", tasks.self_check)
        data = run.step("data", tasks.refresh_data, dataset)
        describe_data(run.report, data)

        recipe = Recipe(model=model, training=training, gan=gan, network=network)
        config = SweepConfig(
            searcher=searcher,
            scheduler=scheduler,
            space=space,
            points=tuple(points),
            metric=metric,
            mode=mode,
            resources=resources,
            limits=limits,
            workers=workers,
            seed=seed,
            warm_start=warm_start,
        )
        found = run.step("trials", search, study, data.dataset, recipe, config, gate)
        describe_study(run.report, found, tasks.context().tracker)
        if not gate:
            return
        trained = run.step("train", tasks.train, data.dataset, found.recipe, False)
        promote_if_better(run, trained, data.dataset)


def refuse_sweep(parameters: Mapping[str, Any]) -> None:
    """Refuse what no study can be, before a run starts.

    Args:
        parameters: Of the flow.

    Raises:
        ConfigError: For a name, a space or a metric that does not fit.
    """
    fields = {key: parameters[key] for key in Recipe.model_fields if key in parameters}
    own = {key: parameters[key] for key in SweepConfig.model_fields if key in parameters}
    study_folder(tasks.settings(), parameters["study"])
    recipe, config = Recipe.model_validate(fields), SweepConfig.model_validate(own)
    study_of(tasks.settings(), parameters["study"], {}, recipe, config)


def search(
    name: str, data: DatasetVersion, recipe: Recipe, config: SweepConfig, gate: bool
) -> StudyOutcome:
    """Run a study, or what is left of it, and show its trials.

    Args:
        name: Of the study.
        data: What it learns.
        recipe: Its base.
        config: How it searches.
        gate: Whether the best trial will be trained on.

    Raises:
        StudyError: If it cannot go on.
    """
    context = tasks.context()
    with open_study(context, name, data, recipe, config) as study:
        finished = study.tuner.over
        if not finished:
            _work(study, config.workers, context.settings.sweep_runner)
        outcome = study.close(skipped=finished, hand_over=gate)
    create_table_artifact(
        trial_rows(outcome.study, outcome.trials),
        key="sweep-trials",
        description=f"Study {name}: all trials, the best first",
    )
    return outcome


def _work(study: OpenStudy, workers: int, runner_name: str) -> None:
    threads = max(1, (os.cpu_count() or 1) // workers)
    progress = tasks.SweepProgress(study.tuner)
    setup: dict[str, Any] = study.setup.model_dump(mode="json")
    # The coordinator is left first: its workers go, and the runner need not wait for them.
    with (
        nullcontext() if on_gpus() else training_slot(tasks.settings()),  # else each worker has one
        task_runner(runner_name, workers) as runner,
        Coordinator(study.tuner, setup, study.changed, own_address(runner_name)) as coordinator,
    ):
        futures = [
            runner.submit(
                tasks.work,
                {"address": coordinator.address, "threads": threads, "number": number},
            )
            for number in range(workers)
        ]
        waiting = list(futures)
        while waiting:
            progress.show(coordinator.lock)
            for future in list(waiting):  # one that fails ends the sweep, whoever it is
                try:
                    future.result(timeout=SHOW_SECONDS / len(waiting))
                    waiting.remove(future)
                except TimeoutError:
                    continue
        progress.show(coordinator.lock)
        if coordinator.failure:
            raise coordinator.failure
    if not study.tuner.over:
        raise StudyError(
            f"study {study.tuner.study.name}",
            got="no worker left before its end",
            wanted="workers that go on until it is over",
            remedy="Run it again; it goes on where it stopped.",
        )
