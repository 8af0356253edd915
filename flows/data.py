"""Refresh one dataset without training anything."""

from __future__ import annotations

from prefect import flow

from flows import tasks
from flows.forms import DatasetName
from flows.reports import reporting
from flows.summary import describe_data


@flow(name="data", flow_run_name="data {dataset}")
def data(dataset: DatasetName = "fashion_mnist") -> None:
    """Fetch, verify and prepare a dataset through DVC.

    Args:
        dataset: Which dataset to bring up to date.
    """
    with reporting("data", tasks.settings()) as run:
        describe_data(run.report, run.step("data", tasks.refresh_data, dataset))
