"""Where the workers of a sweep run: here, or on a Dask or Ray cluster."""

from __future__ import annotations

import socket
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from components.errors import ConfigError

LOOPBACK = "127.0.0.1"


def task_runner(name: str, workers: int) -> TaskRunner[Any]:
    """The task runner for `workers` long tasks.

    Args:
        name: NIGHTFORGE_SWEEP_RUNNER: local, dask, ray, or the address of a cluster.
        workers: Tasks at the same time.

    Raises:
        ConfigError: If the package for it is not installed.
    """
    if name == "local":  # a task only looks after its process, so a thread is enough for it
        return ThreadPoolTaskRunner(max_workers=workers)
    engine = "ray" if name.startswith("ray") else "dask"
    try:
        package = import_module(f"prefect_{engine}")
    except ImportError as error:
        raise ConfigError(
            f"NIGHTFORGE_SWEEP_RUNNER={name}",
            got=str(error),
            wanted=f"the packages for {engine}",
            remedy=f"Install them: pip install 'nightforge[{engine}]'.",
        ) from None
    here: dict[str, Any] = {
        "ray": {"init_kwargs": {"num_cpus": workers, "include_dashboard": False}},
        "dask": {
            "cluster_kwargs": {
                "n_workers": workers,
                "threads_per_worker": 1,
                "dashboard_address": None,
            }
        },
    }
    kind = package.RayTaskRunner if engine == "ray" else package.DaskTaskRunner
    runner: TaskRunner[Any] = kind(**here.get(name, {"address": name}))
    return runner


def own_address(name: str) -> str:
    """The address of this machine that a cluster's workers can reach."""
    target = urlsplit(name)
    if target.hostname is None:
        return LOOPBACK
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:  # sends nothing
        probe.connect((target.hostname, target.port or 80))
        return str(probe.getsockname()[0])
