"""Requests to the REST interface of the Prefect server under test."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

from components.settings import Settings
from tests.installation import Installation
from tests.waiting import until


def call(servers: Installation, method: str, path: str, body: object = None) -> Any:
    """One request to Prefect's API; SQLite under load answers 503, which is worth a repetition."""
    request = urllib.request.Request(
        servers.addresses()["prefect"] + "/api" + path,
        None if body is None else json.dumps(body).encode(),
        {"Content-Type": "application/json"},
        method=method,
    )
    while True:  # pytest's time limit ends a server that never recovers
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return json.loads(response.read() or b"null")
        except urllib.error.HTTPError as error:
            if error.code != 503:
                raise
            error.close()


def post(servers: Installation, path: str, body: object) -> Any:
    return call(servers, "POST", path, body)


def get(servers: Installation, path: str) -> Any:
    return call(servers, "GET", path)


def finished(servers: Installation, flow_run: str) -> str:
    """Follow a flow run to its end; the type of its last state."""

    def last() -> str | None:
        state: str = get(servers, f"/flow_runs/{flow_run}")["state"]["type"]
        return state if state in {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"} else None

    return until(last)


def run_flow(
    servers: Installation, name: str, *assignments: str, ends: str = "COMPLETED"
) -> dict[str, Any]:
    """The report of a run as `nightforge run NAME --set ...` starts it; it `ends` in that state.

    Without a process of its own for the command, which takes longer to start than many a run.
    """
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_URL, temporary_settings

    from flows.trigger import trigger

    settings = Settings(home=servers.home, params_file=servers.params)
    api = servers.addresses()["prefect"] + "/api"
    with temporary_settings({PREFECT_API_URL: api}), get_client(sync_client=True) as client:
        started = str(trigger(client, settings, name, None, assignments).id)
    state = finished(servers, started)
    report: dict[str, Any] = json.loads((settings.reports / f"{started}.json").read_text("utf-8"))
    assert state == ends, report["error"]
    return report
