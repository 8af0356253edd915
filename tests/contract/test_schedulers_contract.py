"""What every scheduler must do, with every number of workers."""

from __future__ import annotations

import math
import random
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from components.tuning import SCHEDULERS
from components.tuning.backend import Curve, SimulatedBackend
from components.tuning.log import TrialLog
from components.tuning.scheduler import Resources
from components.tuning.space import Config
from components.tuning.trial import Claimed, EpochDone, SegmentDone, Start, TrialStatus
from components.tuning.tuner import Tuner
from tests.simulated import LENGTH, error_curve, simulate, study

EVERY = list(SCHEDULERS)
WORKERS = [1, 2, 7]
every_scheduler = pytest.mark.parametrize("name", EVERY)
every_crew = pytest.mark.parametrize("workers", WORKERS)


@every_scheduler
@every_crew
def test_budgets_are_respected_and_no_epoch_comes_twice(name: str, workers: int) -> None:
    tuner, _ = simulate(study(scheduler=name), workers)
    epochs = [(e.trial, e.epoch) for e in tuner.events if isinstance(e, EpochDone)]
    assert len(epochs) == len(set(epochs))
    assert len(tuner.trials) == 60
    assert max(len(trial.curve) for trial in tuner.trials.values()) == LENGTH
    for trial in tuner.trials.values():
        assert trial.curve == list(error_curve(trial.config).values[: len(trial.curve)])
        assert trial.status is not TrialStatus.RUNNING
    assert tuner.over


@every_scheduler
@every_crew
def test_limits_of_epochs_and_minutes_end_a_study(name: str, workers: int) -> None:
    tuner, _ = simulate(study(scheduler=name, limits={"trials": 60, "epochs": 50}), workers)
    assert 40 <= sum(len(trial.curve) for trial in tuner.trials.values()) <= 50
    tuner, backend = simulate(study(scheduler=name, limits={"trials": 600, "minutes": 1}), workers)
    claims = [event.at for event in tuner.events if isinstance(event, Claimed)]
    assert max(claims) < 60 <= backend.now
    assert all(trial.status is not TrialStatus.RUNNING for trial in tuner.trials.values())


@every_scheduler
@every_crew
def test_max_and_min_are_mirrored(name: str, workers: int) -> None:
    def upside_down(config: Config) -> Curve:
        curve = error_curve(config)
        return replace(curve, values=tuple(-value for value in curve.values))

    low, _ = simulate(study(scheduler=name), workers)
    high, _ = simulate(study(scheduler=name, mode="max"), workers, upside_down)
    assert [claim(event) for event in low.events] == [claim(event) for event in high.events]
    assert low.best.number == high.best.number


def claim(event: object) -> object:
    return event.segment if isinstance(event, Claimed) else None


@every_scheduler
@every_crew
def test_ties_end_and_favour_the_earlier(name: str, workers: int) -> None:
    def flat(config: Config) -> Curve:
        return Curve((0.5,) * LENGTH, (1.0,) * LENGTH)

    tuner, _ = simulate(study(scheduler=name, limits={"trials": 16}), workers, flat)
    assert tuner.over
    assert tuner.best.number == 0
    assert len(tuner.trials[0].curve) == LENGTH


@every_scheduler
@every_crew
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_value_that_is_not_finite_fails_its_trial_alone(
    name: str, workers: int, bad: float
) -> None:
    def sometimes(config: Config) -> Curve:
        curve = error_curve(config)
        if config["lr"] < 0.2:
            return curve
        return replace(curve, values=(*curve.values[:2], bad, *curve.values[3:]))

    tuner, _ = simulate(study(scheduler=name), workers, sometimes)
    assert tuner.over
    assert len(tuner.trials) == 60
    failed = [trial for trial in tuner.trials.values() if trial.status is TrialStatus.FAILED]
    assert failed
    assert all(trial.reason == f"error of epoch 3 is {bad}" for trial in failed)
    assert tuner.best.status is not TrialStatus.FAILED


@every_scheduler
@every_crew
def test_trials_that_all_fail_end_the_study(name: str, workers: int) -> None:
    def broken(config: Config) -> Curve:
        return Curve((math.nan,) * LENGTH, (1.0,) * LENGTH)

    tuner, _ = simulate(study(scheduler=name, limits={"trials": 20}), workers, broken)
    assert tuner.over
    assert tuner.best is None
    assert Counter(t.status for t in tuner.trials.values()) == {TrialStatus.FAILED: 20}


@every_scheduler
def test_a_straggler_holds_up_only_those_that_must_wait(name: str) -> None:
    def slow(config: Config) -> Curve:
        curve = error_curve(config)
        return replace(curve, seconds=(500.0,) * LENGTH) if first == config else curve

    first = study().space.sample(np.random.default_rng((0, 0)))
    wanted = study(scheduler=name)
    backend = SimulatedBackend(slow, wanted.metric, 4)
    tuner = Tuner(wanted, TrialLog(None, wanted.header()), clock=backend.clock)
    for now in backend.steps(tuner):
        if now >= 499:
            break
    assert sum(trial.status is not TrialStatus.RUNNING for trial in tuner.trials.values()) > 50


