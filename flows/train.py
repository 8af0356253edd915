"""Train one model without evaluating or promoting it."""

from __future__ import annotations

from prefect import flow

from components.training.classifier import TrainConfig
from flows import tasks
from flows.forms import ImageDatasetName, ModelName
from flows.reports import reporting
from flows.summary import describe_data, describe_training


@flow(name="train", flow_run_name="train {model} on {dataset}")
def train(
    dataset: ImageDatasetName = "fashion_mnist",
    model: ModelName = "lenet_modern",
    training: TrainConfig = TrainConfig(),  # noqa: B008 - frozen
    force: bool = False,
) -> None:
    """Train a model and log it to MLflow; the test split is not touched.

    Args:
        dataset: Which dataset to use.
        model: Which network to train.
        training: How it is trained.
        force: Train even if nothing changed.
    """
    with reporting("train", tasks.settings()) as run:
        data = run.step("data", tasks.refresh_data, dataset)
        describe_data(run.report, data)
        trained = run.step("train", tasks.train, data.dataset, model, training, force)
        describe_training(run.report, trained.run, tasks.context().tracker)
