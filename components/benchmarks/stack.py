"""An installation of its own for a benchmark: started, triggered and looked into from outside."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil

from components.errors import ServiceError
from components.jobs.context import JobContext
from components.settings import PREFIX, PROJECT_ROOT, Settings

COMMANDS = "flows.cli"
SERVICE = "SUPERVISOR_PROCESS_NAME"  # set by supervisord for what it starts
FINAL = ("COMPLETED", "FAILED", "CANCELLED")
POLL_SECONDS = 0.3
PATIENCE_SECONDS = 300.0  # a server under many kills is back within this time


@dataclass(frozen=True)
class Stack:
    """A state directory with servers of its own.

    Attributes:
        home: The state directory.
        params: Its params.yaml.
    """

    home: Path
    params: Path

    @property
    def environment(self) -> dict[str, str]:
        """What its commands are started with; other installations in the shell are not meant."""
        foreign = (PREFIX, "PREFECT_", "MLFLOW_")
        kept = {key: value for key, value in os.environ.items() if not key.startswith(foreign)}
        return kept | {f"{PREFIX}HOME": str(self.home), f"{PREFIX}PARAMS_FILE": str(self.params)}

    def start(self, *arguments: str, module: str = COMMANDS) -> subprocess.Popen[str]:
        """Begin a command of `nightforge`, or another module."""
        return subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=PROJECT_ROOT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def call(self, *arguments: str, module: str = COMMANDS) -> str:
        """Run a command of `nightforge`, or another module, to its end; what it printed.

        Raises:
            ServiceError: If it failed.
        """
        with self.start(*arguments, module=module) as process:
            printed = process.communicate()[0]
        if process.returncode:
            raise ServiceError(
                f"{module} {' '.join(arguments)}",
                got=f"exit status {process.returncode} ({' '.join(printed.split())[-400:]})",
                wanted="success",
                remedy="Correct what it names.",
            )
        return printed

    @contextmanager
    def up(self) -> Iterator[None]:
        """Its servers, started here and stopped at the end."""
        try:
            self.call("up")
            yield
        finally:
            self.call("down")

    def addresses(self) -> Mapping[str, Any]:
        """Host and ports of its servers."""
        text = (self.home / "run" / "services.json").read_text(encoding="utf-8")
        found: dict[str, Any] = json.loads(text)
        return found

    def context(self) -> JobContext:
        """Its tracker and registry."""
        where = self.addresses()
        uri = f"http://{where['host']}:{where['mlflow_port']}"
        return JobContext.connect(Settings(home=self.home, params_file=self.params, mlflow_uri=uri))

    def api(self, path: str, body: object = None) -> Any:
        """One request to Prefect's interface, repeated while its server is away.

        Raises:
            ServiceError: If it stays away.
        """
        where = self.addresses()
        return _ask(f"http://{where['host']}:{where['prefect_port']}/api{path}", body)

    def mlflow(self, path: str, body: object = None) -> Any:
        """One request to MLflow's interface, likewise."""
        where = self.addresses()
        return _ask(f"http://{where['host']}:{where['mlflow_port']}/api/2.0/mlflow{path}", body)

    def flow_runs(self) -> list[dict[str, Any]]:
        """All flow runs, the newest first."""
        body = {"sort": "EXPECTED_START_TIME_DESC", "limit": 200}
        runs: list[dict[str, Any]] = self.api("/flow_runs/filter", body)
        return runs

    def flow_run(self, id_: str) -> dict[str, Any]:
        """One flow run as it is now."""
        run: dict[str, Any] = self.api(f"/flow_runs/{id_}")
        return run

    def trigger(self, *arguments: str) -> tuple[str, subprocess.Popen[str]]:
        """Begin a run; its id, and the command that follows it."""
        known = {run["id"] for run in self.flow_runs()}
        process = self.start("run", *arguments)
        while True:
            for run in self.flow_runs():
                if run["id"] not in known:
                    return run["id"], process
            if process.poll() is not None:
                assert process.stdout
                raise ServiceError(
                    f"nightforge run {' '.join(arguments)}",
                    got=" ".join(process.stdout.read().split())[-400:],
                    wanted="a flow run",
                    remedy="Correct what it names.",
                )
            time.sleep(POLL_SECONDS)

    def service(self, name: str) -> psutil.Process | None:
        """The process that supervisord started for a service, if it runs."""
        with suppress(psutil.Error, OSError, ValueError):
            supervisor = psutil.Process(int((self.home / "run" / "supervisord.pid").read_text()))
            for child in supervisor.children():
                if child.environ().get(SERVICE) == name:
                    return child
        return None

    def processes(self, words: Sequence[str]) -> list[psutil.Process]:
        """Its processes whose command line has one of the words."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                line = " ".join(process.cmdline())
                mine = process.environ().get(f"{PREFIX}HOME") == str(self.home)
                if mine and any(word in line for word in words):
                    found.append(process)
        return found


def _ask(url: str, body: object) -> Any:
    deadline, said = time.monotonic() + PATIENCE_SECONDS, "nothing"
    with httpx.Client(trust_env=False, timeout=30) as client:
        while time.monotonic() < deadline:
            with suppress(httpx.TransportError):
                answer = client.get(url) if body is None else client.post(url, json=body)
                if answer.is_success:
                    return answer.json()
                said = f"{answer.status_code} {answer.text[:200]}"
            time.sleep(POLL_SECONDS)
    raise ServiceError(url, got=said, wanted="an answer", remedy="See the logs of its servers.")
