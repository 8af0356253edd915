"""What supervisord keeps alive: the configuration of the embedded services."""

from __future__ import annotations

import shlex
import sys

from components.settings import Settings
from flows.probes import POOL, WORKER, Addresses


def supervisor_config(settings: Settings, addresses: Addresses) -> str:
    """The text of supervisord.conf for Prefect, MLflow and the worker."""
    home, host, python = settings.home, addresses.host, sys.executable
    programs = {
        "prefect": [
            *(python, "-m", "prefect", "server", "start"),
            *(f"--host={host}", f"--port={addresses.prefect_port}"),
        ],
        "mlflow": [
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
