"""Close or finish what a crash left open, at every start of the embedded servers.

What was running before cannot be running then: leftover processes were ended first.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterState, FlowRunFilterStateType
from prefect.client.schemas.objects import StateType
from prefect.states import Crashed

from components.jobs.context import JobContext
from components.jobs.recovery import settle, unsettled
from components.tracking.base import RunStatus, Tag
from components.tracking.mlflow import MlflowTracker
from flows.limits import one_promotion_at_a_time

REASON = "closed at start: its process was gone"
OPEN_STATES = [StateType.RUNNING, StateType.PENDING, StateType.CANCELLING]


def close_orphans(mlflow_uri: str, started: datetime) -> list[str]:
    """Mark flow runs as Crashed and MLflow runs as KILLED if they still claim to be running.

    Args:
        mlflow_uri: The embedded MLflow server.
        started: When this start began; the worker may already have taken up a run since.

    Returns:
        One line for each run that was closed.
    """
    lines, live = [], set()
    tracker = MlflowTracker(mlflow_uri)
    tracked_runs = tracker.running()
    with get_client(sync_client=True) as client:
        chosen = FlowRunFilter(
            state=FlowRunFilterState(type=FlowRunFilterStateType(any_=OPEN_STATES))
        )
        for run in client.read_flow_runs(flow_run_filter=chosen):
            if run.state and run.state.timestamp >= started:
                live.add(str(run.id))
                continue
            client.set_flow_run_state(run.id, Crashed(message=REASON), force=True)
            lines.append(f"flow run {run.name}: {REASON}")
    for tracked in tracked_runs:
        if tracked.tags.get(Tag.FLOW_RUN) in live:
            continue
        tracker.set_tags(tracked.run_id, {Tag.CLOSED: REASON})
        tracker.finish(tracked.run_id, RunStatus.KILLED)
        lines.append(f"MLflow run {tracked.name}: {REASON}")
    return lines


def settle_promotions(context: JobContext) -> Iterator[str]:
    """Finish or undo promotions and rollbacks that were left half done.

    Trouble with one model must not keep the servers from starting, nor the others from being
    settled.

    Yields:
        A line for a person about each.
    """
    for name in context.registry.names():
        try:
            if unsettled(context.registry, name):
                yield f"{name}: something was left half done; finishing it"
                with one_promotion_at_a_time(name):
                    yield from [settled.line for settled in settle(context, name)]
        except Exception as error:  # whatever a person's hand or a disk did to the records
            words = " ".join(str(error).split())[:300]
            yield f"{name}: what was left half done stays so ({type(error).__name__}: {words})"
