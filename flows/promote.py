"""From a trained candidate to the champion's alias: evaluate, register, decide, move."""

from __future__ import annotations

from prefect import flow

from components.jobs.context import kind_of, registered_model
from components.jobs.train import TrainOutcome
from components.tracking.base import Tag
from components.versioning.versions import DatasetVersion
from flows import tasks
from flows.forms import Candidate, RegisteredModelName
from flows.limits import one_promotion_at_a_time
from flows.reports import Reporting, reporting
from flows.summary import describe_candidate, describe_data, describe_decision


@flow(name="promote", flow_run_name="promote {registered_model}")
def promote(registered_model: RegisteredModelName, candidate: Candidate = "") -> None:
    """Take a candidate through the gate, as a night does, and promote it if it is truly better.

    To make a version champion without the gate, use rollback.

    Args:
        registered_model: Its name, such as fashion_mnist-classifier.
        candidate: Number of a version, or the id of a finished MLflow run of train; empty for the
            newest version.
    """
    with reporting("promote", tasks.settings()) as run:
        chosen = run.step("candidate", tasks.candidate, registered_model, candidate)
        run.step("self_check", tasks.self_check)
        data = run.step("data", tasks.refresh_data, chosen.run.tags[Tag.DATASET])
        describe_data(run.report, data)
        tasks.admit(chosen.run, data.dataset)
        promote_if_better(run, chosen, data.dataset)


def promote_if_better(run: Reporting, trained: TrainOutcome, dataset: DatasetVersion) -> None:
    """Compare the candidate with the champion on the test split; one such comparison at a time."""
    model = registered_model(dataset.name, kind_of(trained.run))
    with one_promotion_at_a_time(tasks.settings(), model) as turn:
        tasks.settle(model, turn)
        evaluation = run.step("evaluate", tasks.evaluate, trained.run, dataset)
        describe_candidate(run.report, evaluation.run, tasks.context().tracker)

        registered = run.step("register", tasks.register, trained.run, dataset)
        gated = run.step("gate", tasks.gate, registered.version, evaluation, dataset)
        promoted = run.step("promote", tasks.promote, gated.version, dataset, turn)
        describe_decision(run.report, gated, promoted)
