"""The nightly story: refresh the data, train, evaluate, register, decide, move the alias."""

from __future__ import annotations

from prefect import flow

from components.training.classifier import TrainConfig
from flows import tasks
from flows.forms import ImageDatasetName, ModelName
from flows.reports import reporting
from flows.summary import describe_candidate, describe_data, describe_decision


@flow(name="nightly", flow_run_name="nightly {model} on {dataset}")
def nightly(
    dataset: ImageDatasetName = "fashion_mnist",
    model: ModelName = "lenet_modern",
    training: TrainConfig = TrainConfig(),  # noqa: B008 - frozen
    force: bool = False,
) -> None:
    """Retrain one model and promote it only if it is truly better than the champion.

    A step whose inputs did not change is skipped and says so.

    Args:
        dataset: Which dataset to use.
        model: Which network to train.
        training: How it is trained.
        force: Train even if nothing changed.
    """
    with reporting("nightly", tasks.settings()) as night:
        data = night.step("data", tasks.refresh_data, dataset)
        describe_data(night.report, data)

        trained = night.step("train", tasks.train, data.dataset, model, training, force)
        with tasks.one_promotion_at_a_time():
            evaluation = night.step("evaluate", tasks.evaluate, trained.run, data.dataset)
            describe_candidate(night.report, evaluation.run, tasks.context().tracker)

            registered = night.step("register", tasks.register, trained.run, data.dataset)
            gated = night.step("gate", tasks.gate, registered.version, evaluation, data.dataset)
            promoted = night.step("promote", tasks.promote, gated.version, data.dataset)
            describe_decision(night.report, gated, promoted)
