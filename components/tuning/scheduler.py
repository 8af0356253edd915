"""Schedulers decide which trial gets the next epochs. Their state is a function of the events."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Protocol

from pydantic import BaseModel, ConfigDict, Field, model_validator

from components.tuning.rungs import rung_levels
from components.tuning.trial import Decision, Resume, Start


class Resources(BaseModel):
    """How many epochs trials get."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_resource: Annotated[
        int, Field(ge=1, le=1000, description="Epochs before trials are first compared")
    ] = 2
    max_resource: Annotated[int, Field(ge=1, le=1000, description="Epochs of the best trials")] = 10
    reduction_factor: Annotated[
        int, Field(ge=2, le=16, description="One of so many trials advances to the next rung")
    ] = 2

    @model_validator(mode="after")
    def _ordered(self) -> Resources:
        if self.max_resource < self.min_resource:
            raise ValueError("a max_resource of at least min_resource")
        return self

    @property
    def levels(self) -> tuple[int, ...]:
        """The rungs, see `rung_levels`."""
        return rung_levels(self.min_resource, self.max_resource, self.reduction_factor)


class Scheduler(Protocol):
    """Told of every event in order; asked for the next segment.

    A study's log told again to a new scheduler brings it into the same state. A suggestion alone
    changes nothing: it counts once `on_claim` is told.
    """

    def suggest(self, started: int) -> Start | Resume | None:
        """The next segment, or None while only the results of running ones can bring one.

        Args:
            started: Trials begun so far. With all of them begun, no Start is suggested.
        """

    def on_claim(self, trial: int, resource: int, bracket: int) -> None:
        """A segment was given to a worker."""

    def on_result(self, trial: int, resource: int, score: float) -> Decision:
        """A trial reached a level with `score`; higher is better, never NaN."""

    def on_failure(self, trial: int) -> None:
        """A trial will not go on."""

    def on_retired(self, trial: int) -> None:
        """A trial's checkpoint is gone: it is not to be resumed, also if more trials come later."""

    def retired(self) -> Collection[int]:
        """Trials with a result that can no longer advance, whatever comes."""


class Fifo:
    """Every trial trains to the largest resource, in the order of its start.

    Args:
        resources: Epochs; only the largest number counts.
        trials: The number of trials that will be started.
    """

    def __init__(self, resources: Resources, trials: int) -> None:
        self._resource, self._trials = resources.max_resource, trials
        self._ended: set[int] = set()

    def suggest(self, started: int) -> Start | Resume | None:
        """See `Scheduler`."""
        return Start(self._resource) if started < self._trials else None

    def on_claim(self, trial: int, resource: int, bracket: int) -> None:
        """See `Scheduler`."""

    def on_result(self, trial: int, resource: int, score: float) -> Decision:
        """See `Scheduler`."""
        self._ended.add(trial)
        return Decision.STOP

    def on_failure(self, trial: int) -> None:
        """See `Scheduler`."""

    def on_retired(self, trial: int) -> None:
        """See `Scheduler`."""

    def retired(self) -> Collection[int]:
        """See `Scheduler`."""
        return self._ended
