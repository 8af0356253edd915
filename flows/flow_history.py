"""Prefect's history as retention sees it: flow runs with their task runs, logs and artifacts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    FlowRunFilter,
    FlowRunFilterTags,
)
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.sorting import FlowRunSort
from prefect.exceptions import ObjectNotFound

from components.jobs.stored import StoredFlowRun
from flows.probes import TAG
from flows.reconciler import comes_back

PAGE = 200  # the server's maximum


class PrefectHistory:
    """The flow runs of Nightforge's deployments; others on the same server are not touched.

    Args:
        restarted: Since when crashed runs are started again.
    """

    def __init__(self, restarted: datetime) -> None:
        self._restarted = restarted

    def flow_runs(self) -> list[StoredFlowRun]:
        """See `FlowHistory`."""
        with get_client(sync_client=True) as client:
            return [self._stored(run) for run in _all_runs(client)]

    def remove(self, ids: Sequence[str]) -> None:
        """See `FlowHistory`; the server removes what belongs to a run, but for artifacts."""
        with get_client(sync_client=True) as client:
            for id_ in map(UUID, ids):
                _remove_artifacts(client, id_)
                try:
                    client.delete_flow_run(id_)
                except ObjectNotFound:
                    continue

    def _stored(self, run: FlowRun) -> StoredFlowRun:
        state = run.state
        times = [run.end_time, run.start_time, run.expected_start_time, state and state.timestamp]
        return StoredFlowRun(
            id=str(run.id),
            name=run.name,
            final=bool(state and state.is_final()) and not self._comes_back(run),
            started=run.start_time or (run.expected_start_time if _with_a_worker(run) else None),
            touched=max(time for time in times if time),
            datasets=_datasets(run.parameters),
        )

    def _comes_back(self, run: FlowRun) -> bool:
        """Whether the reconciler will start a crashed run again."""
        crashed = bool(run.state and run.state.is_crashed()) and comes_back(run)
        return crashed and run.end_time is not None and run.end_time >= self._restarted


def _all_runs(client: SyncPrefectClient) -> Iterator[FlowRun]:
    ours = FlowRunFilter(tags=FlowRunFilterTags(all_=[TAG]))
    page, offset = list[FlowRun](), 0
    while offset == 0 or len(page) == PAGE:
        page = client.read_flow_runs(
            flow_run_filter=ours, sort=FlowRunSort.ID_DESC, limit=PAGE, offset=offset
        )
        offset += PAGE
        yield from page


def _datasets(parameters: Mapping[str, Any]) -> frozenset[str]:
    """The datasets of a flow run, those of a night's further models too; none if one is unsaid."""
    named = [one.get("dataset") for one in (parameters, *parameters.get("also", ()))]
    return frozenset(map(str, named)) if all(named) else frozenset()


def _with_a_worker(run: FlowRun) -> bool:
    """Whether a worker has a run that does not say yet when it began."""
    return bool(run.state and not run.state.is_scheduled() and not run.state.is_final())


def _remove_artifacts(client: SyncPrefectClient, flow_run: UUID) -> None:
    of_run = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[flow_run]))
    while found := client.read_artifacts(artifact_filter=of_run, limit=PAGE):
        for artifact in found:
            client.delete_artifact(artifact.id)
