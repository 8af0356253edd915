"""Trials, segments, and the events from which the state of a study is rebuilt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from components.tuning.space import Config


class TrialStatus(StrEnum):
    """Where a trial stands."""

    RUNNING = "running"
    PAUSED = "paused"  # waits at a rung; its checkpoint is kept
    STOPPED = "stopped"  # judged not worth more epochs
    COMPLETED = "completed"  # reached the largest resource
    FAILED = "failed"


class Decision(StrEnum):
    """What a scheduler says of a trial that reached a rung."""

    CONTINUE = "continue"
    PAUSE = "pause"
    STOP = "stop"


@dataclass(frozen=True)
class Start:
    """Begin a new trial and train it to `resource` epochs."""

    resource: int
    bracket: int = 0


@dataclass(frozen=True)
class Resume:
    """Take up a trial again and train it to `resource` epochs."""

    trial: int
    resource: int


class Segment(BaseModel):
    """A piece of work for one worker: epochs `first` to `resource` of a trial.

    Attributes:
        trial: Number of the trial; 0 for the first.
        config: The values that the study varies.
        first: The first epoch of the segment; 1 for a new trial.
        resource: The last epoch of the segment.
        bracket: Of the scheduler, where it has several.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    trial: int
    config: Config
    first: int
    resource: int
    bracket: int = 0

    @property
    def epochs(self) -> int:
        """How many epochs it trains."""
        return self.resource - self.first + 1


class _Event(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    at: float  # seconds of the study's own clock, which stands still while nothing runs


class Claimed(_Event):
    """A worker was given a segment."""

    event: Literal["claimed"] = "claimed"
    segment: Segment


class EpochDone(_Event):
    """An epoch was trained and is in the trial's checkpoint."""

    event: Literal["epoch"] = "epoch"
    trial: int
    epoch: int
    value: float
    metrics: dict[str, float]


class SegmentDone(_Event):
    """A segment ended; the trial waits for the scheduler."""

    event: Literal["done"] = "done"
    trial: int
    resource: int


class SegmentFailed(_Event):
    """A trial cannot go on."""

    event: Literal["failed"] = "failed"
    trial: int
    reason: str


class Retired(_Event):
    """Trials that cannot advance any more: their checkpoints go, and they are never resumed."""

    event: Literal["retired"] = "retired"
    trials: tuple[int, ...]


Event = Annotated[
    Claimed | EpochDone | SegmentDone | SegmentFailed | Retired, Field(discriminator="event")
]
EVENT: TypeAdapter[Event] = TypeAdapter(Event)


@dataclass
class Trial:
    """One configuration and what is known of it.

    Attributes:
        number: 0 for the first.
        bracket: Of the scheduler that started it.
        curve: The metric after each epoch.
        times: The study's clock after each epoch, in seconds.
        seconds: What each epoch took where it ran, as its worker says.
        metrics: Everything the last epoch reported.
        resource: The last epoch of its newest segment.
        segments: How many segments it was given.
        reason: Why it failed.
    """

    number: int
    config: Config
    bracket: int
    started: float
    resource: int
    status: TrialStatus = TrialStatus.RUNNING
    curve: list[float] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    metrics: Mapping[str, float] = field(default_factory=dict)
    segments: int = 1
    reason: str | None = None
