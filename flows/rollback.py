"""Make an earlier version champion again."""

from __future__ import annotations

from typing import Annotated

from prefect import flow
from pydantic import Field

from flows import tasks
from flows.forms import RegisteredModelName
from flows.histories import describe_rollback
from flows.reports import reporting

Reason = Annotated[str, Field(min_length=3)]
ToVersion = Annotated[int, Field(ge=0)]


@flow(name="rollback", flow_run_name="rollback {registered_model}")
def rollback(registered_model: RegisteredModelName, reason: Reason, to: ToVersion = 0) -> None:
    """Make the champion before the present one champion again, or any other version.

    A night in which nothing changed does not promote the present champion again.

    Args:
        registered_model: Its name, such as fashion_mnist-classifier.
        reason: Why; it stands in the history from now on.
        to: Number of a version; 0 for the champion before.
    """
    with reporting("rollback", tasks.settings()) as run:
        outcome = run.step("rollback", tasks.rollback, registered_model, reason, to or None)
        describe_rollback(run.report, outcome)
