"""Tells people of runs that ended, through the notification blocks that params.yaml names."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import re
import threading
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated

import httpx
import prefect.blocks.notifications  # noqa: F401 - Block.load finds only types that are imported
from prefect.blocks.abstract import NotificationBlock, NotificationError
from prefect.blocks.core import Block
from prefect.client.orchestration import get_client
from prefect.exceptions import ObjectNotFound
from pydantic import ConfigDict, Field, RootModel, field_validator

from components.params import check, load_params
from components.settings import Settings
from flows.mail import Email
from flows.messages import Event, body_of, events_of, subject_of

if TYPE_CHECKING:  # reports sends
    from flows.reports import RunReport

SECTION = "notifications"
PATIENCE = 15.0  # seconds for all notifications of a run together
NAME = re.compile(r"[a-z0-9-]+/[a-z0-9-]+")

Events = Annotated[tuple[Event, ...], Field(min_length=1)]


class NotificationConfig(RootModel[dict[str, Events]]):
    """Which block is told of what (params.yaml: notifications): <type>/<name> to events."""

    model_config = ConfigDict(frozen=True)

    root: dict[str, Events] = {}

    @field_validator("root")
    @classmethod
    def _are_blocks(cls, value: dict[str, Events]) -> dict[str, Events]:
        for name in value:
            if not NAME.fullmatch(name):
                raise ValueError(f"type and name of a block, as in slack-webhook/team, not {name}")
        return value


def notify_ended(settings: Settings, report: RunReport) -> list[str]:
    """Tell everyone who asked for it how a run ended; never fails and never takes long.

    Args:
        settings: Their params_file says who asked for what.
        report: Of a run that will not go on.

    Returns:
        A line about each block that could not be told.
    """
    try:
        events, asked = events_of(report), configured(settings)
        blocks = [block for block, wanted in asked.items() if events & set(wanted)]
        return list(_tell(blocks, subject_of(report), body_of(report))) if blocks else []
    except Exception as error:  # whatever it is, the run's own results stand
        return [f"nobody was notified: {_words(error)}"]


def configured(settings: Settings) -> dict[str, Events]:
    """Blocks by name, and what each is told of.

    Raises:
        ConfigError: If params.yaml is not usable.
    """
    path = settings.params_file
    return check(
        NotificationConfig, load_params(path).get(SECTION, {}), f"{path.name}: {SECTION}"
    ).root


def prepare_blocks(settings: Settings) -> Iterator[str]:
    """Let the Prefect UI create e-mail blocks, and look for the blocks that params.yaml names.

    Yields:
        A line about each block that cannot be told of anything yet.

    Raises:
        ConfigError: If params.yaml is not usable.
    """
    Email.register_type_and_schema()
    with get_client(sync_client=True) as client:
        for block in configured(settings):
            kind, _, name = block.partition("/")
            try:
                found = client.read_block_document_by_name(name, kind)
            except ObjectNotFound:
                yield f"notifications: there is no block {block}; make it on Prefect's Blocks page"
                continue
            if found.block_schema and "notify" not in found.block_schema.capabilities:
                yield f"notifications: {block} is a block that cannot notify anybody"


def _tell(blocks: Iterable[str], subject: str, body: str) -> Iterator[str]:
    """Tell all at once; whoever does not answer in time is left behind."""
    trouble: dict[str, str] = {}

    def tell(block: str) -> None:
        try:
            _notify(block, subject, body)
        except Exception as error:  # of a library of the block's choice
            trouble[block] = _words(error)

    # Daemons, so that the end of the process need not wait for them either.
    threads = {
        block: threading.Thread(
            target=contextvars.copy_context().run, args=(tell, block), daemon=True
        )
        for block in blocks
    }
    for thread in threads.values():
        thread.start()
    deadline = time.monotonic() + PATIENCE
    for block, thread in threads.items():
        thread.join(max(0.0, deadline - time.monotonic()))
        if thread.is_alive():
            yield f"{block} was not notified: no answer within {PATIENCE:g} s"
        elif block in trouble:
            yield f"{block} was not notified: {trouble[block]}"


def _notify(name: str, subject: str, body: str) -> None:
    block = Block.load(name)
    if not isinstance(block, NotificationBlock):
        raise TypeError(f"{type(block).__name__} is a block that cannot notify anybody")
    with block.raise_on_failure():
        sending = block.notify(body, subject)
        if inspect.isawaitable(sending):  # Prefect's own blocks have sent by now
            asyncio.run(sending)


def _words(error: Exception) -> str:
    """One line without the address of a webhook, which is often a secret."""
    if isinstance(error, httpx.HTTPStatusError):
        return f"the answer was {error.response.status_code} {error.response.reason_phrase}"
    text = error.log if isinstance(error, NotificationError) else str(error)
    words = " ".join(re.sub(r"\S+://\S+", "...", text).split())[:300]
    return f"{type(error).__name__} ({words or 'no message'})"
