"""From a trained candidate to the champion's alias: evaluate, register, decide, move."""

from __future__ import annotations

from components.jobs.context import kind_of, registered_model
from components.jobs.train import TrainOutcome
from components.versioning.versions import DatasetVersion
from flows import tasks
from flows.limits import one_promotion_at_a_time
from flows.reports import Reporting
from flows.summary import describe_candidate, describe_decision


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
