"""After a crash: close what still claims to be running, say why, and start it again.

A run is over when its process is. Where that cannot be seen, on another machine or because it died
before it could say which it is, a run is over that has given no sign of life for a while.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import psutil
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterTags,
    FlowRunFilter,
    FlowRunFilterEndTime,
    FlowRunFilterId,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.settings import PREFECT_UI_URL
from prefect.states import AwaitingRetry, Cancelled, Crashed
from pydantic import BaseModel, ConfigDict, Field

from components.jobs.context import JobContext
from components.jobs.recovery import settle, unsettled
from components.params import check, load_params
from components.settings import Settings
from components.tracking.base import RunStatus, Tag, TrackedRun, Tracker
from flows.limits import one_promotion_at_a_time
from flows.lives import forget, gone_for, is_over, life_of
from flows.notifications import notify_ended
from flows.probes import TAG
from flows.reports import RunReport

OPEN_STATES = [StateType.RUNNING, StateType.PENDING, StateType.CANCELLING]
RECONCILE = "reconcile"  # runs of this name are not started again: the next look does the same
STOPPED = "the servers were stopped while it ran"  # by a person: it is not started again
LOST = "its process was gone when the servers were started"
GIVEN_UP = "given-up"  # tag of a run that was started again too often
WORKER_SECONDS = 8  # a worker that lives has told Prefect of a dead process by then
# It tells so twice, 10 s apart: a run that was started again in between would crash again.
SETTLED_SECONDS = 15
CANCEL_SECONDS = 30  # a worker that lives has ended a cancelled run's process by then
PAGE = 200  # Prefect's limit


class ReconcileConfig(BaseModel):
    """What happens after a crash (params.yaml: reconcile)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    every_seconds: int = Field(10, ge=1, le=3600, description="Seconds between two looks")
    silent_seconds: int = Field(
        120,
        ge=1,
        le=86400,
        description="Seconds without a sign of life after which a run is over whose process cannot "
        "be seen",
    )
    restarts: int = Field(3, ge=0, le=100, description="How often a crashed run is started again")
    restart_delay_seconds: int = Field(
        15, ge=0, le=3600, description="Pause before a second restart, in seconds; then twice, ..."
    )
    restart_hours: int = Field(
        12, ge=0, le=168, description="Hours after which a crashed run stays as it is"
    )


