"""A registered classifier over HTTP: MLflow's scoring server around the version an alias names.

Each version has an application of its own. A new one is loaded and tried beside the old one, then
one reference changes: a request ends with the version it began with.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Event, Thread

import numpy as np
import uvicorn
from starlette.types import ASGIApp

from components.errors import PortInUseError, PromotionError, TrackingUnavailableError
from components.jobs.context import JobContext
from components.jobs.contracts import Contract, check_width, contract_of
from components.jobs.references import Reference, find
from components.jobs.serve_app import Application, Classifying, ServedModel, application
from components.tracking.base import ModelRegistry, ModelVersion

Say = Callable[[str], None]
POLL_SECONDS = 2.0
PATIENCE = 30  # polls after which a version that could not be taken is tried again
TRIED_BATCH = 2


@dataclass(frozen=True)
class Served:
    """One version, loaded and tried, with its application."""

    version: ModelVersion
    app: ASGIApp

    @property
    def identity(self) -> tuple[int, str]:
        """Which version it is; a model that was deleted may come back with the same numbers."""
        return self.version.version, self.version.run_id


class Follower:
    """Holds the version to serve, and replaces it when the alias moves.

    Args:
        registry: Where the alias is looked up.
        reference: What to serve; a version that is named by its number stays.
        load: Makes a version ready, or raises.
        say: Told of every change and every new trouble, in one line.

    Attributes:
        served: The version to answer with; one assignment replaces it.

    Raises:
        NightforgeError: If there is nothing to serve at the start.
    """

    def __init__(
        self,
        registry: ModelRegistry,
        reference: Reference,
        load: Callable[[ModelVersion], Served],
        say: Say,
    ) -> None:
        self._registry, self._reference = registry, reference
        self._load, self._say = load, say
        self._refused: tuple[int, str] | None = None
        self._patience = 0
        self._trouble = ""
        self.served = load(find(registry, reference))

    def current(self) -> tuple[int, ASGIApp]:
        """The number of the version to answer with, and its application; of one and the same."""
        served = self.served
        return served.version.version, served.app

    def run(self, stop: Event, seconds: float) -> None:
        """Look at the alias every few seconds until `stop` is set."""
        while not stop.wait(seconds):
            self.poll()

    def poll(self) -> None:
        """Look at the alias once; whatever goes wrong, the version that is held stays."""
        try:
            version = find(self._registry, self._reference)
            if (version.version, version.run_id) == self.served.identity:
                self._well()
            elif self._worth_trying(version):
                self._take(version)
        except Exception as error:  # the server must outlive every trouble of the registry
            self._complain(error)

    def _worth_trying(self, version: ModelVersion) -> bool:
        if (version.version, version.run_id) != self._refused:
            return True
        self._patience -= 1
        return self._patience <= 0

    def _take(self, version: ModelVersion) -> None:
        try:
            served = self._load(version)
        except TrackingUnavailableError:  # says nothing about the version
            raise
        except Exception:
            self._refused, self._patience = (version.version, version.run_id), PATIENCE
            raise
        self.served = served
        self._well()
        self._say(f"now serving {version.name} version {version.version}")

    def _well(self) -> None:
        if self._trouble:
            self._say("the registry and its model are in order again")
        self._trouble, self._refused = "", None

    def _complain(self, error: Exception) -> None:
        said = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        if said != self._trouble:
            self._say(f"still serving version {self.served.version.version}; {said}")
        self._trouble = said


def load_served(context: JobContext, reference: Reference, version: ModelVersion) -> Served:
    """Load a version whole, try it once, and put an application around it.

    Raises:
        PromotionError: If it is no classifier, or does not answer as one.
        TrackingError: If it cannot be loaded.
    """
    from components.tracking.serving import load_scoring_model, scoring_app

    model = load_scoring_model(version)
    contract = contract_of(context, version, model.module)
    try_out(version, contract, model)
    about = ServedModel(
        name=version.name,
        version=version.version,
        alias=reference.alias,
        classes=contract.class_names,
        input_shape=contract.input_shape,
        run=context.tracker.get(version.run_id).url,
        loaded_at=datetime.now(UTC),
    )
    return Served(version, application(scoring_app(model), about, contract, model))


def try_out(version: ModelVersion, contract: Contract, model: Classifying) -> None:
    """Let a model classify empty inputs, so that the first real ones find it warm.

    Raises:
        PromotionError: If it does not answer with finite scores, one for each class.
    """
    scores = model.scores(contract.blank(TRIED_BATCH))
    check_width(version, scores.shape[-1], contract)
    if scores.shape[0] != TRIED_BATCH or not np.isfinite(scores).all():
        raise PromotionError(
            f"model {version.name} version {version.version}",
            got=f"scores of shape {scores.shape} that are not all finite numbers",
            wanted=f"finite ones, a row for each of {TRIED_BATCH} empty inputs",
            remedy="It is not served; point the alias at another version.",
        )


def serve(
    context: JobContext, reference: Reference, host: str, port: int, seconds: float, say: Say
) -> None:
    """Serve until SIGTERM or Ctrl-C.

    Args:
        context: The MLflow server and the state directory.
        reference: What to serve; an alias is followed.
        host: Address to listen at.
        port: 0 takes a free one.
        seconds: Between two looks at the alias.
        say: Receives lines for a person.

    Raises:
        PortInUseError: If nothing can listen there.
        NightforgeError: If there is nothing to serve at the start.
    """
    stop = Event()
    with closing(_bound(host, port)) as listening:
        follower = Follower(
            context.registry, reference, lambda v: load_served(context, reference, v), say
        )
        if reference.alias:
            Thread(target=follower.run, args=(stop, seconds), daemon=True).start()
        app = Application(follower.current, say)
        config = uvicorn.Config(
            app, lifespan="off", ws="none", log_level="warning", access_log=False
        )
        first = follower.served.version
        where = f"http://{f'[{host}]' if ':' in host else host}:{listening.getsockname()[1]}"
        line = f"serving {first.name} version {first.version} at {where}"
        try:
            _Server(config, lambda: say(line)).run(sockets=[listening])
        except KeyboardInterrupt:  # uvicorn passes the signal on once every request is answered
            say("stopped")
        finally:
            stop.set()


class _Server(uvicorn.Server):
    """Tells when it can be reached."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()


def _bound(host: str, port: int) -> socket.socket:
    """A socket that holds the port; connections wait until the model is there."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sends small answers at once (TCP_NODELAY) only where the protocol is stated.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
        bound.listen()  # only now nobody else gets the port
    except OSError as error:
        bound.close()
        raise PortInUseError(
            f"{host} port {port}",
            got=error.strerror or str(error),
            wanted="an address of this machine and a free port",
            remedy="Choose others with --host and --port; port 0 takes a free one.",
        ) from None
    return bound
