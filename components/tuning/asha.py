"""Asynchronous successive halving: no trial waits for others to reach its rung.

Li et al. 2018, "A System for Massively Parallel Hyperparameter Tuning", algorithm 2.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection

from components.tuning.rungs import Rung
from components.tuning.scheduler import Resources
from components.tuning.trial import Decision, Resume, Start


class _Rungs:
    def __init__(self, resources: Resources, trials: int) -> None:
        self._trials, self._eta = trials, resources.reduction_factor
        self._rungs = [Rung(level) for level in resources.levels]
        self._retired: set[int] = set()
        self._started: set[int] = set()

    def _index(self, resource: int) -> int:
        """Of the rung that a trial reached; a trial that ends early counts where it was meant."""
        return next(i for i, rung in enumerate(self._rungs) if rung.level >= resource)

    def on_claim(self, trial: int, resource: int, bracket: int) -> None:
        """See `Scheduler`."""
        self._started.add(trial)
        for rung in self._rungs[: self._index(resource)]:
            rung.advanced.add(trial)

    def on_failure(self, trial: int) -> None:
        """See `Scheduler`."""

    def on_retired(self, trial: int) -> None:
        """See `Scheduler`."""
        for rung in self._rungs:
            rung.retired.add(trial)


class Asha(_Rungs):
    """The promotion form: trials pause at a rung until they are among its best.

    The best floor(n / eta) of the n results recorded at a rung may advance, the highest rung
    first; where nobody may, a new trial starts.
    """

    def suggest(self, started: int) -> Start | Resume | None:
        """See `Scheduler`."""
        for index in range(len(self._rungs) - 2, -1, -1):
            rung = self._rungs[index]
            trial = rung.waiting(len(rung) // self._eta)
            if trial is not None:
                return Resume(trial, self._rungs[index + 1].level)
        return Start(self._rungs[0].level) if started < self._trials else None

    def on_result(self, trial: int, resource: int, score: float) -> Decision:
        """See `Scheduler`."""
        index = self._index(resource)
        self._rungs[index].record(trial, score)
        if index == len(self._rungs) - 1:
            self._retired.add(trial)
            return Decision.STOP
        return Decision.PAUSE

    def retired(self) -> Collection[int]:
        """See `Scheduler`."""
        most = max(self._trials, len(self._started))  # that can ever be recorded at a rung
        for rung in self._rungs[:-1]:
            # Those ranked below the last place that can advance have as many better ones already.
            self._retired.update(t for t in rung.below(most // self._eta) if t not in rung.advanced)
            waiting = [t for t in rung.top(most // self._eta) if t not in rung.advanced]
            most = min(most, len(rung.advanced) + len(waiting) + most - len(rung))
        return self._retired


class StoppingAsha(_Rungs):
    """The stopping form: a trial that is not among the best of its rung ends there.

    A trial goes on if its score is at least that of the one ranked max(1, floor(n / eta)) among
    the n results recorded so far, its own included. That is the rule of Optuna's
    SuccessiveHalvingPruner: before eta results are there, only the best one goes on.
    """

    def __init__(self, resources: Resources, trials: int) -> None:
        super().__init__(resources, trials)
        self._ready: deque[Resume] = deque()

    def suggest(self, started: int) -> Start | Resume | None:
        """See `Scheduler`."""
        if self._ready:
            return self._ready[0]
        return Start(self._rungs[0].level) if started < self._trials else None

    def on_claim(self, trial: int, resource: int, bracket: int) -> None:
        """See `Scheduler`."""
        super().on_claim(trial, resource, bracket)
        self._ready = deque(next_ for next_ in self._ready if next_.trial != trial)

    def on_result(self, trial: int, resource: int, score: float) -> Decision:
        """See `Scheduler`."""
        index = self._index(resource)
        rung = self._rungs[index]
        rung.record(trial, score)
        last = index == len(self._rungs) - 1
        if last or not rung.among_best(trial, max(1, len(rung) // self._eta)):
            self._retired.add(trial)
            return Decision.STOP
        self._ready.append(Resume(trial, self._rungs[index + 1].level))
        return Decision.CONTINUE

    def retired(self) -> Collection[int]:
        """See `Scheduler`."""
        return self._retired
