"""The servers of a stack: others run them, and this machine joins them with credentials.

Which they are stands in NIGHTFORGE_PREFECT_URI and NIGHTFORGE_MLFLOW_URI. The credentials are
those that Prefect's and MLflow's own clients read: PREFECT_API_AUTH_STRING as name:password, and
MLFLOW_TRACKING_USERNAME with MLFLOW_TRACKING_PASSWORD.
"""

from __future__ import annotations

import base64
import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass

from components.errors import ConfigError, ServiceError
from components.settings import MLFLOW_VARIABLE, PREFIX, Settings
from flows.probes import POOL, client_environment

PREFECT_VARIABLE = PREFIX + "PREFECT_URI"
PREFECT_LOGIN = "PREFECT_API_AUTH_STRING"
MLFLOW_NAME, MLFLOW_PASSWORD = "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"
PREFECT, MLFLOW = "prefect", "mlflow"
REFUSED = (401, 403)
_REFUSED = {str(status): f"refuses these credentials ({status})" for status in REFUSED}
PATIENCE_SECONDS = 60.0
POLL_SECONDS = 0.5


@dataclass(frozen=True)
class StackAddresses:
    """Where the servers of a stack are, for jobs and for browsers."""

    prefect_ui: str
    prefect_api: str
    mlflow: str
    mlflow_pages: str

    @property
    def mlflow_ui(self) -> str:
        """MLflow's list of experiments, in its view for model training."""
        return f"{self.mlflow_pages}/#/experiments?workflowType=machine_learning"


class Stack:
    """The servers that the settings name.

    Raises:
        ConfigError: If they name one of the two only.
    """

    def __init__(self, settings: Settings) -> None:
        prefect, mlflow = settings.prefect_uri, settings.mlflow_uri
        if prefect is None or mlflow is None:
            named, missing = PREFECT_VARIABLE, MLFLOW_VARIABLE
            if prefect is None:
                named, missing = missing, named
            raise ConfigError(
                missing,
                got=f"nothing, although {named} is set",
                wanted="the addresses of both servers of a stack, or of neither",
                remedy="Set it, or unset the other to use the embedded servers.",
            )
        prefect, mlflow = prefect.rstrip("/").removesuffix("/api"), mlflow.rstrip("/")
        pages = (settings.mlflow_ui or mlflow).rstrip("/")
        ui = os.environ.get("PREFECT_UI_URL", prefect).rstrip("/")
        self._settings = settings
        self.addresses = StackAddresses(ui, f"{prefect}/api", mlflow, pages)

    def join(self) -> StackAddresses:
        """The addresses, once both servers have let this machine in.

        Raises:
            ServiceError: If one refuses the credentials, or does not answer for a minute.
        """
        deadline = time.monotonic() + PATIENCE_SECONDS
        for name, where in ((PREFECT, self.addresses.prefect_api), (MLFLOW, self.addresses.mlflow)):
            while trouble := self._trouble(name):
                if trouble in map(str, REFUSED):
                    raise _refusal(name, where, trouble)
                if time.monotonic() > deadline:
                    raise ServiceError(
                        f"{name} server {where}",
                        got=trouble,
                        wanted="an answer",
                        remedy="See that the stack runs and that this machine reaches it.",
                    )
                time.sleep(POLL_SECONDS)
        return self.addresses

    def troubles(self) -> dict[str, str | None]:
        """Why a server cannot be used from here, and why nobody works; None where all is well."""
        found = {name: self._trouble(name) for name in (PREFECT, MLFLOW)}
        workers = "unknown" if found[PREFECT] else None if self._workers() else "none online"
        words = {name: _REFUSED.get(said, said) for name, said in found.items() if said}
        return found | words | {"workers": workers}

    def environment(self) -> dict[str, str]:
        """The environment of whatever talks to the servers: this one, pointed at them."""
        environment = client_environment(self._settings, os.environ)
        return environment | {
            PREFECT_VARIABLE: self.addresses.prefect_api.removesuffix("/api"),
            MLFLOW_VARIABLE: self.addresses.mlflow,
            "PREFECT_API_URL": self.addresses.prefect_api,
            "PREFECT_UI_URL": self.addresses.prefect_ui,
        }

    def _workers(self) -> int:
        url = f"{self.addresses.prefect_api}/work_pools/{POOL}/workers/filter"
        workers = _ask(url, {}, _prefect_login())
        return sum(worker["status"] == "ONLINE" for worker in workers)

    def _trouble(self, name: str) -> str | None:
        """Why a server cannot be used: a status, or what the network says; None if it can."""
        url = f"{self.addresses.prefect_api}/flow_runs/count"
        body: dict[str, object] = {}
        login = _prefect_login()
        if name == MLFLOW:
            url = f"{self.addresses.mlflow}/api/2.0/mlflow/experiments/search"
            body, login = {"max_results": 1}, _mlflow_login()
        try:
            _ask(url, body, login)
        except urllib.error.HTTPError as error:
            return str(error.code)
        except (OSError, ValueError) as error:
            return " ".join(str(error).split())[:200] or type(error).__name__
        return None


def _refusal(name: str, where: str, status: str) -> ServiceError:
    variables = PREFECT_LOGIN if name == PREFECT else f"{MLFLOW_NAME} and {MLFLOW_PASSWORD}"
    return ServiceError(
        f"{name} server {where}",
        got=f"status {status}: it does not accept this machine's credentials",
        wanted="an account of the stack",
        remedy=f"Set {variables} as in the stack's .env.",
    )


def _prefect_login() -> str | None:
    return os.environ.get(PREFECT_LOGIN)


def _mlflow_login() -> str | None:
    name, password = os.environ.get(MLFLOW_NAME), os.environ.get(MLFLOW_PASSWORD)
    return f"{name}:{password}" if name and password else None


def _ask(url: str, body: Mapping[str, object], login: str | None) -> list[dict[str, object]]:
    headers = {"Content-Type": "application/json"}
    if login:
        headers["Authorization"] = "Basic " + base64.b64encode(login.encode()).decode()
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)  # noqa: S310
    with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310 - as the pattern says
        found: list[dict[str, object]] = json.load(response)
        return found
