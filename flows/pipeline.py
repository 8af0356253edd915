"""The nightly story: refresh the data, train, evaluate, register, decide, move the alias."""

from __future__ import annotations

from functools import partial

from prefect import flow

from components.models.network import NetworkConfig
from components.training.config import GanConfig, TrainConfig
from flows import tasks
from flows.forms import DatasetName, ModelName
from flows.night import NightModel, Weekday, night_name, side_by_side, swept
from flows.promote import promote_if_better
from flows.reports import Reporting, reporting
from flows.summary import describe_data, describe_study
from flows.sweep import search


@flow(name="nightly", flow_run_name=night_name)
def nightly(
    dataset: DatasetName = "fashion_mnist",
    model: ModelName = "lenet_modern",
    training: TrainConfig = TrainConfig(),  # noqa: B008 - frozen
    gan: GanConfig = GanConfig(),  # noqa: B008 - frozen
    network: NetworkConfig = NetworkConfig(),  # noqa: B008 - frozen
    sweep_on: tuple[Weekday, ...] = (),
    also: tuple[NightModel, ...] = (),
    force: bool = False,
) -> None:
    """Retrain models and promote those that are truly better than their champions.

    A step whose inputs did not change is skipped and says so. A worker that is new proves first
    that it computes correctly.

    Args:
        dataset: Which dataset to use: images for classifiers and dcgan, texts for encoder and
            bag_of_words, linear or high_dimensional for linear, gaussian_2d for gaussian_gan.
        model: Which network to train.
        training: How classifiers, text models and linear are trained.
        gan: How dcgan and gaussian_gan are trained.
        network: Sizes and options of networks; each model reads its own section.
        sweep_on: Nights on which better hyperparameters are searched first, as the section sweep
            of params.yaml says.
        also: Further models of the same night, side by side; one that fails stops no other.
        force: Train even if nothing changed.
    """
    with reporting("nightly", tasks.settings()) as night:
        night.step("self_check", tasks.self_check)
        first = NightModel(
            dataset=dataset,
            model=model,
            sweep_on=sweep_on,
            training=training,
            gan=gan,
            network=network,
        )
        side_by_side(night, [first, *also], partial(retrain, force))


def retrain(force: bool, run: Reporting, wanted: NightModel) -> None:
    """One model's night, from its data to the champion's alias."""
    data = run.step("data", tasks.refresh_data, wanted.dataset)
    describe_data(run.report, data)

    recipe = wanted.recipe
    if study := swept(wanted):
        name, config = study
        found = run.step("trials", search, name, data.dataset, recipe, config, True)
        describe_study(run.report, found, tasks.context().tracker)
        recipe = found.recipe

    trained = run.step("train", tasks.train, data.dataset, recipe, force)
    promote_if_better(run, trained, data.dataset)
