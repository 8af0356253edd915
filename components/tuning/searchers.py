"""Searchers propose the configurations of new trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Protocol

import numpy as np

from components.tuning.space import Config, SearchSpace
from components.tuning.trial import Trial


class Searcher(Protocol):
    """Proposes configurations: a function of the seed, the trial's number and what is known.

    Args:
        space: Where they lie.
        seed: Same seed, same proposals.
    """

    def __init__(self, space: SearchSpace, seed: int) -> None: ...

    @property
    def limit(self) -> int | None:
        """How many configurations there are; None for no end."""

    def propose(self, number: int, trials: Mapping[int, Trial], scores: Sequence[Score]) -> Config:
        """The configuration of trial `number`.

        Args:
            number: 0 for the first one that the searcher proposes.
            trials: All trials of the study by number, the running ones included.
            scores: Results to learn from.
        """


class Score:
    """A configuration with its best known score; higher is better."""

    __slots__ = ("config", "epochs", "score")

    def __init__(self, config: Config, score: float, epochs: int) -> None:
        self.config, self.score, self.epochs = config, score, epochs


class RandomSearcher:
    """Independent draws from the space (Bergstra and Bengio 2012)."""

    limit = None

    def __init__(self, space: SearchSpace, seed: int) -> None:
        self._space, self._seed = space, seed

    def propose(self, number: int, trials: Mapping[int, Trial], scores: Sequence[Score]) -> Config:
        """See `Searcher`."""
        return self._space.sample(np.random.default_rng((self._seed, number)))


class GridSearcher:
    """All combinations: choices whole, ranges at five evenly spaced points."""

    def __init__(self, space: SearchSpace, seed: int) -> None:
        self._space = space
        self.limit: int | None = space.grid_size()

    def propose(self, number: int, trials: Mapping[int, Trial], scores: Sequence[Score]) -> Config:
        """See `Searcher`."""
        return next(islice(self._space.grid(), number, None))
