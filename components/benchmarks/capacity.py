"""How many flow runs one stack carries at the same time, and which server gives out first.

Each run computes on a machine of its own, and comes to the servers after each epoch and around its
training. A server is one process that does one thing at a time, in the order of arrival. What a
visit costs it was measured on the stack of docker-compose.yml (`MEASURED`); how runs get into one
another's way is simulated event by event: a closed queueing network with exponential times
(Lazowska et al., Quantitative System Performance, 1984, chapters 4 and 6).
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Mapping
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

SIZES = (1, 8, 32, 64, 128, 256, 512)
TOLERATED = 1.1  # a run may take a tenth longer than alone
RUNS, EACH = 400, 4  # at least so many in all and of each place; the first fifth does not count
WARM_UP = 0.2


class Work(NamedTuple):
    """A kind of run.

    Attributes:
        seconds: What it computes by itself.
        visits: How often it comes to the servers.
        demand: Seconds of each server's processor for all visits together.
        bytes: What stays of it, by place.
    """

    name: str
    seconds: float
    visits: int
    demand: Mapping[str, float]
    bytes: Mapping[str, int]


MEASURED_ON = (
    "2 cores of an AMD EPYC: three nights of 20 epochs of lenet_modern on the sample, and a sweep "
    "of six trials, less what the servers spend idle (3, 10 and 2 % of a core); longer runs have "
    "more heartbeats, polls and samples of system metrics"
)
IDLE = {"mlflow": 0.03, "prefect": 0.10, "postgres": 0.02}
# With what runs of such a length ask for as they go on: the worker's poll each second, a heartbeat
# each 30 s, system metrics each 10 s.
MEASURED = (
    Work(
        "night of ten minutes",
        seconds=600,
        visits=100,
        demand={"mlflow": 4.9, "prefect": 4.5, "postgres": 2.2},
        bytes={"postgres": 860_000, "bucket": 1_250_000},
    ),
    Work(
        "trial of a minute",
        seconds=60,
        visits=12,
        demand={"mlflow": 0.6, "prefect": 0.1, "postgres": 0.3},
        bytes={"postgres": 90_000, "bucket": 800_000},
    ),
)


class Load(BaseModel):
    """What so many runs at the same time make of the servers.

    Attributes:
        at_once: Runs at the same time, each on a machine of its own; one that ends is followed by
            another.
        per_hour: Runs that end in an hour.
        slower: Mean duration over that of a run alone.
        busy: Share of the time in which each server works.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    at_once: int
    per_hour: float
    slower: float
    busy: dict[str, float]


class Capacity(BaseModel):
    """One kind of run.

    Attributes:
        carried: Most of `loads` whose runs take at most a tenth longer than alone.
        first: The server that is busiest, and gives out first.
        gigabytes: What a thousand of them leave, by place.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    carried: int
    first: str
    loads: tuple[Load, ...]
    gigabytes: dict[str, float]


class CapacityBenchmark(BaseModel):
    """What `nightforge bench capacity` found."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    benchmark: str = "capacity"
    what: str
    measured_on: str
    kinds: tuple[Capacity, ...]


def capacity(say: Callable[[str], None]) -> CapacityBenchmark:
    """Simulate nights and trials, more and more at the same time."""
    return CapacityBenchmark(
        what="a stack of docker-compose.yml, one process for each server; simulated from what the "
        "measured stack spent on each run",
        measured_on=MEASURED_ON,
        kinds=tuple(_capacity(work, say) for work in MEASURED),
    )


def _capacity(work: Work, say: Callable[[str], None]) -> Capacity:
    loads = []
    for size in SIZES:
        loads.append(simulate(work, size))
        load = loads[-1]
        busy = ", ".join(f"{server} {100 * share:.0f} %" for server, share in load.busy.items())
        say(
            f"{work.name}, {size} at once: {load.per_hour:.0f} an hour, "
            f"{100 * (load.slower - 1):+.0f} % time, busy: {busy}"
        )
    return Capacity(
        name=work.name,
        carried=max((one.at_once for one in loads if one.slower <= TOLERATED), default=0),
        first=max(work.demand, key=lambda server: work.demand[server]),
        loads=tuple(loads),
        gigabytes={place: 1000 * size / 1e9 for place, size in work.bytes.items()},
    )


def simulate(work: Work, at_once: int, seed: int = 0) -> Load:
    """Let so many runs of one kind follow one another.

    Args:
        work: Of which kind.
        at_once: Places, each of which has one run after the other, at least 1.
        seed: Of the times drawn.
    """
    draw = random.Random(seed)  # noqa: S311 - a simulation
    think = work.seconds / work.visits
    service = [
        (server, seconds / work.visits / (1 - IDLE.get(server, 0)))
        for server, seconds in work.demand.items()
    ]
    free = dict.fromkeys(work.demand, 0.0)  # when each server has done what has arrived
    busy = dict.fromkeys(work.demand, 0.0)
    left = [work.visits] * at_once
    # A place's next step: when, which place, and how many servers it has passed on this visit.
    events = [(draw.expovariate(1 / think), place, 0) for place in range(at_once)]
    heapq.heapify(events)
    wanted, ended, counted, began, now = max(RUNS, EACH * at_once), 0, 0, 0.0, 0.0
    while ended < wanted:
        now, place, passed = heapq.heappop(events)
        if passed < len(service):
            server, mean = service[passed]
            spent = draw.expovariate(1 / mean)
            free[server] = max(free[server], now) + spent
            busy[server] += spent
            heapq.heappush(events, (free[server], place, passed + 1))
            continue
        left[place] -= 1
        if not left[place]:
            left[place], ended = work.visits, ended + 1
            if ended == int(WARM_UP * wanted):
                began, busy = now, dict.fromkeys(busy, 0.0)
            counted += began > 0
        heapq.heappush(events, (now + draw.expovariate(1 / think), place, 0))
    counted -= 1  # the one that ended the warm-up
    alone = work.seconds + work.visits * sum(mean for _, mean in service)
    return Load(
        at_once=at_once,
        per_hour=3600 * counted / (now - began),
        slower=at_once * (now - began) / counted / alone,
        busy={server: min(1.0, spent / (now - began)) for server, spent in busy.items()},
    )
