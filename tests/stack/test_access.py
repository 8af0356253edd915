"""Who is let into the stack, and who is not."""

from __future__ import annotations

import json
import ssl
import stat
import subprocess
from pathlib import Path

import pytest

from tests.stack.compose import ComposeStack, request, status_of
from tests.waiting import until

pytestmark = [pytest.mark.stack, pytest.mark.timeout(1800)]

SERVICES = {"postgres", "objectstore", "mlflow", "prefect", "worker-cpu", "reconciler"}


def connects(stack: ComposeStack, host: str, port: int) -> bool:
    """Whether a process of the worker's container reaches a port."""
    code = f"import socket; socket.create_connection(('{host}', {port}), 3)"
    return stack.call("exec", "-T", "worker-cpu", "python", "-c", code, check=False).returncode == 0


def test_it_does_not_start_without_passwords(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    refused = ComposeStack("nightforge-empty", tmp_path / "empty").call("config", check=False)
    assert refused.returncode != 0
    assert "run make env" in refused.stderr


def test_passwords_are_random_readable_by_the_owner_alone_and_never_replaced(
    tmp_path: Path,
) -> None:
    first, second = (ComposeStack("x", tmp_path / name) for name in "ab")
    first.make_env()
    second.make_env()
    assert stat.S_IMODE(first.env.stat().st_mode) == 0o600
    differing = {name for name in first.secrets if first.secrets[name] != second.secrets[name]}
    assert differing == set(first.secrets) - {"COMPOSE_PROFILES"}
    before = first.env.read_text("utf-8")
    with pytest.raises(subprocess.CalledProcessError) as caught:
        first.make_env()
    assert b"got a file, wanted none" in caught.value.stderr
    assert first.env.read_text("utf-8") == before


def test_the_configuration_is_valid_and_gives_no_warning(made: ComposeStack) -> None:
    assert made.call("--profile", "*", "config", "--quiet").stderr == ""


def test_every_service_is_healthy(stack: ComposeStack) -> None:
    lines = stack.call("ps", "--format", "json").stdout.splitlines()
    states = {one["Service"]: one["Health"] for one in map(json.loads, lines)}
    assert states == dict.fromkeys(SERVICES, "healthy")


def test_only_the_two_pages_are_published_and_on_loopback(stack: ComposeStack) -> None:
    lines = stack.call("ps", "--format", "json").stdout.splitlines()
    published = {
        (port["URL"], port["PublishedPort"])
        for one in map(json.loads, lines)
        for port in one["Publishers"] or ()
        if port["PublishedPort"]
    }
    ports = {stack.port("PREFECT_PORT"), stack.port("MLFLOW_PORT")}
    assert published == {("127.0.0.1", port) for port in ports}


def test_both_servers_refuse_requests_without_credentials(stack: ComposeStack) -> None:
    prefect = f"http://127.0.0.1:{stack.port('PREFECT_PORT')}/api/flow_runs/count"
    mlflow = f"http://127.0.0.1:{stack.port('MLFLOW_PORT')}/api/2.0/mlflow/experiments/search"
    for login in ("", "admin:wrong"):
        assert status_of("POST", prefect, login) == 401
        assert status_of("POST", mlflow, login) == 401


def test_the_store_refuses_requests_without_credentials(stack: ComposeStack) -> None:
    code = """
import boto3, botocore, urllib.error, urllib.request
store = "http://objectstore:9000"
for path in ("/", "/nightforge", "/nightforge?list-type=2"):
    try:
        print(urllib.request.urlopen(store + path, timeout=5).status)
    except urllib.error.HTTPError as error:
        print(error.code)
wrong = {"aws_access_key_id": "intruder-key-1", "aws_secret_access_key": "guessed-secret"}
try:
    print(boto3.client("s3", endpoint_url=store, **wrong).list_objects_v2(Bucket="nightforge"))
except botocore.exceptions.ClientError as error:
    print(error.response["ResponseMetadata"]["HTTPStatusCode"])
"""
    said = stack.inside("mlflow", "python", "-c", code).split()
    assert len(said) == 4
    assert set(said) <= {"400", "401", "403"}


def test_a_worker_reaches_the_servers_and_neither_the_database_nor_the_store(
    stack: ComposeStack,
) -> None:
    assert connects(stack, "prefect", 4200)
    assert connects(stack, "mlflow", 5000)
    for service, port in (("postgres", 5432), ("objectstore", 9000)):
        assert not connects(stack, service, port)
        network = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}"
        command = ["docker", "inspect", "--format", network, stack.container(service)]
        found = subprocess.run(command, capture_output=True, text=True, check=True)
        [address] = found.stdout.split()
        assert not connects(stack, address, port)


def test_a_worker_holds_no_key_of_the_store_and_no_password_of_the_database(
    stack: ComposeStack,
) -> None:
    environment = stack.inside("worker-cpu", "env")
    held = {name for name, value in stack.secrets.items() if value in environment}
    assert held == {"MLFLOW_WORKER_PASSWORD", "PREFECT_AUTH_STRING"}


def test_accounts_can_do_what_they_need_and_no_more(stack: ComposeStack) -> None:
    url = f"http://127.0.0.1:{stack.port('MLFLOW_PORT')}/api/2.0/mlflow/"
    logins = {
        name: f"{name}:{stack.secrets[f'MLFLOW_{name.upper()}_PASSWORD']}"
        for name in ("admin", "worker", "reader")
    }
    [default] = request("POST", url + "experiments/search", {"max_results": 1}, logins["admin"])[
        "experiments"
    ][-1:]
    intruder = {"username": "intruder", "password": "correct horse battery"}
    made = {"experiment_id": default["experiment_id"], "start_time": 1}
    for name in ("worker", "reader"):  # what others made can be read, not changed
        with pytest.raises(OSError, match="403"):
            request("POST", url + "runs/create", made, logins[name])
        with pytest.raises(OSError, match="403"):
            request("POST", url + "users/create", intruder, logins[name])


def test_tls_stands_before_both_servers(stack: ComposeStack) -> None:
    stack.call("--profile", "store", "--profile", "tls", "up", "--detach", "--wait", "proxy")
    said = ("--profile", "tls", "logs", "proxy")
    until(lambda: "serving initial configuration" in stack.call(*said).stdout)
    show = ("exec", "-T", "proxy", "cat", "/data/caddy/pki/authorities/local/root.crt")
    authority = stack.call("--profile", "tls", *show).stdout
    trusted = ssl.create_default_context(cadata=authority)
    paths = {
        "TLS_PREFECT_PORT": ("/api/flow_runs/count", stack.secrets["PREFECT_AUTH_STRING"]),
        "TLS_MLFLOW_PORT": (
            "/api/2.0/mlflow/experiments/search",
            "reader:" + stack.secrets["MLFLOW_READER_PASSWORD"],
        ),
    }
    for name, (path, login) in paths.items():
        url = f"https://localhost:{stack.port(name)}{path}"
        assert status_of("POST", url, login, trusted) == 200
        assert status_of("POST", url, "", trusted) == 401
    stack.call("--profile", "tls", "rm", "--stop", "--force", "proxy")
    stack.say("TLS before both servers")
