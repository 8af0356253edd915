"""What the embedded servers are given by the shell they are started from."""

from __future__ import annotations

import json
import threading
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import psutil
import pytest

from components.settings import Settings
from flows.embedded import Embedded
from flows.probes import Addresses, prefect_ready, worker_ready
from tests.installation import Installation
from tests.waiting import until


def test_other_servers_of_the_shell_are_not_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "https://elsewhere/api")
    monkeypatch.setenv("PREFECT_API_KEY", "secret")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://elsewhere")
    monkeypatch.setenv("NO_PROXY", "example.org")
    addresses = Addresses("127.0.0.1", 4200, 5000)
    environment = Embedded(Settings(home=tmp_path)).environment(addresses)
    assert environment["PREFECT_API_URL"] == "http://127.0.0.1:4200/api"
    assert Settings.from_environment(environment).mlflow_uri == "http://127.0.0.1:5000"
    assert "MLFLOW_TRACKING_URI" not in environment
    assert "PREFECT_API_KEY" not in environment
    assert environment["NO_PROXY"] == "example.org,127.0.0.1,localhost"


def test_a_path_that_supervisord_cannot_hold_is_refused(tmp_path: Path) -> None:
    from components.errors import StateDirectoryError

    with pytest.raises(StateDirectoryError, match="percent"):
        Embedded(Settings(home=tmp_path / "a%b")).start(print, print)


@pytest.mark.servers
def test_a_run_during_a_start_waits_until_all_is_ready(installation: Installation) -> None:
    with installation.params.open("a") as params:
        params.write("notifications: {slack-webhook/team: [failure]}\n")
    starting = installation.start("up")
    state = installation.home / "run" / "services.json"
    until(state.exists)  # written while the start is under way
    assert starting.poll() is None
    try:
        assert "Prefect run" in installation.ok(
            "run", "data", "--set", "dataset=fashion_mnist_sample"
        )
        printed, _ = starting.communicate()
        assert starting.returncode == 0, printed
        assert "there is no block slack-webhook/team" in printed
    finally:
        installation.ok("down")


@pytest.mark.servers
def test_a_killed_worker_is_not_running_although_the_server_still_lists_it(
    servers: Installation,
) -> None:
    embedded = Embedded(Settings(home=servers.home))
    assert all(service.running for service in embedded.status())
    supervisor = psutil.Process(int((servers.home / "run" / "supervisord.pid").read_text()))
    [worker] = [p for p in supervisor.children() if "worker" in p.cmdline()]
    supervisor.suspend()  # so that it cannot start another one yet
    worker.kill()
    try:
        running = {service.name: service.running for service in embedded.status()}
    finally:
        supervisor.resume()
    assert running == {"prefect": True, "mlflow": True, "worker": False, "reconciler": True}
    addresses = embedded.join()
    assert addresses is not None
    assert all(service.running for service in embedded.status())
    before, later = datetime.fromtimestamp(worker.create_time(), UTC), datetime.now(UTC)
    assert worker_ready(addresses, before)
    assert not worker_ready(addresses, later + timedelta(minutes=1))


@pytest.mark.servers
def test_proxies_of_the_shell_do_not_come_between(servers: Installation) -> None:
    """Prefect's server is asked for the deployment before its parameters are checked."""
    proxies = {"ALL_PROXY": "socks5://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9"}
    arguments = ["run", "nightly", "--set", "training.epochz=1"]
    done = servers.call(*arguments, **proxies, no_proxy="example.org")
    assert done.returncode == 2, done.stderr
    assert "'epochs'" in done.stderr


@pytest.mark.servers
def test_a_server_of_somebody_else_on_our_port_is_not_ours(servers: Installation) -> None:
    class Healthy(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"true")

        def log_message(self, *args: object) -> None:
            """Be silent."""

    embedded, state = Embedded(Settings(home=servers.home)), servers.home / "run" / "services.json"
    ours = embedded.addresses()
    assert ours is not None
    before = state.read_text(encoding="utf-8")
    with HTTPServer((ours.host, 0), Healthy) as other:
        thread = threading.Thread(target=other.serve_forever)
        thread.start()
        taken = replace(ours, prefect_port=other.server_address[1])
        assert prefect_ready(taken)
        state.write_text(json.dumps(asdict(taken)), encoding="utf-8")
        try:
            running = {service.name: service.running for service in embedded.status()}
        finally:
            state.write_text(before, encoding="utf-8")
            other.shutdown()
            thread.join()
    assert running["prefect"] is False
    assert running["mlflow"] is True
