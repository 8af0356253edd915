"""Train one model without evaluating or promoting it."""

from __future__ import annotations

from prefect import flow

from components.jobs.recipe import Recipe
from components.models.network import NetworkConfig
from components.training.config import GanConfig, TrainConfig
from flows import tasks
from flows.forms import DatasetName, ModelName
from flows.reports import reporting
from flows.summary import describe_data, describe_training


@flow(name="train", flow_run_name="train {model} on {dataset}")
def train(
    dataset: DatasetName = "fashion_mnist",
    model: ModelName = "lenet_modern",
    training: TrainConfig = TrainConfig(),  # noqa: B008 - frozen
    gan: GanConfig = GanConfig(),  # noqa: B008 - frozen
    network: NetworkConfig = NetworkConfig(),  # noqa: B008 - frozen
    force: bool = False,
) -> None:
    """Train a model and log it to MLflow; the test split is not touched.

    Args:
        dataset: Which dataset to use: images for classifiers and dcgan, texts for encoder and
            bag_of_words, linear or high_dimensional for linear, gaussian_2d for gaussian_gan.
        model: Which network to train.
        training: How classifiers, text models and linear are trained.
        gan: How dcgan and gaussian_gan are trained.
        network: Sizes and options of networks; each model reads its own section.
        force: Train even if nothing changed.
    """
    with reporting("train", tasks.settings()) as run:
        data = run.step("data", tasks.refresh_data, dataset)
        describe_data(run.report, data)
        recipe = Recipe(model=model, training=training, gan=gan, network=network)
        trained = run.step("train", tasks.train, data.dataset, recipe, force)
        describe_training(run.report, trained.run, tasks.context().tracker)
