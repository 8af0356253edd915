"""Joining servers that others run: credentials, refusals, and what the environment then says."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from components.errors import ConfigError, ServiceError
from components.settings import Settings
from flows import stack as module
from flows.stack import Stack

LOGIN = "worker:correct horse"


@contextmanager
def server(*, answer: object = 0) -> Iterator[str]:
    """A server that lets in only whoever knows LOGIN."""
    expected = "Basic " + base64.b64encode(LOGIN.encode()).decode()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            good = self.headers.get("Authorization") == expected
            self.send_response(200 if good else 401)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, *words: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{listening.server_port}"
        listening.shutdown()


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    name, _, password = LOGIN.partition(":")
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", LOGIN)
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", name)
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", password)
    monkeypatch.delenv("PREFECT_UI_URL", raising=False)
    return monkeypatch


def test_servers_that_accept_the_credentials_are_joined(
    credentials: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with server(answer=[{"status": "ONLINE"}]) as prefect, server() as mlflow:
        ui = "https://models.example.org"
        uri = prefect + "/api"  # as Prefect's own variable has it
        settings = Settings(home=tmp_path, prefect_uri=uri, mlflow_uri=mlflow, mlflow_ui=ui)
        found = Stack(settings).join()
        assert (found.prefect_api, found.prefect_ui) == (uri, prefect)
        assert (found.mlflow, found.mlflow_pages) == (mlflow, ui)
        assert found.mlflow_ui.startswith(ui)
        assert Stack(settings).troubles() == dict.fromkeys(("prefect", "mlflow", "workers"))


@pytest.mark.parametrize("variable", ["PREFECT_API_AUTH_STRING", "MLFLOW_TRACKING_PASSWORD"])
def test_refused_credentials_are_named_and_not_shown(
    credentials: pytest.MonkeyPatch, tmp_path: Path, variable: str
) -> None:
    credentials.setenv(variable, "a:wrong one")
    with server(answer=[]) as prefect, server() as mlflow:
        stack = Stack(Settings(home=tmp_path, prefect_uri=prefect, mlflow_uri=mlflow))
        with pytest.raises(ServiceError, match=variable) as caught:
            stack.join()
        assert "refuses these credentials (401)" in stack.troubles().values()
    assert "status 401" in str(caught.value)
    assert "wrong one" not in str(caught.value)


def test_a_server_that_does_not_answer_is_named(
    credentials: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    credentials.setattr(module, "PATIENCE_SECONDS", 0.0)
    with server() as mlflow, server() as gone:
        pass
    settings = Settings(home=tmp_path, prefect_uri=gone, mlflow_uri=mlflow)
    with pytest.raises(ServiceError, match=f"prefect server {gone}"):
        Stack(settings).join()
    troubles = Stack(settings).troubles()
    assert "refused" in str(troubles["prefect"])
    assert troubles["workers"] == "unknown"


@pytest.mark.parametrize("named", ["prefect_uri", "mlflow_uri"])
def test_one_server_of_a_stack_is_not_enough(tmp_path: Path, named: str) -> None:
    with pytest.raises(ConfigError, match="both servers of a stack"):
        Stack(Settings.model_validate({"home": tmp_path, named: "http://host:1"}))


def test_the_environment_points_clients_at_the_stack(
    credentials: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings = Settings(home=tmp_path, prefect_uri="http://a:1", mlflow_uri="http://b:2/")
    environment = Stack(settings).environment()
    assert (
        Settings.from_environment(
            {k: v for k, v in environment.items() if k.startswith("NIGHTFORGE_")}
        ).mlflow_uri
        == "http://b:2"
    )
    assert environment["PREFECT_API_URL"] == "http://a:1/api"
    assert environment["PREFECT_API_AUTH_STRING"] == LOGIN
    assert environment["PREFECT_HOME"] == str(tmp_path / "prefect")
