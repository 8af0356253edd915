"""Synchronous successive halving and Hyperband: whole rungs are compared at once."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

from components.tuning.rungs import Rung
from components.tuning.scheduler import Resources
from components.tuning.trial import Decision, Resume, Start


class _Bracket:
    """Trials that are compared with one another, rung by rung.

    Args:
        levels: Epochs of the rungs.
        sizes: How many trials each rung has; fewer if trials fail or no more are to be started.
    """

    def __init__(self, levels: Sequence[int], sizes: Sequence[int]) -> None:
        self.rungs = [Rung(level) for level in levels]
        self._sizes = list(sizes)
        self._started = 0
        self._failed = [0] * len(levels)
        self._closed = False

    @property
    def full(self) -> bool:
        """Whether it takes no more new trials."""
        return self._closed or self._started >= self._sizes[0]

    def close(self) -> None:
        """No more trials will be started: what is there is compared."""
        self._closed = True

    def start(self) -> None:
        """A trial was started in it."""
        self._started += 1

    def index(self, resource: int) -> int:
        """The rung that a trial reaches with so many epochs."""
        return next(i for i, rung in enumerate(self.rungs) if rung.level >= resource)

    def fail(self, trial: int) -> None:
        """A trial failed on its way to the rung above the last one it is recorded at."""
        reached = sum(trial in rung.advanced for rung in self.rungs)
        self._failed[reached] += 1

    def next(self) -> Resume | None:
        """The best trial that may advance, the highest rung first."""
        for index in range(len(self.rungs) - 2, -1, -1):
            trial = self.rungs[index].waiting(self._places(index))
            if trial is not None:
                return Resume(trial, self.rungs[index + 1].level)
        return None

    def ended(self) -> Sequence[int]:
        """Trials that cannot advance any more."""
        found = list(self.rungs[-1].top(len(self.rungs[-1])))
        for index, rung in enumerate(self.rungs[:-1]):
            if self._complete(index):
                found += rung.below(self._places(index))
        return found

    def _places(self, index: int) -> int:
        """How many trials advance beyond a rung; 0 until all that reach it have."""
        return self._sizes[index + 1] if self._complete(index) else 0

    def _complete(self, index: int) -> bool:
        arrived = len(self.rungs[index]) + self._failed[index]
        if index == 0:
            return self.full and arrived >= self._started
        if not self._complete(index - 1):
            return False
        return arrived >= min(self._sizes[index], self.rungs[index - 1].able)


class SuccessiveHalving:
    """The synchronous form, with the numbers of section 19.4 of Dive into Deep Learning.

    A round of eta^K trials starts at the lowest of K + 1 rungs; once all of a rung have arrived,
    the best 1/eta advance, ahead of new trials. A new round starts when nothing else is left.
    Departure: results of different rounds never mix, which with one worker makes no difference.

    Args:
        resources: The rungs and eta.
        trials: The number of trials that will be started; the last round may be a part of one.
    """

    def __init__(self, resources: Resources, trials: int) -> None:
        self._trials, self._eta, self._levels = trials, resources.reduction_factor, resources.levels
        self._brackets: list[_Bracket] = []
        self._of: dict[int, _Bracket] = {}
        self._retired: set[int] = set()

    def shape(self, number: int) -> tuple[Sequence[int], Sequence[int]]:
        """Levels and sizes of a round; 0 is the first."""
        top = len(self._levels) - 1
        return self._levels, [self._eta ** (top - k) for k in range(top + 1)]

    def suggest(self, started: int) -> Start | Resume | None:
        """See `Scheduler`."""
        for bracket in self._brackets:
            resume = bracket.next()
            if resume:
                return resume
        if started >= self._trials:
            return None
        filling = bool(self._brackets) and not self._brackets[-1].full
        number = len(self._brackets) - filling
        return Start(self.shape(number)[0][0], number)

    def on_claim(self, trial: int, resource: int, bracket: int) -> None:
        """See `Scheduler`."""
        if trial not in self._of:
            while len(self._brackets) <= bracket:
                self._brackets.append(_Bracket(*self.shape(len(self._brackets))))
            self._of[trial] = self._brackets[bracket]
            self._of[trial].start()
            if len(self._of) >= self._trials:
                self._brackets[-1].close()
        home = self._of[trial]
        for rung in home.rungs[: home.index(resource)]:
            rung.advanced.add(trial)

    def on_result(self, trial: int, resource: int, score: float) -> Decision:
        """See `Scheduler`."""
        bracket = self._of[trial]
        index = bracket.index(resource)
        bracket.rungs[index].record(trial, score)
        return Decision.STOP if index == len(bracket.rungs) - 1 else Decision.PAUSE

    def on_failure(self, trial: int) -> None:
        """See `Scheduler`."""
        self._of[trial].fail(trial)

    def on_retired(self, trial: int) -> None:
        """See `Scheduler`."""
        for rung in self._of[trial].rungs:
            rung.retired.add(trial)

    def retired(self) -> Collection[int]:
        """See `Scheduler`."""
        for bracket in self._brackets:
            self._retired.update(bracket.ended())
        return self._retired


class Hyperband(SuccessiveHalving):
    """Rounds of successive halving that start at different rungs, from the lowest to the highest.

    Li et al. 2017, "Hyperband: A Novel Bandit-Based Approach to Hyperparameter Optimization",
    algorithm 1, on the rungs of `Resources`: bracket s has ceil((s_max + 1) / (s + 1) * eta^s)
    trials and s + 1 rungs, the topmost ones.
    """

    def shape(self, number: int) -> tuple[Sequence[int], Sequence[int]]:
        """Levels and sizes of a round; 0 is the first."""
        most = len(self._levels) - 1
        s = most - number % (most + 1)
        first = math.ceil((most + 1) / (s + 1) * self._eta**s)
        return self._levels[most - s :], [max(1, first // self._eta**k) for k in range(s + 1)]
