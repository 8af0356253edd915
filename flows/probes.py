"""Addresses of the embedded servers, and whether something usable answers there."""

from __future__ import annotations

import json
import socket
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from components.settings import PREFIX, Settings

POOL = "nightforge"
TAG = "nightforge"  # of our deployments, and so of their flow runs
WORKER = "embedded"
NO_PROXY = ("NO_PROXY", "no_proxy")


@dataclass(frozen=True)
class Addresses:
    """Where the embedded servers listen."""

    host: str
    prefect_port: int
    mlflow_port: int

    @property
    def prefect_ui(self) -> str:
        """Prefect's start page."""
        return f"http://{self.host}:{self.prefect_port}"

    @property
    def prefect_api(self) -> str:
        """What PREFECT_API_URL is set to."""
        return f"{self.prefect_ui}/api"

    @property
    def mlflow(self) -> str:
        """Where jobs find MLflow."""
        return f"http://{self.host}:{self.mlflow_port}"

    @property
    def mlflow_ui(self) -> str:
        """MLflow's list of experiments, in its view for model training."""
        return f"{self.mlflow}/#/experiments?workflowType=machine_learning"


def client_environment(settings: Settings, inherited: Mapping[str, str]) -> dict[str, str]:
    """What every process that talks to the servers is given, whoever runs them."""
    environment = {
        **inherited,
        PREFIX + "HOME": str(settings.home),
        PREFIX + "PARAMS_FILE": str(settings.params_file),
        "PREFECT_HOME": str(settings.home / "prefect"),
        "PREFECT_WORKER_QUERY_SECONDS": "1",
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
        # What Prefect's server answers while its database is away, besides what is tried again.
        "PREFECT_CLIENT_RETRY_EXTRA_CODES": "500",
        "DO_NOT_TRACK": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }
    if settings.data_dir:
        environment[PREFIX + "DATA_DIR"] = str(settings.data_dir)
    return environment


def without_proxies_to(host: str, environment: Mapping[str, str]) -> dict[str, str]:
    """The environment, changed so that clients reach a server on this machine directly.

    A proxy that begins with socks is left out: Prefect's client fails at the sight of it, even
    where it would not be used, and nothing else here can use it.
    """
    kept = {
        name: value
        for name, value in environment.items()
        if not (name.lower().endswith("_proxy") and value.lower().startswith("socks"))
    }
    words = ",".join(kept.get(name, "") for name in NO_PROXY).split(",")
    direct = ",".join(dict.fromkeys(filter(None, [*map(str.strip, words), host, "localhost"])))
    return kept | dict.fromkeys(NO_PROXY, direct)


def free(host: str, port: int) -> bool:
    """Whether a server could listen there now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def any_free(host: str) -> int:
    """A port that is free now."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def _answers(url: str, body: Mapping[str, object] | None = None) -> object | None:
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})  # noqa: S310
    # Never through a proxy that the environment names: the servers are on this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=5) as response:
            answer: object = json.load(response)
            return answer
    except (OSError, ValueError):
        return None


def prefect_ready(addresses: Addresses) -> bool:
    """Whether Prefect's API answers."""
    return _answers(f"{addresses.prefect_api}/health") is True


def mlflow_ready(addresses: Addresses) -> bool:
    """Whether MLflow can read its database."""
    url = f"{addresses.mlflow}/api/2.0/mlflow/experiments/search"
    return _answers(url, {"max_results": 1}) is not None


def worker_ready(addresses: Addresses, since: datetime) -> bool:
    """Whether the embedded worker has reported to the server since the given time.

    The server calls a worker online for a while after its last sign of life, dead or not.
    """
    url = f"{addresses.prefect_api}/work_pools/{POOL}/workers/filter"
    workers = _answers(url, {})
    return isinstance(workers, list) and any(
        worker["name"] == WORKER
        and worker["status"] == "ONLINE"
        and datetime.fromisoformat(worker["last_heartbeat_time"]) >= since
        for worker in workers
    )


def busy(addresses: Addresses) -> bool:
    """Whether any flow run is under way."""
    chosen = {"flow_runs": {"state": {"type": {"any_": ["PENDING", "RUNNING"]}}}}
    return bool(_answers(f"{addresses.prefect_api}/flow_runs/count", chosen))
