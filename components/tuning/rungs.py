"""Resource levels at which trials are compared, and the results recorded at each."""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterator, Sequence

from components.errors import ConfigError


def rung_levels(min_resource: int, max_resource: int, reduction_factor: int) -> tuple[int, ...]:
    """The levels r_min, r_min * eta, r_min * eta^2, ... below r_max, and r_max.

    As in section 19.4 of Dive into Deep Learning: 2, 4, 8, 10 for r_min 2, eta 2, r_max 10.

    Raises:
        ConfigError: If the largest resource is below the smallest.
    """
    if max_resource < min_resource:
        raise ConfigError(
            "max_resource",
            got=str(max_resource),
            wanted=f"at least min_resource, which is {min_resource}",
            remedy="Raise it, or lower min_resource.",
        )
    levels, level = [], min_resource
    while level < max_resource:
        levels.append(level)
        level *= reduction_factor
    return (*levels, max_resource)


class Rung:
    """The results recorded at one level, best first; of equal ones, the earlier trial first.

    Attributes:
        level: Epochs.
        advanced: Trials that were given a segment beyond it.
        retired: Trials that never will be.
    """

    def __init__(self, level: int) -> None:
        self.level = level
        self.advanced: set[int] = set()
        self.retired: set[int] = set()
        self._ranked: list[tuple[float, int]] = []
        self._scores: dict[int, float] = {}

    def __len__(self) -> int:
        return len(self._ranked)

    def record(self, trial: int, score: float) -> None:
        """Add a result; higher scores are better."""
        self._scores[trial] = score
        insort(self._ranked, (-score, trial))

    @property
    def able(self) -> int:
        """How many have advanced, or may."""
        return sum(t in self.advanced or t not in self.retired for t in self._scores)

    def top(self, count: int) -> Iterator[int]:
        """The best `count` trials, best first."""
        for _, trial in self._ranked[:count]:
            yield trial

    def below(self, count: int) -> Sequence[int]:
        """All trials but the best `count`."""
        return [trial for _, trial in self._ranked[count:]]

    def waiting(self, count: int) -> int | None:
        """The best of the best `count` that has not advanced and can, or None."""
        gone = self.advanced | self.retired
        return next((trial for trial in self.top(count) if trial not in gone), None)

    def among_best(self, trial: int, count: int) -> bool:
        """Whether the trial's score is at least that of the one ranked `count` (1 is the best)."""
        return self._scores[trial] >= -self._ranked[count - 1][0]
