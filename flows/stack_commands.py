"""Commands about servers, workers and logs: `nightforge worker` and `logs`."""

from __future__ import annotations

import os
import socket
import sys
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from components.catalog import unknown_key
from components.errors import ServiceError
from components.settings import Settings
from flows.connection import answering, connect, in_stack, join
from flows.embedded import Embedded, ServiceStatus
from flows.lives import note_gone
from flows.probes import POOL
from flows.stack import Stack

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.objects import FlowRun

QUEUES = ("cpu", "gpu")
NEWEST = "newest"
SERVICES = ("prefect", "mlflow", "worker", "reconciler")
LINES = 200
PAGE = 200  # Prefect's limit


def stack_status(settings: Settings) -> list[ServiceStatus]:
    """Each server of the stack and whether it lets this machine in, and its workers."""
    stack = Stack(settings)
    where = {
        "prefect": stack.addresses.prefect_ui,
        "mlflow": stack.addresses.mlflow_pages,
        "workers": f"work pool {POOL}",
    }
    return [
        ServiceStatus(name, trouble is None, where[name], trouble or "")
        for name, trouble in stack.troubles().items()
    ]


def worker(
    join_: Annotated[
        str | None,
        typer.Option("--join", help="Prefect server of a stack, such as https://host:4200."),
    ] = None,
    mlflow: Annotated[
        str | None, typer.Option(help="MLflow server of the same stack, such as https://host:5000.")
    ] = None,
    queue: Annotated[
        list[str] | None,
        typer.Option(help="A work queue to serve, cpu or gpu; both if none is named."),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="The worker's name; this host's if unset.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Flow runs at the same time; no limit if unset.")
    ] = None,
    health_port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Answer health checks at this port.")
    ] = None,
) -> None:
    """Run flows of a stack on this machine, until Ctrl-C.

    Credentials come from PREFECT_API_AUTH_STRING, MLFLOW_TRACKING_USERNAME and
    MLFLOW_TRACKING_PASSWORD.
    """
    for chosen in queue or ():
        if chosen not in QUEUES:
            raise unknown_key("work queue", chosen, QUEUES)
    asked = {"NIGHTFORGE_PREFECT_URI": join_, "NIGHTFORGE_MLFLOW_URI": mlflow}
    given = {variable: value for variable, value in asked.items() if value is not None}
    settings = Settings.from_environment(os.environ | given)
    addresses = join(settings)
    if addresses is None:
        raise ServiceError(
            "servers for a worker",
            got="none: neither --join nor servers that run embedded here",
            wanted="a stack or embedded servers to work for",
            remedy="Name a stack's Prefect server with --join, or start `nightforge up`.",
        )
    settings.ensure_home()
    note_gone(settings.lives)  # a killed container starts again under its name
    connect(settings, addresses)
    command = [sys.executable, "-m", "prefect", "worker", "start", "--type=process"]
    command += [f"--pool={POOL}", f"--name={name or socket.gethostname()}"]
    command += [f"--work-queue={chosen}" for chosen in queue or ()]
    command += [f"--limit={limit}"] if limit else []
    if health_port:
        command.append("--with-healthcheck")
        os.environ["PREFECT_WORKER_WEBSERVER_PORT"] = str(health_port)
        os.environ["PREFECT_WORKER_WEBSERVER_HOST"] = "127.0.0.1"
    os.execv(command[0], command)  # noqa: S606 - replaces this process


def logs(
    what: Annotated[
        str,
        typer.Argument(
            help="A flow run's id or name, the newest one, or a service: "
            f"{', '.join(SERVICES)} (embedded servers only)."
        ),
    ] = NEWEST,
    lines: Annotated[int, typer.Option(min=1, help="The last lines to print.")] = LINES,
) -> None:
    """Print what a flow run, or an embedded service, has logged."""
    settings = Settings.from_environment(os.environ)
    if what in SERVICES:
        _print_service(settings, what, lines)
        return
    addresses = join(settings)
    if addresses is None:
        raise ServiceError(
            f"services of {settings.home}",
            got="nothing running",
            wanted="the server that keeps the logs of flow runs",
            remedy=f"Start it with `nightforge up`; files are in {settings.logs}.",
        )
    connect(settings, addresses)
    from prefect.client.orchestration import get_client

    with answering(settings), get_client(sync_client=True) as client:
        for line in _lines_of(client, _flow_run(client, what), lines):
            sys.stdout.write(line + "\n")


def _print_service(settings: Settings, name: str, lines: int) -> None:
    if in_stack(settings):
        raise ServiceError(
            f"log of {name}",
            got="a stack, whose containers keep their own logs",
            wanted="an installation with embedded servers",
            remedy=f"Use `docker compose logs {name}` where the stack runs.",
        )
    sys.stdout.write(Embedded(settings).log_tail(name, lines) + "\n")


def _flow_run(client: SyncPrefectClient, what: str) -> FlowRun:
    from prefect.client.schemas.filters import (
        FlowRunFilter,
        FlowRunFilterId,
        FlowRunFilterName,
        FlowRunFilterStartTime,
    )
    from prefect.client.schemas.sorting import FlowRunSort

    try:
        chosen = FlowRunFilter(id=FlowRunFilterId(any_=[UUID(what)]))
    except ValueError:
        chosen = FlowRunFilter(name=FlowRunFilterName(any_=[what]))
        if what == NEWEST:
            chosen = FlowRunFilter(start_time=FlowRunFilterStartTime(is_null_=False))
    order = FlowRunSort.START_TIME_DESC
    found = client.read_flow_runs(flow_run_filter=chosen, sort=order, limit=1)
    if not found:
        raise ServiceError(
            f"logs of {what}",
            got="no such flow run",
            wanted="the id or the name of one",
            remedy="See the names in the Prefect UI under Runs.",
        )
    return found[0]


def _lines_of(client: SyncPrefectClient, run: FlowRun, wanted: int) -> list[str]:
    from prefect.client.schemas.filters import LogFilter, LogFilterFlowRunId
    from prefect.client.schemas.objects import Log
    from prefect.client.schemas.sorting import LogSort

    chosen = LogFilter(flow_run_id=LogFilterFlowRunId(any_=[run.id]))
    newest = LogSort.TIMESTAMP_DESC
    found: list[Log] = []
    while len(found) < wanted:
        size = min(PAGE, wanted - len(found))
        page = client.read_logs(chosen, limit=size, offset=len(found), sort=newest)
        found += page
        if len(page) < size:
            break
    tasks = {log.task_run_id for log in found if log.task_run_id}
    names = {one: client.read_task_run(one).name for one in tasks}
    lines = [
        f"{log.timestamp.isoformat(' ', 'seconds')} "
        + (f"{names[log.task_run_id]}: " if log.task_run_id else "")
        + log.message
        for log in reversed(found)
    ]
    return [f"flow run {run.name} ({run.id})", *lines]
