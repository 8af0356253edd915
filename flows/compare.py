"""Look at a candidate beside the champion; nothing is registered, decided or moved."""

from __future__ import annotations

from prefect import flow

from components.tracking.base import Tag
from flows import tasks
from flows.forms import Candidate, RegisteredModelName
from flows.reports import reporting
from flows.summary import describe_comparison, describe_data


@flow(name="compare", flow_run_name="compare {registered_model}")
def compare(registered_model: RegisteredModelName, candidate: Candidate = "") -> None:
    """Examine a candidate and today's champion on the held-out test split.

    Nothing is registered, decided or moved. Choose between candidates by the validation split:
    whoever picks the best of many on the test split hands the gate a lucky one.

    Args:
        registered_model: Its name, such as fashion_mnist-classifier.
        candidate: Number of a version, or the id of a finished MLflow run of train; empty for the
            newest version.
    """
    with reporting("compare", tasks.settings()) as run:
        chosen = run.step("candidate", tasks.candidate, registered_model, candidate)
        data = run.step("data", tasks.refresh_data, chosen.run.tags[Tag.DATASET])
        describe_data(run.report, data)
        compared = run.step("compare", tasks.compare, chosen.run, data.dataset)
        describe_comparison(run.report, compared, tasks.context().tracker)
