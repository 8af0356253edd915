"""Look now after runs whose process is gone; the embedded servers do so every few seconds."""

from __future__ import annotations

from prefect import flow

from flows import tasks
from flows.reports import reporting


@flow(name="reconcile", flow_run_name="reconcile")
def reconcile() -> None:
    """Close runs in Prefect and MLflow whose process is gone, and start crashed ones again.

    The service `reconciler` does the same every few seconds; this is for where there is none, and
    for the impatient.
    """
    with reporting("reconcile", tasks.settings()) as run:
        found = run.step("reconcile", tasks.reconcile)
        run.report.notes.extend(found.lines)
