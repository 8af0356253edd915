"""The embedded servers: Prefect, MLflow, worker and reconciler, kept alive by supervisord.

supervisord restarts what dies; `down` stops it. Every process it starts carries the state
directory in its environment, so that what a SIGKILL of supervisord left behind is found again.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

import psutil

from components.errors import PortInUseError, ServiceError, StateDirectoryError
from components.settings import MLFLOW_VARIABLE, PREFIX, SUPERVISED_VARIABLE, Settings
from flows.probes import (
    POOL,
    Addresses,
    any_free,
    client_environment,
    free,
    mlflow_ready,
    prefect_ready,
    without_proxies_to,
    worker_ready,
)
from flows.supervision import SERVICE_VARIABLE, end_leftovers, supervisor_config

FOREIGN_PREFIXES = ("PREFECT_", "MLFLOW_")
ANY_HOST = ("0.0.0.0", "::")  # noqa: S104 - compared with, not bound to
USUAL_PORTS = {"prefect": 4200, "mlflow": 5000}
START_SECONDS = 180.0
STOP_SECONDS = 30.0
POLL_SECONDS = 0.2


@dataclass(frozen=True)
class ServiceStatus:
    """One line of `nightforge status`; `trouble` is what to call it if it does not run."""

    name: str
    running: bool
    detail: str
    trouble: str = "stopped"


class Embedded:
    """Starts, inspects and stops the services of one state directory."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._run = settings.home / "run"
        self._state = self._run / "services.json"
        self._pid = self._run / "supervisord.pid"

    def addresses(self) -> Addresses | None:
        """Where the servers listen, or None if they are not up."""
        if not self._supervisor():
            return None
        return self._read_state()

    def join(self) -> Addresses | None:
        """Where the servers listen, once each is usable; None if they are not up.

        A start or stop that another process has under way is waited for.

        Raises:
            ServiceError: If a service that should run does not come up.
        """
        if not self._run.is_dir():
            return None
        with (self._run / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH)
        if addresses := self.addresses():
            self._await_ready(addresses, lambda name: None)
        return addresses

    def start(
        self, on_progress: Callable[[str], None], prepare: Callable[[Addresses], None]
    ) -> Addresses:
        """Start the services, wait until each is usable, and prepare them.

        Args:
            on_progress: Told the name of each service that has become usable.
            prepare: What belongs to the start, such as registering deployments: nobody who
                joins uses the servers before it is done, and if it fails they are stopped.

        Raises:
            ServiceError: If they run already, a port is taken, or one does not come up.
            StateDirectoryError: If the state directory cannot be written.
        """
        self._settings.ensure_home()
        self._check_path()
        for folder in (self._run, self._settings.logs, self._settings.home / "mlflow"):
            folder.mkdir(exist_ok=True)
        with self._locked():
            if self._supervisor():
                raise ServiceError(
                    f"services of {self._settings.home}",
                    got="already running",
                    wanted="nothing running there",
                    remedy="Use them, or stop them with `nightforge down`.",
                )
            end_leftovers(self._settings.home)
            if not self._settings.up_since.exists():  # else a crash ended the servers
                self._settings.up_since.write_text(datetime.now(UTC).isoformat(), encoding="ascii")
            addresses = self._choose_addresses()
            self._state.write_text(json.dumps(asdict(addresses)), encoding="utf-8")
            log = self._settings.logs / "supervisord.log"
            log.unlink(missing_ok=True)
            self._launch(addresses)
            try:
                self._await_ready(addresses, on_progress)
                prepare(addresses)
            except BaseException:
                self._stop_all()
                raise
        return addresses

    def stop(self) -> bool:
        """Stop everything; False if nothing ran."""
        if not self._settings.home.is_dir():
            return False
        self._run.mkdir(exist_ok=True)
        with self._locked():
            return self._stop_all()

    def status(self) -> list[ServiceStatus]:
        """Each service and whether it answers."""
        addresses = self.addresses()
        if addresses is None:
            return [ServiceStatus(name, False, "stopped") for name in self._checks]
        where = {
            "prefect": addresses.prefect_ui,
            "mlflow": addresses.mlflow,
            "worker": f"work pool {POOL}",
            "reconciler": f"{self._settings.logs / 'reconciler.log'}",
        }
        return [
            ServiceStatus(name, ready(addresses), where[name])
            for name, ready in self._checks.items()
        ]

    def environment(self, addresses: Addresses) -> dict[str, str]:
        """The environment of the services, and of anything that talks to them."""
        settings = self._settings
        # What the shell says of other servers, accounts or databases is not for these.
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(FOREIGN_PREFIXES)}
        direct = without_proxies_to(addresses.host, inherited)
        environment = client_environment(settings, direct) | {
            MLFLOW_VARIABLE: addresses.mlflow,
            "PREFECT_API_URL": addresses.prefect_api,
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
            # The other interface asks a host outside for its analytics even when they are off.
            "PREFECT_SERVER_UI_V2_ENABLED": "false",
            "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": (
                "prefect.server.concurrency.lease_storage.filesystem"
            ),
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        }
        if addresses.host not in ANY_HOST:  # MLflow refuses pages of addresses it was not told of
            port = addresses.mlflow_port
            hosts = dict.fromkeys((addresses.host, "127.0.0.1", "localhost"))
            environment |= {
                "MLFLOW_SERVER_ALLOWED_HOSTS": ",".join(f"{host}:{port}" for host in hosts),
                "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS": addresses.mlflow,
            }
        return environment

    def log_tail(self, service: str, lines: int = 8) -> str:
        """The last lines a service printed."""
        path = self._settings.logs / f"{service}.log"
        if not path.exists():
            return ""
        return "\n".join(path.read_text("utf-8", errors="replace").splitlines()[-lines:])

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with (self._run / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ServiceError(
                    f"services of {self._settings.home}",
                    got="another `nightforge up` or `down` at work",
                    wanted="one at a time",
                    remedy="Wait for it to finish.",
                ) from None
            yield

    def _check_path(self) -> None:
        if "%" in f"{self._settings.home}{sys.executable}":
            raise StateDirectoryError(
                f"state directory {self._settings.home}",
                got="a path with a percent sign, to it or to Python",
                wanted="paths that supervisord's configuration can hold",
                remedy="Point NIGHTFORGE_HOME at another folder, or move the clone.",
            )

    def _read_state(self) -> Addresses | None:
        try:
            return Addresses(**json.loads(self._state.read_text("utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def _supervisor(self) -> psutil.Process | None:
        try:
            process = psutil.Process(int(self._pid.read_text()))
            if process.environ().get(SUPERVISED_VARIABLE) == str(self._settings.home):
                return process
        except (OSError, ValueError, psutil.Error):
            pass
        return None

    @property
    def _checks(self) -> dict[str, Callable[[Addresses], bool]]:
        """Whether each service is usable."""
        return {
            "prefect": lambda at: self._listens("prefect", at.prefect_port) and prefect_ready(at),
            "mlflow": lambda at: self._listens("mlflow", at.mlflow_port) and mlflow_ready(at),
            "worker": self._worker_ready,
            "reconciler": lambda at: self._process("reconciler") is not None,
        }

    def _worker_ready(self, addresses: Addresses) -> bool:
        with suppress(psutil.Error):  # it may be ending
            if process := self._process("worker"):
                since = datetime.fromtimestamp(process.create_time(), UTC)
                return worker_ready(addresses, since)
        return False

    def _listens(self, service: str, port: int) -> bool:
        """Whether it is our own server that has the port: another installation may be faster."""
        with suppress(psutil.Error):
            if process := self._process(service):
                family = [process, *process.children(recursive=True)]
                open_ = [one for member in family for one in member.net_connections("tcp")]
                return any(
                    one.status == psutil.CONN_LISTEN and one.laddr.port == port for one in open_
                )
        return False

    def _process(self, service: str) -> psutil.Process | None:
        """The process that supervisord started for a service, if it runs now."""
        supervisor = self._supervisor()
        with suppress(psutil.NoSuchProcess):
            for child in supervisor.children() if supervisor else ():
                with suppress(psutil.Error):  # it may be ending
                    if child.environ().get(SERVICE_VARIABLE) == service:
                        return child
        return None

    def _choose_addresses(self) -> Addresses:
        before, host = self._read_state(), self._settings.host
        ports = {name: getattr(self._settings, f"{name}_port") for name in USUAL_PORTS}
        for name, port in ports.items():
            if port and (not free(host, port) or list(ports.values()).count(port) > 1):
                raise PortInUseError(
                    f"port {port} for {name}",
                    got="a port that is in use",
                    wanted="a free port",
                    remedy=f"Free it, or set {PREFIX}{name.upper()}_PORT to another or to 0.",
                )
        for name, usual in USUAL_PORTS.items():
            earlier = getattr(before, f"{name}_port") if before else usual
            taken = {port for port in ports.values() if port}
            preferred = [p for p in (earlier, usual) if p not in taken and free(host, p)]
            ports[name] = ports[name] or (preferred or [any_free(host)])[0]
        return Addresses(host, ports["prefect"], ports["mlflow"])

    def _launch(self, addresses: Addresses) -> None:
        config = self._run / "supervisord.conf"
        config.write_text(supervisor_config(self._settings, addresses), encoding="utf-8")
        environment = self.environment(addresses) | {SUPERVISED_VARIABLE: str(self._settings.home)}
        done = subprocess.run(
            [sys.executable, "-m", "supervisor.supervisord", "-c", str(config)],
            env=environment,
            cwd=self._settings.home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        if done.returncode != 0:
            raise ServiceError(
                "supervisord",
                got=f"exit status {done.returncode} ({done.stderr.strip()[-300:]})",
                wanted="a running supervisor",
                remedy=f"See {self._settings.logs}.",
            )

    def _await_ready(self, addresses: Addresses, on_progress: Callable[[str], None]) -> None:
        waiting = dict(self._checks)
        deadline = time.monotonic() + START_SECONDS
        log = self._settings.logs / "supervisord.log"
        while waiting:
            for name in [name for name, ready in waiting.items() if ready(addresses)]:
                del waiting[name]
                on_progress(name)
            messages = log.read_text("utf-8") if log.exists() else ""
            dead = [name for name in waiting if f"gave up: {name} " in messages]
            if dead or (waiting and time.monotonic() > deadline):
                name = (dead or sorted(waiting))[0]
                raise ServiceError(
                    name,
                    got="a process that keeps ending" if dead else "no answer",
                    wanted=f"a usable service within {START_SECONDS:.0f} s",
                    remedy=f"See {self._settings.logs / (name + '.log')}:\n{self.log_tail(name)}",
                )
            time.sleep(POLL_SECONDS)

    def _stop_all(self) -> bool:
        self._settings.up_since.unlink(missing_ok=True)
        supervisor = self._supervisor()
        if supervisor:
            supervisor.send_signal(signal.SIGTERM)
            try:
                supervisor.wait(STOP_SECONDS)
            except psutil.TimeoutExpired:
                supervisor.kill()
        return end_leftovers(self._settings.home) or supervisor is not None