@pytest.mark.parametrize("name", [name for name in EVERY if "halving" not in name])
@pytest.mark.parametrize("workers", [2, 7])
def test_workers_are_never_idle_while_trials_can_begin(name: str, workers: int) -> None:
    wanted = study(scheduler=name)
    backend = SimulatedBackend(error_curve, wanted.metric, workers)
    tuner = Tuner(wanted, TrialLog(None, wanted.header()), clock=backend.clock)
    for _ in backend.steps(tuner):
        if len(tuner.trials) == 60:
            break
        assert tuner.running >= workers - 1  # all but the one whose segment may just have ended


@every_scheduler
@every_crew
def test_same_seed_same_trials(name: str, workers: int) -> None:
    first, _ = simulate(study(scheduler=name), workers)
    again, _ = simulate(study(scheduler=name), workers)
    other, _ = simulate(study(scheduler=name, seed=1), workers)
    assert first.events == again.events
    assert first.trials[0].config != other.trials[0].config


@pytest.mark.slow
@every_scheduler
def test_a_study_stopped_after_any_event_goes_on_as_if_it_had_not_been(name: str) -> None:
    wanted = study(scheduler=name, limits={"trials": 20})
    whole, _ = simulate(wanted)
    for cut in range(len(whole.events)):
        log = TrialLog(None, wanted.header())
        log.events = list(whole.events)[:cut]
        continued, _ = simulate(wanted, log=log)
        assert [untimed(e) for e in continued.events] == [untimed(e) for e in whole.events]


def untimed(event: Any) -> Any:
    return event.model_copy(update={"at": 0.0})


@every_scheduler
@every_crew
def test_what_is_said_to_be_over_is_never_taken_up_again(name: str, workers: int) -> None:
    wanted = study(scheduler=name)
    backend = SimulatedBackend(error_curve, wanted.metric, workers)
    tuner = Tuner(wanted, TrialLog(None, wanted.header()), clock=backend.clock)
    gone: dict[int, int] = {}
    for _ in backend.steps(tuner):
        for trial in tuner.retired:
            gone.setdefault(trial, tuner.trials[trial].segments)
    assert gone
    more = study(scheduler=name, limits={"trials": 90})
    log = TrialLog(None, wanted.header())
    log.events = list(tuner.events)
    later, _ = simulate(more, workers, log=log)
    assert later.over
    assert len(later.trials) == 90
    for known in (tuner, later):
        assert all(known.trials[trial].segments == count for trial, count in gone.items())
        assert known.best.number not in known.retired


@pytest.mark.slow
@every_scheduler
def test_a_thousand_trials(name: str) -> None:
    tuner, _ = simulate(study(scheduler=name, limits={"trials": 1000}), 8)
    assert len(tuner.trials) == 1000
    ends = [event for event in tuner.events if isinstance(event, SegmentDone)]
    assert len(ends) == sum(trial.segments for trial in tuner.trials.values())


@every_scheduler
def test_more_trials_can_be_asked_for_later(name: str) -> None:
    wanted = study(scheduler=name, limits={"trials": 10})
    log = TrialLog(None, wanted.header())
    simulate(wanted, log=log)
    tuner, _ = simulate(study(scheduler=name, limits={"trials": 25}), log=log)
    assert len(tuner.trials) == 25
    assert tuner.over


@every_scheduler
@pytest.mark.parametrize("seed", range(60))
def test_results_may_arrive_in_any_order(name: str, seed: int) -> None:
    """Also when all improve, all worsen, or many are equal or fail."""
    chance = random.Random(seed)
    trials, workers, trend = chance.randint(1, 40), chance.randint(1, 6), chance.choice([-1, 0, 1])
    resources = Resources(
        min_resource=1,
        max_resource=chance.choice([1, 4, 9, 27]),
        reduction_factor=chance.choice([2, 3]),
    )
    scheduler = SCHEDULERS.get(name)(resources, trials)
    started, running, gone = 0, list[tuple[int, int]](), set[int]()
    while True:
        while len(running) < workers and (given := scheduler.suggest(started)):
            if isinstance(given, Start):
                trial, bracket, started = started, given.bracket, started + 1
            else:
                trial, bracket = given.trial, 0
                assert trial not in gone
            scheduler.on_claim(trial, given.resource, bracket)
            running.append((trial, given.resource))
        if not running:
            break
        trial, resource = running.pop(chance.randrange(len(running)))
        if chance.random() < 0.1:
            scheduler.on_failure(trial)
        else:
            scheduler.on_result(trial, resource, round(trend * started / 10 + chance.random(), 1))
        gone |= set(scheduler.retired())
    assert started == trials
