"""Optuna's samplers as searchers. Optuna is imported when one is used."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from components.tuning.searchers import RandomSearcher, Score
from components.tuning.space import Config, Distribution, SearchSpace
from components.tuning.trial import Trial, TrialStatus

if TYPE_CHECKING:
    import optuna

STARTUP = 10  # random proposals before there is a model to ask


class _OptunaSearcher(ABC):
    """Asks a sampler that is made anew for each proposal, so that nothing but the log counts."""

    limit = None

    def __init__(self, space: SearchSpace, seed: int) -> None:
        self._seed, self._random = seed, RandomSearcher(space, seed)
        self._names = sorted(space.fields)
        self._distributions = {name: to_optuna(space.fields[name]) for name in self._names}

    @abstractmethod
    def _sampler(self, seed: int) -> optuna.samplers.BaseSampler:
        """A fresh sampler."""

    def propose(self, number: int, trials: Mapping[int, Trial], scores: Sequence[Score]) -> Config:
        """See `Searcher`."""
        if len(scores) < STARTUP:
            return self._random.propose(number, trials, scores)
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        study = optuna.create_study(
            direction="maximize", sampler=self._sampler((self._seed * 1_000_003 + number) % 2**32)
        )
        for score in self._comparable(scores):
            study.add_trial(self._finished(score))
        running = [trial for trial in trials.values() if trial.status is TrialStatus.RUNNING]
        for trial in running:
            if not trial.curve:
                study.add_trial(self._running(trial.config))
        asked = study.ask(self._distributions)
        return {name: asked.params[name] for name in self._names}

    def _comparable(self, scores: Sequence[Score]) -> list[Score]:
        """Results after about the same number of epochs: the highest level with enough of them.

        As in BOHB (Falkner et al. 2018, section 3.2): a model of the largest resource for which
        there are more results than parameters, else of all results.
        """
        enough = len(self._names) + 2
        for level in sorted({score.epochs for score in scores}, reverse=True):
            reached = [score for score in scores if score.epochs >= level]
            if len(reached) >= enough:
                return reached
        return list(scores)

    def _finished(self, score: Score) -> optuna.trial.FrozenTrial:
        import optuna

        return optuna.trial.create_trial(
            params={name: score.config[name] for name in self._names},
            distributions=self._distributions,
            value=score.score,
        )

    def _running(self, config: Config) -> optuna.trial.FrozenTrial:
        import optuna

        return optuna.trial.create_trial(
            state=optuna.trial.TrialState.RUNNING,
            params={name: config[name] for name in self._names},
            distributions=self._distributions,
        )


class TpeSearcher(_OptunaSearcher):
    """Tree-structured Parzen estimator (Bergstra et al. 2011), by Optuna.

    Running trials count as bad ones, so that workers do not all try the same place.
    """

    def _sampler(self, seed: int) -> optuna.samplers.BaseSampler:
        import optuna

        return optuna.samplers.TPESampler(seed=seed, n_startup_trials=1, constant_liar=True)


class GpSearcher(_OptunaSearcher):
    """Gaussian process with log expected improvement, by Optuna."""

    def _sampler(self, seed: int) -> optuna.samplers.BaseSampler:
        import optuna

        return optuna.samplers.GPSampler(seed=seed, n_startup_trials=1)


def to_optuna(distribution: Distribution) -> Any:
    """The same distribution in Optuna's terms."""
    from optuna.distributions import (
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    if distribution.distribution == "choice":
        return CategoricalDistribution(distribution.values)
    low, high = distribution.bounds
    if distribution.whole:
        return IntDistribution(int(low), int(high), log=distribution.logarithmic)
    return FloatDistribution(low, high, log=distribution.logarithmic)
