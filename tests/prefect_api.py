"""Requests to the REST interface of the Prefect server under test."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

from tests.installation import Installation


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
    while True:  # pytest's time limit ends a run that never ends
        state = get(servers, f"/flow_runs/{flow_run}")["state"]["type"]
        if state in {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}:
            return str(state)
