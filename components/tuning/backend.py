"""Runs what a tuner hands out, on a clock of its own: a study of days in milliseconds."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from components.tuning.space import Config
from components.tuning.trial import Segment
from components.tuning.tuner import SECONDS, Tuner


@dataclass(frozen=True)
class Curve:
    """How a configuration learns.

    Attributes:
        values: The metric after each epoch.
        seconds: What each epoch takes.
    """

    values: tuple[float, ...]
    seconds: tuple[float, ...]


@dataclass(order=True)
class _Running:
    until: float
    order: int
    segment: Segment = field(compare=False)
    epoch: int = field(compare=False)
    curve: Curve = field(compare=False)


class SimulatedBackend:
    """Workers on a clock of their own, with curves that were recorded or generated.

    The tuner must be made with this backend's `clock`.

    Args:
        curve: Of a configuration.
        metric: Name of the metric.
        workers: How many there are.
        overhead: Seconds between a claim and the first epoch.

    Attributes:
        now: Seconds since the start.
        busy: Seconds that workers trained, summed over them.
    """

    def __init__(
        self,
        curve: Callable[[Config], Curve],
        metric: str,
        workers: int = 1,
        overhead: float = 0.0,
    ) -> None:
        self._curve, self._metric, self._workers = curve, metric, workers
        self._overhead, self._order = overhead, 0
        self._running: list[_Running] = []
        self.now = 0.0
        self.busy = 0.0

    def clock(self) -> float:
        """Seconds since the start."""
        return self.now

    @property
    def idle_share(self) -> float:
        """The share of the workers' time, up to now, without an epoch to train."""
        return 1 - self.busy / (self.now * self._workers) if self.now else 0.0

    def run(self, tuner: Tuner) -> None:
        """Claim, train and report until nothing is left to do."""
        for _ in self.steps(tuner):
            pass

    def steps(self, tuner: Tuner) -> Iterator[float]:
        """Like `run`; yields the clock after each epoch, so that a caller can stop anywhere."""
        while True:
            self._fill(tuner)
            if not self._running:
                return
            self._step(tuner)
            yield self.now

    def _fill(self, tuner: Tuner) -> None:
        while len(self._running) < self._workers and (segment := tuner.claim()):
            self._begin(segment, segment.first, self._curve(segment.config), self._overhead)

    def _begin(self, segment: Segment, epoch: int, curve: Curve, overhead: float = 0.0) -> None:
        self._order += 1
        until = self.now + overhead + curve.seconds[epoch - 1]
        heapq.heappush(self._running, _Running(until, self._order, segment, epoch, curve))

    def _step(self, tuner: Tuner) -> None:
        ended = heapq.heappop(self._running)
        self.now = ended.until
        self.busy += ended.curve.seconds[ended.epoch - 1]
        value = ended.curve.values[ended.epoch - 1]
        metrics = {self._metric: value, SECONDS: ended.curve.seconds[ended.epoch - 1]}
        going = tuner.epoch(ended.segment.trial, ended.epoch, metrics)
        if not going:
            return
        if ended.epoch < ended.segment.resource:
            self._begin(ended.segment, ended.epoch + 1, ended.curve)
        else:
            tuner.done(ended.segment.trial)
