"""The nightly story: refresh the data, train, evaluate, register, decide, move the alias."""

from __future__ import annotations

from prefect import flow

from components.jobs.learners import Recipe
from components.models.network import NetworkConfig
from components.training.classifier import TrainConfig
from components.training.gan import GanConfig
from flows import tasks
from flows.forms import DatasetName, ModelName
from flows.promote import promote_if_better
from flows.reports import reporting
from flows.summary import describe_data


@flow(name="nightly", flow_run_name="nightly {model} on {dataset}")
def nightly(
    dataset: DatasetName = "fashion_mnist",
    model: ModelName = "lenet_modern",
    training: TrainConfig = TrainConfig(),  # noqa: B008 - frozen
    gan: GanConfig = GanConfig(),  # noqa: B008 - frozen
    network: NetworkConfig = NetworkConfig(),  # noqa: B008 - frozen
    force: bool = False,
) -> None:
    """Retrain one model and promote it only if it is truly better than the champion.

    A step whose inputs did not change is skipped and says so. A worker that is new proves first
    that it computes correctly.

    Args:
        dataset: Which dataset to use: images for classifiers and dcgan, linear or
            high_dimensional for linear, gaussian_2d for gaussian_gan.
        model: Which network to train.
        training: How classifiers and linear are trained.
        gan: How dcgan and gaussian_gan are trained.
        network: Sizes and options of networks; each model reads its own section.
        force: Train even if nothing changed.
    """
    with reporting("nightly", tasks.settings()) as night:
        night.step("self_check", tasks.self_check)
        data = night.step("data", tasks.refresh_data, dataset)
        describe_data(night.report, data)

        recipe = Recipe(model=model, training=training, gan=gan, network=network)
        trained = night.step("train", tasks.train, data.dataset, recipe, force)
        promote_if_better(night, trained, data.dataset)
