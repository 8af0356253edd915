"""Following an alias: what is taken, what is not, what is said; and requests on the way."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from threading import Event, Thread

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route
from toy_night import trained

from components.errors import PortInUseError, PromotionError, TrackingUnavailableError
from components.jobs.context import JobContext
from components.jobs.references import Reference, parse
from components.jobs.serve import PATIENCE, Follower, Served, serve
from components.jobs.serve_app import VERSION_HEADER, Application
from components.settings import Settings
from components.tracking.base import ModelVersion, Tag
from components.tracking.memory import MemoryTracker

MODEL = "toy-classifier"


class Away:
    """A registry that can be out of reach."""

    def __init__(self, inner: object) -> None:
        self._inner, self.away = inner, False

    def __getattr__(self, name: str) -> object:
        if self.away:
            raise TrackingUnavailableError(
                "MLflow", got="no answer", wanted="an answer", remedy="Wait."
            )
        return getattr(self._inner, name)


@dataclass
class World:
    registry: Away
    said: list[str] = field(default_factory=list)
    loaded: list[int] = field(default_factory=list)
    broken: dict[int, Exception] = field(default_factory=dict)

    def load(self, version: ModelVersion) -> Served:
        self.loaded.append(version.version)
        if version.version in self.broken:
            raise self.broken[version.version]
        return Served(version, _app(version.version))

    def follower(self, reference: Reference | None = None) -> Follower:
        return Follower(self.registry, reference or Reference(MODEL), self.load, self.said.append)

    def champion(self, version: int) -> None:
        self.registry.set_alias(MODEL, "champion", version)


STARTED, GO_ON = Event(), Event()


def _app(version: int) -> Starlette:
    """An application whose slow answers wait for the test."""

    async def slow(request: Request) -> StreamingResponse:
        async def body() -> AsyncIterator[str]:
            STARTED.set()
            await asyncio.to_thread(GO_ON.wait)
            yield f"{version}"

        return StreamingResponse(body())

    async def quick(request: Request) -> PlainTextResponse:
        return PlainTextResponse(f"{version}")

    async def failing(request: Request) -> PlainTextResponse:
        raise RuntimeError("a secret of the inside")

    return Starlette(
        routes=[Route("/slow", slow), Route("/quick", quick), Route("/failing", failing)]
    )


@pytest.fixture
def world(context: JobContext) -> World:
    """Three versions; the first is the champion."""
    for number in range(3):
        run = trained(context, 0.9, f"run {number}")
        tags = {str(Tag.INPUT_SHAPE): run.tags[Tag.INPUT_SHAPE]}
        context.registry.register(MODEL, run.run_id, tags)
    made = World(Away(context.registry))
    made.champion(1)
    return made


def test_it_takes_what_the_alias_names_and_loads_each_version_once(world: World) -> None:
    follower = world.follower()
    follower.poll()
    world.champion(2)
    follower.poll()
    follower.poll()
    assert follower.served.version.version == 2
    assert world.loaded == [1, 2]
    assert world.said == [f"now serving {MODEL} version 2"]


def test_a_version_that_fails_is_not_taken_and_tried_again_only_later(world: World) -> None:
    follower = world.follower()
    world.broken[2] = RuntimeError("cut short")
    world.champion(2)
    for _ in range(PATIENCE):
        follower.poll()
    assert world.loaded == [1, 2]
    assert follower.served.version.version == 1
    assert world.said == ["still serving version 1; RuntimeError: cut short"]
    del world.broken[2]
    follower.poll()
    assert follower.served.version.version == 2


def test_it_goes_back_to_what_it_serves_without_loading(world: World) -> None:
    follower = world.follower()
    world.broken[2] = RuntimeError("cut short")
    world.champion(2)
    follower.poll()
    world.champion(1)
    follower.poll()
    assert world.loaded == [1, 2]
    assert world.said[1:] == ["the registry and its model are in order again"]
    world.champion(2)
    follower.poll()
    assert world.loaded == [1, 2, 2]  # the alias was set again: worth another attempt at once


def test_a_registry_out_of_reach_is_said_once_and_outlived(world: World) -> None:
    follower = world.follower()
    world.champion(2)
    world.registry.away = True
    for _ in range(3):
        follower.poll()
    assert follower.served.version.version == 1
    world.registry.away = False
    follower.poll()
    assert follower.served.version.version == 2
    assert [line.partition(":")[0] for line in world.said] == [
        "still serving version 1; TrackingUnavailableError",
        "the registry and its model are in order again",
        f"now serving {MODEL} version 2",
    ]


def test_trouble_while_loading_is_not_the_versions_fault(world: World) -> None:
    follower = world.follower()
    world.broken[2] = TrackingUnavailableError("MLflow", got="no", wanted="yes", remedy="Wait.")
    world.champion(2)
    follower.poll()
    follower.poll()
    assert world.loaded == [1, 2, 2]


def test_a_removed_alias_keeps_the_old_version(world: World) -> None:
    follower = world.follower()
    world.registry.remove_alias(MODEL, "champion")
    follower.poll()
    assert follower.served.version.version == 1
    assert "no champion yet" in world.said[0]


def test_nothing_to_serve_is_an_error_at_the_start(world: World) -> None:
    with pytest.raises(PromotionError, match="no canary"):
        world.follower(parse(f"{MODEL}@canary"))
    world.broken[3] = RuntimeError("cut short")
    with pytest.raises(RuntimeError):
        world.follower(parse(f"{MODEL}:3"))


def test_it_looks_again_and_again_until_it_is_stopped(world: World) -> None:
    taken, stop = Event(), Event()
    follower = world.follower()
    follower._say = lambda line: taken.set()
    thread = Thread(target=follower.run, args=(stop, 0.01))
    thread.start()
    world.champion(2)
    assert taken.wait(30)
    stop.set()
    thread.join(30)
    assert not thread.is_alive()
    assert follower.served.version.version == 2


def test_a_request_ends_with_the_version_it_began_with(world: World) -> None:
    follower = world.follower()
    app = Application(follower.current, world.said.append)

    async def both() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            slow = asyncio.create_task(client.get("/slow"))
            await asyncio.to_thread(STARTED.wait)
            world.champion(2)
            follower.poll()
            quick = await client.get("/quick")
            GO_ON.set()
            return [await slow, quick]

    STARTED.clear()
    GO_ON.clear()
    answers = asyncio.run(both())
    assert [one.text for one in answers] == ["1", "2"]
    assert [one.headers[VERSION_HEADER] for one in answers] == ["1", "2"]


def test_a_failure_of_ours_is_said_and_shows_nothing_to_the_client(world: World) -> None:
    follower = world.follower()
    app = Application(follower.current, world.said.append)

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.get("/failing")

    answer = asyncio.run(ask())
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert answer.headers[VERSION_HEADER] == "1"
    assert world.said == ["GET /failing: RuntimeError: a secret of the inside"]


def test_a_port_in_use_is_refused_before_anything_is_loaded(world: World) -> None:
    context = JobContext(Settings(), MemoryTracker(), world.registry)
    world.registry.away = True
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PortInUseError, match="--port"):
            serve(context, Reference(MODEL), "127.0.0.1", port, 1.0, world.said.append)
