"""What every searcher must do."""

from __future__ import annotations

import pytest

from components.tuning import SEARCHERS
from components.tuning.searchers import Score
from components.tuning.space import SearchSpace
from components.tuning.study import Result
from tests.simulated import SPACE, simulate, study

every_searcher = pytest.mark.parametrize("name", list(SEARCHERS))
MIXED = SearchSpace.model_validate(
    {
        "fields": {
            "lr": {"distribution": "log_uniform", "low": 0.001, "high": 0.1},
            "momentum": {"distribution": "uniform", "low": 0.9, "high": 0.99},
            "epochs": {"distribution": "integer", "low": 5, "high": 30},
            "width": {"distribution": "log_integer", "low": 8, "high": 512},
            "optimizer": {"distribution": "choice", "values": ["sgd", "adam"]},
            "nesterov": {"distribution": "choice", "values": [True, False]},
        }
    }
)


@pytest.mark.slow
@every_searcher
@pytest.mark.parametrize("known", [0, 30])
def test_proposals_lie_in_the_space_and_keep_their_types(name: str, known: int) -> None:
    searcher = SEARCHERS.get(name)(MIXED, 0)
    random = SEARCHERS.get("random")(MIXED, 1)
    scores = [
        Score(config := random.propose(n, {}, []), float(config["lr"]), 4) for n in range(known)
    ]
    for number in range(12):
        config = searcher.propose(number, {}, scores)
        MIXED.refuse_outside(config, "proposal")
        assert isinstance(config["epochs"], int)
        assert isinstance(config["nesterov"], bool)


@pytest.mark.slow
@every_searcher
def test_same_seed_same_trials_one_after_the_other(name: str) -> None:
    wanted = study(searcher=name, limits={"trials": 18}, resources={"max_resource": 4})
    first, _ = simulate(wanted)
    again, _ = simulate(wanted)
    assert first.events == again.events
    if SEARCHERS.get(name)(SPACE, 0).limit is None:
        other, _ = simulate(wanted.model_copy(update={"seed": 5}))
        assert first.trials[0].config != other.trials[0].config


@every_searcher
def test_given_points_come_first(name: str) -> None:
    points = [{"lr": 0.5, "batch_size": 64}, {"lr": 0.01, "batch_size": 256}]
    tuner, _ = simulate(study(searcher=name, points=points, limits={"trials": 12}))
    assert [tuner.trials[number].config for number in (0, 1)] == points


@every_searcher
def test_a_warm_start_begins_with_the_best_of_before(name: str) -> None:
    prior = [
        Result(config={"lr": 0.1 + n / 100, "batch_size": 40 + n}, score=-n, epochs=4)
        for n in range(12)
    ]
    tuner, _ = simulate(study(searcher=name, prior=prior, limits={"trials": 14}))
    assert [tuner.trials[number].config for number in range(3)] == [r.config for r in prior[:3]]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tpe", "gp"])
def test_what_learns_finds_more_than_chance(name: str) -> None:
    def best(searcher: str) -> list[float]:
        return [
            min(
                min(trial.curve)
                for trial in simulate(
                    study(searcher=searcher, scheduler="fifo", seed=seed, limits={"trials": 30})
                )[0].trials.values()
            )
            for seed in range(5)
        ]

    assert sum(best(name)) < sum(best("random"))


def test_a_grid_has_each_combination_once() -> None:
    tuner, _ = simulate(study(searcher="grid", limits={"trials": 1000}))
    configs = [tuple(trial.config.items()) for trial in tuner.trials.values()]
    assert len(configs) == len(set(configs)) == 25
    assert tuner.over
