"""The history of a registered model as a page of Prefect's."""

from __future__ import annotations

from prefect import flow
from prefect.artifacts import create_table_artifact

from flows import tasks
from flows.forms import RegisteredModelName
from flows.histories import describe_history, move_rows, version_rows
from flows.reports import reporting


@flow(name="registry", flow_run_name="registry {registered_model}")
def registry(registered_model: RegisteredModelName) -> None:
    """Show a registered model's versions, and every move of its champion: who, when, why.

    Args:
        registered_model: Its name, such as fashion_mnist-classifier.
    """
    with reporting("registry", tasks.settings()) as run:
        found = run.step("registry", tasks.history, registered_model)
        describe_history(run.report, found)
        for key, rows, what in (
            ("registry-versions", version_rows(found), "versions, newest first"),
            ("registry-moves", move_rows(found), "moves of the champion, oldest first"),
        ):
            if rows:
                create_table_artifact(rows, key=key, description=f"{registered_model}: {what}")
