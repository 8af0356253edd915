"""What supervisord keeps alive, and what is left of it when it was killed."""

from __future__ import annotations

import os
import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil

from components.settings import SUPERVISED_VARIABLE, Settings
from flows.probes import POOL, WORKER, Addresses

SERVICE_VARIABLE = "SUPERVISOR_PROCESS_NAME"  # set by supervisord for what it starts
END_SECONDS = 10.0


def supervisor_config(settings: Settings, addresses: Addresses) -> str:
    """The text of supervisord.conf for Prefect, MLflow, the worker and the reconciler."""
    home, host, python = settings.home, addresses.host, sys.executable
    programs = {
        "prefect": [
            *(python, "-m", "prefect", "server", "start"),
            *(f"--host={host}", f"--port={addresses.prefect_port}"),
        ],
        "mlflow": [
            *(python, "-m", "flows.successor"),
            *(python, "-m", "mlflow", "server"),
            *(f"--host={host}", f"--port={addresses.mlflow_port}", "--workers=1"),
            f"--backend-store-uri=sqlite:///{settings.mlflow_store}",
            f"--artifacts-destination={home}/mlflow/artifacts",
        ],
        "worker": [
            *(python, "-m", "flows.await_server", f"{addresses.prefect_api}/health"),
            *(python, "-m", "prefect", "worker", "start"),
            *(f"--pool={POOL}", "--type=process", f"--name={WORKER}"),
        ],
        "reconciler": [
            *(python, "-m", "flows.await_server", f"{addresses.prefect_api}/health"),
            *(python, "-m", "flows.reconcile_loop"),
        ],
    }
    sections = [
        "[supervisord]",
        f"logfile={settings.logs}/supervisord.log",
        f"pidfile={home}/run/supervisord.pid",
        f"childlogdir={settings.logs}",
        f"directory={home}",
        "silent=true",
    ]
    for name, command in programs.items():
        sections += [
            f"[program:{name}]",
            "command=" + shlex.join(command),
            f"directory={home}",
            f"stdout_logfile={settings.logs}/{name}.log",
            "redirect_stderr=true",
            "autorestart=true",
            "startsecs=3",
            "startretries=4",
            "stopwaitsecs=12",
            "stopasgroup=true",
            "killasgroup=true",
        ]
    return "\n".join(sections) + "\n"


def end_leftovers(home: Path, service: str | None = None) -> bool:
    """End what killed services of a state directory left, or one of them; whether there was any."""
    left = list(_marked(home, service))
    for process in left:
        _signal(process, signal.SIGTERM)
    _, stubborn = psutil.wait_procs(left, timeout=END_SECONDS)
    for process in stubborn:
        _signal(process, signal.SIGKILL)
    psutil.wait_procs(stubborn, timeout=END_SECONDS)
    return bool(left)


def _marked(home: Path, service: str | None) -> Iterator[psutil.Process]:
    own = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            environment = process.environ()
            mine = environment.get(SUPERVISED_VARIABLE) == str(home)
            meant = service is None or environment.get(SERVICE_VARIABLE) == service
            if mine and meant and process.pid not in own:
                yield process


def _signal(process: psutil.Process, number: int) -> None:
    with suppress(psutil.NoSuchProcess):
        process.send_signal(number)
