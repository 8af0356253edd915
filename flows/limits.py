"""What must not happen twice at a time: concurrency limits of the Prefect server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import httpx
from prefect.client.orchestration import get_client
from prefect.concurrency.asyncio import ConcurrencySlotAcquisitionError
from prefect.concurrency.sync import concurrency
from prefect.exceptions import ObjectNotFound

from components.errors import ServiceError

GPU_LIMIT = "gpu"
GPU_SLOTS = 4  # small trials that share the GPUs at first; a person may change it in the UI
LEASE_SECONDS = 60.0  # after this time the slot of a killed flow run comes back; Prefect's minimum


@contextmanager
def gpu_slot() -> Iterator[None]:
    """One of the places on the GPUs, where there are GPUs."""
    import torch

    if not torch.cuda.is_available():
        yield
        return
    with concurrency(GPU_LIMIT, strict=True, lease_duration=LEASE_SECONDS):
        yield


@contextmanager
def one_promotion_at_a_time(model: str) -> Iterator[None]:
    """From the comparison with a champion to the move of its alias, nobody else does either.

    Raises:
        ServiceError: If Prefect's server does not answer.
    """
    with ExitStack() as held:
        try:
            _ensure(promotion_limit(model))
            held.enter_context(
                concurrency(promotion_limit(model), strict=True, lease_duration=LEASE_SECONDS)
            )
        except (ConcurrencySlotAcquisitionError, httpx.HTTPError) as error:
            raise ServiceError(
                f"promotions of {model}, one at a time",
                got=" ".join(str(error).split())[:300] or type(error).__name__,
                wanted="Prefect's leave to be the only one",
                remedy="See `nightforge status`; then try again.",
            ) from error
        yield


def _ensure(limit: str) -> None:
    """Make the limit of a model that was registered by hand; others are there from the start."""
    with get_client(sync_client=True) as client:
        try:
            client.read_global_concurrency_limit_by_name(limit)
        except ObjectNotFound:
            client.upsert_global_concurrency_limit_by_name(limit, 1)


def promotion_limit(model: str) -> str:
    """The concurrency limit that serialises the promotions of a registered model."""
    return f"promotion-{model}"
