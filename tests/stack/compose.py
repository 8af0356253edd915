"""The stack of docker-compose.yml under a name, ports and passwords of its own."""

from __future__ import annotations

import base64
import json
import os
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.installation import ROOT
from tests.waiting import until

SAMPLE = "fashion_mnist_sample"
MODEL = f"{SAMPLE}-classifier"
ENDED = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
# Nobody else's ports, and not the ones of a stack that a person runs here.
PORTS = {
    "PREFECT_PORT": 14200,
    "MLFLOW_PORT": 15000,
    "SERVE_PORT": 15001,
    "TLS_PREFECT_PORT": 14443,
    "TLS_MLFLOW_PORT": 15443,
}


@dataclass
class ComposeStack:
    """One project of Compose.

    Attributes:
        name: Of the project.
        env: Its .env file.
        timeline: What happened after how many seconds.
    """

    name: str
    env: Path
    shift: int = 0
    settings: dict[str, str] = field(default_factory=dict)
    timeline: list[tuple[float, str]] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)

    def make_env(self) -> None:
        command = [sys.executable, str(ROOT / "infra" / "make_env.py"), str(self.env)]
        subprocess.run(command, check=True, capture_output=True)

    @property
    def secrets(self) -> dict[str, str]:
        """What .env says."""
        lines = self.env.read_text("utf-8").splitlines()
        pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
        return {name: value for name, _, value in pairs}

    def port(self, name: str) -> int:
        return PORTS[name] + self.shift

    @property
    def environment(self) -> dict[str, str]:
        ports = {name: str(self.port(name)) for name in PORTS}
        return os.environ | {"TLS_BIND": "127.0.0.1"} | ports | self.settings

    def call(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            ["docker", "compose", "-p", self.name, "--env-file", str(self.env), *arguments],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=1500,
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def gone(self) -> None:
        """Remove its containers and volumes, if there are any."""
        self.call("--profile", "*", "down", "--volumes", "--timeout", "5", check=False)

    def inside(self, service: str, *command: str) -> str:
        """What a command in a service's container prints."""
        return self.call("exec", "-T", service, *command).stdout

    def container(self, service: str) -> str:
        return self.call("ps", "--all", "--quiet", service).stdout.split()[0]

    def say(self, what: str) -> None:
        self.timeline.append((time.monotonic() - self.began, what))
        sys.stderr.write(f"{self.timeline[-1][0]:6.0f} s  {what}\n")

    def prefect(self, method: str, path: str, body: object = None, login: str | None = None) -> Any:
        login = self.secrets["PREFECT_AUTH_STRING"] if login is None else login
        url = f"http://127.0.0.1:{self.port('PREFECT_PORT')}/api{path}"
        return request(method, url, body, login)

    def mlflow(self, method: str, path: str, body: object = None, account: str = "reader") -> Any:
        password = self.secrets[f"MLFLOW_{account.upper()}_PASSWORD"]
        url = f"http://127.0.0.1:{self.port('MLFLOW_PORT')}/api/2.0/mlflow/{path}"
        return request(method, url, body, f"{account}:{password}")

    def trigger(self, flow: str, parameters: Mapping[str, Any]) -> str:
        """Start a flow run as the UI does, whose form holds the deployment's values; its id."""
        deployment = self.prefect("GET", f"/deployments/name/{flow}/{flow}")
        filled = dict(parameters)
        if "training" in filled:
            filled["training"] = deployment["parameters"]["training"] | filled["training"]
        body = {"parameters": filled, "state": {"type": "SCHEDULED"}}
        path = f"/deployments/{deployment['id']}/create_flow_run"
        return str(self.prefect("POST", path, body)["id"])

    def state(self, flow_run: str) -> str:
        return str(self.patiently("GET", f"/flow_runs/{flow_run}")["state"]["type"])

    def patiently(self, method: str, path: str, body: object = None) -> Any:
        """A request to Prefect that is repeated while its server is away."""

        def answer() -> Any:
            try:
                return [self.prefect(method, path, body)]
            except (OSError, urllib.error.HTTPError):
                return None

        return until(answer)[0]

    def running(self, flow_run: str) -> None:
        """Wait until a flow run's training has begun its first epoch."""
        chosen = {"artifacts": {"flow_run_id": {"any_": [flow_run]}}}

        def begun() -> bool:
            assert self.state(flow_run) not in ENDED
            found = self.patiently("POST", "/artifacts/filter", chosen)
            return any(one["type"] == "progress" for one in found)

        until(begun)

    def trained(self, flow_run: str, seed: int, beyond: int) -> int:
        """Wait until more epochs are recorded of a seed's training than `beyond`; how many."""

        def more() -> int:
            assert self.state(flow_run) not in ENDED - {"CRASHED"}
            try:
                epochs = [self.epochs(run) for run in self.runs(seed_is(seed))]
            except (OSError, urllib.error.HTTPError):  # away
                return 0
            return max((one for each in epochs for one in each if one > beyond), default=0)

        return until(more)

    def ended(self, flow_run: str, *, restarts: bool = False) -> str:
        """Wait for a flow run's last state; the reconciler may start a crashed one again."""

        def last() -> str | None:
            state = self.state(flow_run)
            return state if state in ENDED - ({"CRASHED"} if restarts else set()) else None

        return until(last)

    def report(self, flow_run: str) -> dict[str, Any]:
        text = self.inside("reconciler", "cat", f"/state/reports/{flow_run}.json")
        found: dict[str, Any] = json.loads(text)
        return found

    def runs(self, filter_: str = "") -> list[dict[str, Any]]:
        """The runs of all experiments."""
        found = self.mlflow("POST", "experiments/search", {"max_results": 100})["experiments"]
        wanted = {"experiment_ids": [one["experiment_id"] for one in found], "filter": filter_}
        listed: list[dict[str, Any]] = self.mlflow("POST", "runs/search", wanted).get("runs", [])
        return listed

    def losses(self, run: Mapping[str, Any]) -> list[dict[str, Any]]:
        """What a run of MLflow has of its epochs (step, timestamp in ms), as they came."""
        history = f"metrics/get-history?run_id={run['info']['run_id']}&metric_key=train_loss"
        found: list[dict[str, Any]] = self.mlflow("GET", history).get("metrics", [])
        return found

    def epochs(self, run: Mapping[str, Any]) -> list[int]:
        """Those whose loss a run of MLflow has, in the order in which they came."""
        return [int(one["step"]) for one in self.losses(run)]

    def champion(self, model: str) -> str:
        found = self.mlflow("GET", f"registered-models/alias?name={model}&alias=champion")
        return str(found["model_version"]["version"])


def night(epochs: int, seed: int = 0) -> dict[str, Any]:
    """Parameters of a night on the bundled sample."""
    training = {"epochs": epochs, "seed": seed}
    return {"dataset": SAMPLE, "model": "lenet_modern", "training": training}


def seed_is(seed: int) -> str:
    """MLflow's filter for the training runs of a seed on the bundled sample."""
    return f"tags.`nightforge.seed` = '{seed}' and tags.`nightforge.dataset` = '{SAMPLE}'"


def request(
    method: str, url: str, body: object, login: str, trusted: ssl.SSLContext | None = None
) -> Any:
    headers = {"Content-Type": "application/json"}
    if login:
        headers["Authorization"] = "Basic " + base64.b64encode(login.encode()).decode()
    data = None if body is None else json.dumps(body).encode()
    asked = urllib.request.Request(url, data, headers, method=method)
    with urllib.request.urlopen(asked, timeout=60, context=trusted) as response:
        return json.loads(response.read() or b"null")


def status_of(method: str, url: str, login: str = "", trusted: ssl.SSLContext | None = None) -> int:
    """The status of a request, whatever it is."""
    try:
        request(method, url, {"max_results": 1} if method == "POST" else None, login, trusted)
    except urllib.error.HTTPError as error:
        return error.code
    return 200


@contextmanager
def up(stack: ComposeStack) -> Iterator[ComposeStack]:
    """The stack, from nothing until all of it is healthy; gone with its volumes afterwards."""
    stack.gone()  # what a run that was killed has left has other passwords
    try:
        stack.call("up", "--detach", "--wait", "--wait-timeout", "600")
        stack.say("all healthy")
        yield stack
    except BaseException:
        logs = stack.call("logs", "--no-color", "--tail", "300", check=False)
        stack.env.with_name(f"{stack.name}.log").write_text(logs.stdout + logs.stderr, "utf-8")
        raise
    finally:
        stack.gone()
