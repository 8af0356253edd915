"""Prove in under a minute that a worker computes correctly."""

from __future__ import annotations

from prefect import flow

from flows import tasks
from flows.reports import reporting
from flows.summary import describe_self_check


@flow(name="self_check", flow_run_name="self_check")
def self_check(force: bool = True) -> None:
    """Fit three small problems whose answers are known: a line, many weights, a Gaussian.

    Args:
        force: Check even if this worker passed before.
    """
    with reporting("self_check", tasks.settings()) as run:
        describe_self_check(run.report, run.step("self_check", tasks.self_check, force))
