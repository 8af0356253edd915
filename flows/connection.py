"""This process's clients of the servers: the embedded ones, or those of a stack."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from components.errors import ServiceError
from components.settings import Settings
from flows.embedded import Embedded
from flows.probes import Addresses
from flows.stack import Stack, StackAddresses

if TYPE_CHECKING:
    from components.jobs.context import JobContext


@contextmanager
def answering(settings: Settings) -> Iterator[None]:
    """Turn what the HTTP client of Prefect says of its server into one clear line.

    Raises:
        ServiceError: If the server cannot be reached, or answers with an error.
    """
    import httpx

    try:
        yield
    except httpx.HTTPError as error:
        raise ServiceError(
            "Prefect's server",
            got=f"{type(error).__name__} ({' '.join(str(error).split())[:300] or 'no message'})",
            wanted="an answer",
            remedy=f"See `nightforge status` and {settings.logs / 'prefect.log'}; "
            "a run that was started goes on.",
        ) from error


def in_stack(settings: Settings) -> bool:
    """Whether the settings name servers that others run."""
    return settings.prefect_uri is not None


def join(settings: Settings) -> Addresses | StackAddresses | None:
    """Where the servers are, once they are usable; None if the embedded ones are not up.

    Raises:
        ConfigError: If the settings name one server of a stack only.
        ServiceError: If a server that should run does not answer, or refuses the credentials.
    """
    return Stack(settings).join() if in_stack(settings) else Embedded(settings).join()


def connect(settings: Settings, addresses: Addresses | StackAddresses) -> None:
    """Point this process's Prefect and MLflow clients at the servers.

    Must come before the first import of prefect, which reads the environment then.
    """
    if isinstance(addresses, Addresses):
        environment = Embedded(settings).environment(addresses)
    else:
        environment = Stack(settings).environment()
    os.environ.clear()
    os.environ.update(environment)


def register_if_running(settings: Settings) -> None:
    """Register the deployments again where servers run, so that forms name today's datasets.

    Raises:
        ServiceError: If the server cannot be reached.
    """
    running = Stack(settings).join if in_stack(settings) else Embedded(settings).addresses
    addresses = running()
    if addresses is None:
        return
    connect(settings, addresses)
    from flows.deployments import register_all

    with answering(settings):
        register_all(settings)


def job_context(settings: Settings) -> JobContext:
    """What a job needs, over the MLflow server that the settings name or that runs embedded.

    Raises:
        ServiceError: If there is neither, or a service that should run does not answer.
    """
    if in_stack(settings) or settings.mlflow_uri is None:
        addresses = join(settings)
        if addresses is None:
            raise ServiceError(
                f"services of {settings.home}",
                got="nothing running",
                wanted="the embedded servers, which hold the models",
                remedy="Start them with `nightforge up`.",
            )
        connect(settings, addresses)
        settings = Settings.from_environment(os.environ)
    from components.jobs.context import JobContext

    return JobContext.connect(settings)