class Reconciler:
    """Looks after the runs of one installation.

    Args:
        settings: Where processes say what they work on.
        config: When a run is over, and how often it is started again.
        client: Of Prefect's server.
        tracker: Of MLflow's server.
    """

    def __init__(
        self,
        settings: Settings,
        config: ReconcileConfig,
        client: SyncPrefectClient,
        tracker: Tracker,
    ) -> None:
        self._settings, self._config = settings, config
        self._client, self._tracker = client, tracker

    def reconcile(self, started: datetime | None = None) -> list[str]:
        """Look once.

        Args:
            started: When this start of the servers began. Nothing from before can be running
                where all processes of the installation were ended first.

        Returns:
            A line for a person about each run that was closed, started again or given up.
        """
        with self._alone():
            # In this order: what begins in between is in the second list.
            tracked = self._tracker.running()
            lines = [line for run in self._open_runs() for line in self._close(run, started)]
            lines += [line for run in self._crashed() for line in self._restart(run)]
            return lines + list(self._close_tracked(tracked, started))

    @contextmanager
    def _alone(self) -> Iterator[None]:
        self._settings.lives.mkdir(parents=True, exist_ok=True)
        with (self._settings.lives / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _open_runs(self) -> list[FlowRun]:
        return self._runs(FlowRunFilter(state=_in_states(OPEN_STATES)))

    def _crashed(self) -> list[FlowRun]:
        since = restarted_since(self._settings, self._config)
        chosen = FlowRunFilter(
            state=_in_states([StateType.CRASHED]), end_time=FlowRunFilterEndTime(after_=since)
        )
        runs = self._runs(chosen)
        return [run for run in runs if comes_back(run)]

    def _runs(self, chosen: FlowRunFilter) -> list[FlowRun]:
        ours = DeploymentFilter(tags=DeploymentFilterTags(all_=[TAG]))
        runs: list[FlowRun] = []
        while True:
            page = self._client.read_flow_runs(
                flow_run_filter=chosen, deployment_filter=ours, limit=PAGE, offset=len(runs)
            )
            runs += page
            if len(page) < PAGE:
                return runs

    def _close(self, run: FlowRun, started: datetime | None) -> Iterator[str]:
        reason = self._over(run, started)
        if reason is None or run.state is None:
            return
        cancelled = run.state.type is StateType.CANCELLING or reason == STOPPED
        state: State = Cancelled(message=reason) if cancelled else Crashed(message=reason)
        forget(self._settings.lives, str(run.id))
        self._client.set_flow_run_state(run.id, state, force=True)
        yield f"flow run {run.name}: {reason}"

    def _over(self, run: FlowRun, started: datetime | None) -> str | None:
        """Why a run that claims to be running is not; None if it may be."""
        if run.state is None:
            return None
        since = run.state.timestamp
        if started and since < started:
            up = up_since(self._settings)
            return STOPPED if up and up >= started else LOST
        life = life_of(self._settings.lives, str(run.id))
        over = life and is_over(self._settings.lives, str(run.id), life)
        if life is not None and over is not None:
            if over:
                late = gone_for(self._settings.lives, str(run.id)) < WORKER_SECONDS
                return None if late else f"its process {life.pid} is gone"
            if run.state.type is StateType.CANCELLING and life.process:
                _cancel(life.process, _seconds(since))
            return None
        silent = timedelta(seconds=self._config.silent_seconds)
        if _seconds(since) <= silent.total_seconds() or self._heard_of(run, silent):
            return None
        return f"no sign of life for {self._config.silent_seconds} s"

    def _heard_of(self, run: FlowRun, silent: timedelta) -> bool:
        """Whether a run's process has sent a heartbeat of late."""
        wanted = {
            "event": {"name": ["prefect.flow-run.heartbeat"]},
            "resource": {"id": [f"prefect.flow-run.{run.id}"]},
            "occurred": {"since": (datetime.now(UTC) - silent).isoformat()},
        }
        answer = self._client.request("POST", "/events/filter", json={"filter": wanted, "limit": 1})
        return bool(answer.raise_for_status().json()["events"])

    def _restart(self, run: FlowRun) -> Iterator[str]:
        if run.state is None or _seconds(run.state.timestamp) < SETTLED_SECONDS:
            return
        states = self._client.read_flow_run_states(run.id)
        before = sum(state.name == "AwaitingRetry" for state in states)
        if before >= self._config.restarts:
            self._client.update_flow_run(run.id, tags=[*run.tags, GIVEN_UP])
            what = f"crashed again after {before} restarts; given up"
            yield f"flow run {run.name}: {what}"
            yield from self._notify(run, what)
            return
        life = life_of(self._settings.lives, str(run.id))
        if life is None or life.over is not False:  # else the next attempt ends it
            forget(self._settings.lives, str(run.id))
        delay = before * self._config.restart_delay_seconds
        message = f"started again after a crash ({before + 1} of {self._config.restarts})"
        when = datetime.now(UTC) + timedelta(seconds=delay)
        self._client.set_flow_run_state(run.id, AwaitingRetry(scheduled_time=when, message=message))
        yield f"flow run {run.name}: {message}"

    def _notify(self, run: FlowRun, what: str) -> list[str]:
        """Tell whoever asked of a run that could not do so itself."""
        reason = (run.state and run.state.message) or "no message"
        flow = self._client.read_flow(run.flow_id)
        report = RunReport(flow=flow.name, flow_run=str(run.id), name=run.name, state="Crashed")
        report.error = f"{reason}; {what}"
        if address := PREFECT_UI_URL.value():
            report.links["Prefect run"] = f"{address}/runs/flow-run/{run.id}"
        return notify_ended(self._settings, report)

    def _close_tracked(
        self, tracked: Iterable[TrackedRun], started: datetime | None
    ) -> Iterator[str]:
        tracked = list(tracked)
        live = self._live({run.tags[Tag.FLOW_RUN] for run in tracked if Tag.FLOW_RUN in run.tags})
        for run in tracked:
            flow_run = run.tags.get(Tag.FLOW_RUN)
            if flow_run in live or (flow_run is None and started is None):
                continue
            if self._tracker.get(run.run_id).status is not RunStatus.RUNNING:
                continue  # it ended by itself, and its flow run after it, since the list was made
            reason = "its flow run is not running any more"
            self._tracker.set_tags(run.run_id, {Tag.CLOSED: reason})
            self._tracker.finish(run.run_id, RunStatus.KILLED)
            yield f"MLflow run {run.name}: {reason}"

    def _live(self, flow_runs: Iterable[str]) -> set[str]:
        ids = [UUID(flow_run) for flow_run in flow_runs]
        if not ids:
            return set()
        chosen = FlowRunFilter(id=FlowRunFilterId(any_=ids), state=_in_states(OPEN_STATES))
        return {str(run.id) for run in self._runs(chosen)}


def reconcile_config(settings: Settings) -> ReconcileConfig:
    """The section of params.yaml.

    Raises:
        ConfigError: If it is not usable.
    """
    section = load_params(settings.params_file).get("reconcile") or {}
    return check(ReconcileConfig, section, f"{settings.params_file.name}: reconcile")


def reconcile_now(context: JobContext, started: datetime | None = None) -> list[str]:
    """Look once, see `Reconciler.reconcile`."""
    with get_client(sync_client=True) as client:
        config = reconcile_config(context.settings)
        return Reconciler(context.settings, config, client, context.tracker).reconcile(started)


def patience(settings: Settings) -> float:
    """Seconds within which a crashed run is started again, if it is."""
    return SETTLED_SECONDS + 3.0 * reconcile_config(settings).every_seconds


def comes_back(run: FlowRun) -> bool:
    """Whether a run that crashed of late is started again."""
    return GIVEN_UP not in run.tags and run.name != RECONCILE


def restarted_since(settings: Settings, config: ReconcileConfig) -> datetime:
    """Runs that crashed since then may come back."""
    since = datetime.now(UTC) - timedelta(hours=config.restart_hours)
    return max(since, up_since(settings) or since)


def up_since(settings: Settings) -> datetime | None:
    """Since when crashed runs are to be started again: a person may have stopped the servers."""
    try:
        return datetime.fromisoformat(settings.up_since.read_text(encoding="ascii").strip())
    except FileNotFoundError:
        return None


def _cancel(process: psutil.Process, seconds: float) -> None:
    """End a process that the worker which started it cannot end, being gone itself."""
    with suppress(psutil.NoSuchProcess):
        if seconds > 2 * CANCEL_SECONDS:
            process.kill()
        elif seconds > CANCEL_SECONDS:
            process.terminate()


def _in_states(types: list[StateType]) -> FlowRunFilterState:
    return FlowRunFilterState(type=FlowRunFilterStateType(any_=types))


def _seconds(since: datetime) -> float:
    return (datetime.now(UTC) - since).total_seconds()


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
                with one_promotion_at_a_time(context.settings, name) as turn:
                    mine = replace(context, turn=turn)
                    yield from [settled.line for settled in settle(mine, name)]
        except Exception as error:  # whatever a person's hand or a disk did to the records
            words = " ".join(str(error).split())[:300]
            yield f"{name}: what was left half done stays so ({type(error).__name__}: {words})"
