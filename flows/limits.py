"""What must not happen too often at a time: concurrency limits of the Prefect server.

A slot is held on a lease, which its holder renews: that of a killed process comes back by itself.
The processors of a machine concern that machine alone: there a file is locked.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate
from prefect.concurrency.asyncio import ConcurrencySlotAcquisitionError
from prefect.concurrency.sync import concurrency
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound

from components.errors import ServiceError
from components.fencing import Fence
from components.jobs.locks import try_lock
from components.settings import Settings

GPU_LIMIT = "gpu"
GPU_SLOTS = 4  # small trials that share the GPUs at first; a person may change it in the UI
GPU_SECONDS = 90.0  # after which the slot of a killed process comes back; spans a server's restart
PROMOTION_SECONDS = 60.0  # likewise; Prefect's minimum
# Two trainings at a time on the same processors take longer than one after the other.
PROCESSORS = 8
POLL_SECONDS = 0.5
# One of them is there on Linux if PyTorch can reach a GPU: NVIDIA's, also under Windows and on
# Jetson boards, and AMD's.
GPU_DEVICES = tuple(Path("/dev") / name for name in ("nvidiactl", "dxg", "nvmap", "kfd"))


def ensure_limit(client: SyncPrefectClient, name: str, slots: int) -> None:
    """Make a limit, unless there is one: that may have been changed by a person.

    It is asked for first: a refused insert can keep SQLite's connection, and with it the whole
    embedded server, for the 60 s that the next writer waits.
    """
    with suppress(ObjectNotFound):
        client.read_global_concurrency_limit_by_name(name)
        return
    limit = GlobalConcurrencyLimitCreate(name=name, limit=slots, active=True)
    with suppress(ObjectAlreadyExists):
        client.create_global_concurrency_limit(limit)


def on_gpus() -> bool:
    """Whether this machine trains on GPUs; loads PyTorch only where there may be one."""
    if sys.platform == "linux" and not any(path.exists() for path in GPU_DEVICES):
        return False
    import torch

    return torch.cuda.is_available()


@contextmanager
def training_slot(settings: Settings) -> Iterator[float]:
    """A place on the GPUs where there are any, else on this machine's processors; waits for it.

    Yields:
        The share of a GPU's memory that belongs to the place, in (0, 1].

    Raises:
        ServiceError: If there is no limit for the GPUs, or Prefect's server does not answer.
    """
    if not on_gpus():
        with _processors(settings.home / "run"):
            yield 1.0
        return
    what = f"a place to train (limit {GPU_LIMIT})"
    with _refusing(what), get_client(sync_client=True) as client:
        places = client.read_global_concurrency_limit_by_name(GPU_LIMIT).limit
    with _slot(GPU_LIMIT, GPU_SECONDS, what):
        yield 1 / max(1, places)


@contextmanager
def own_slot(settings: Settings) -> Iterator[None]:
    """A place to train for this process, which may use no more than its share of the memory."""
    import torch

    with training_slot(settings) as share:
        if on_gpus():
            torch.cuda.set_per_process_memory_fraction(share)
        yield


@contextmanager
def _processors(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    places = max(1, (os.cpu_count() or 1) // PROCESSORS)
    files = [folder / f"training-{socket.gethostname()}-{place}" for place in range(places)]
    while True:
        for file in files:
            with try_lock(file) as mine:
                if mine:
                    yield
                    return
        time.sleep(POLL_SECONDS)


@contextmanager
def one_promotion_at_a_time(settings: Settings, model: str) -> Iterator[Fence]:
    """From the comparison with a champion to the move of its alias, nobody else does either.

    Yields:
        The turn, without which no alias is moved: a process that was paused for longer than its
        lease finds it taken.

    Raises:
        ServiceError: If Prefect's server does not answer.
    """
    name, what = promotion_limit(model), f"promotions of {model}, one at a time"
    with _refusing(what), get_client(sync_client=True) as client:
        ensure_limit(client, name, 1)
    with _slot(name, PROMOTION_SECONDS, what):
        yield Fence.take(settings.home / "turns" / name)


@contextmanager
def _slot(name: str, seconds: float, what: str) -> Iterator[None]:
    with ExitStack() as held:
        with _refusing(what):
            held.enter_context(concurrency(name, strict=True, lease_duration=seconds))
        yield


@contextmanager
def _refusing(what: str) -> Iterator[None]:
    try:
        yield
    except (ConcurrencySlotAcquisitionError, ObjectNotFound, httpx.HTTPError) as error:
        raise ServiceError(
            what,
            got=" ".join(str(error).split())[:300] or type(error).__name__,
            wanted="leave of Prefect's server",
            remedy="See `nightforge status`; `nightforge up` makes limits that are missing.",
        ) from error


def promotion_limit(model: str) -> str:
    """The concurrency limit that serialises the promotions of a registered model."""
    return f"promotion-{model}"
