"""Our schedulers beside the published algorithms, written down once more in the plainest way."""

from __future__ import annotations

import numpy as np
import optuna
import pytest

from components.tuning.rungs import rung_levels
from components.tuning.trial import Claimed, TrialStatus
from tests.simulated import error_curve, simulate, study

LEVELS = (2, 4, 8, 10)


def claims(tuner) -> list[tuple[int, int]]:
    return [
        (event.segment.trial, event.segment.resource)
        for event in tuner.events
        if isinstance(event, Claimed)
    ]


def errors(tuner) -> list[list[float]]:
    """All curves, whole, also of trials that were stopped."""
    return [list(error_curve(trial.config).values) for trial in tuner.trials.values()]


@pytest.mark.parametrize(
    ("least", "most", "eta", "levels"),
    [(2, 10, 2, LEVELS), (1, 81, 3, (1, 3, 9, 27, 81)), (5, 5, 2, (5,)), (1, 10, 4, (1, 4, 10))],
)
def test_rungs(least: int, most: int, eta: int, levels: tuple[int, ...]) -> None:
    assert rung_levels(least, most, eta) == levels


@pytest.mark.parametrize("seed", range(5))
def test_asha_with_one_worker_is_algorithm_2(seed: int) -> None:
    """Li et al. 2018: the job that get_job returns, by scanning every rung again each time."""
    tuner, _ = simulate(study(seed=seed, limits={"trials": 40}))
    curves = errors(tuner)
    results: list[dict[int, float]] = [{} for _ in LEVELS]
    promoted: list[set[int]] = [set() for _ in LEVELS]
    jobs, started = [], 0
    while True:
        job = None
        for k in reversed(range(len(LEVELS) - 1)):
            ranked = sorted(results[k], key=lambda trial, k=k: (results[k][trial], trial))
            candidates = [t for t in ranked[: len(ranked) // 2] if t not in promoted[k]]
            if candidates:
                promoted[k].add(candidates[0])
                job = (candidates[0], k + 1)
                break
        if job is None:
            if started == 40:
                break
            job, started = (started, 0), started + 1
        trial, k = job
        results[k][trial] = curves[trial][LEVELS[k] - 1]
        jobs.append((trial, LEVELS[k]))
    assert claims(tuner) == jobs


@pytest.mark.parametrize("seed", range(5))
def test_successive_halving_with_one_worker_is_the_books(seed: int) -> None:
    """Section 19.4: rounds of 8, then 4, 2 and 1; those that advance stand ahead in the queue."""
    tuner, _ = simulate(study(scheduler="successive_halving", seed=seed, limits={"trials": 24}))
    curves = errors(tuner)
    queue: list[tuple[int, int]] = []
    seen: dict[int, list[tuple[float, int]]] = {level: [] for level in LEVELS}
    jobs, started = [], 0
    while queue or started < 24:
        if not queue:
            queue = [(trial, 2) for trial in range(started, started + 8)]
            started += 8
        trial, level = queue.pop(0)
        jobs.append((trial, level))
        if level == 10:
            continue
        seen[level].append((curves[trial][level - 1], trial))
        k = LEVELS.index(level)
        if len(seen[level]) == 2 ** (3 - k):
            best = sorted(seen[level])[: 2 ** (2 - k)]
            queue = [(trial, LEVELS[k + 1]) for _, trial in best] + queue
            seen[level] = []
    assert claims(tuner) == jobs


def test_hyperband_has_the_papers_brackets() -> None:
    """Li et al. 2017, table 1: R = 81, eta = 3."""
    sizes = [81, 34, 15, 8, 5]
    wanted = study(
        scheduler="hyperband",
        resources={"min_resource": 1, "max_resource": 81, "reduction_factor": 3},
        limits={"trials": sum(sizes)},
    )

    def long(config):
        curve = error_curve(config)
        values = tuple(curve.values[0] / (1 + e / 10) for e in range(81))
        return type(curve)(values, (1.0,) * 81)

    tuner, _ = simulate(wanted, curve=long)
    table: dict[int, dict[int, int]] = {}
    for trial in tuner.trials.values():
        for level in (1, 3, 9, 27, 81):
            if len(trial.curve) >= level:
                rung = table.setdefault(trial.bracket, {})
                rung[level] = rung.get(level, 0) + 1
    assert [table[s][(1, 3, 9, 27, 81)[s]] for s in range(5)] == sizes
    assert table[0] == {1: 81, 3: 27, 9: 9, 27: 3, 81: 1}
    assert {level: n for level, n in table[2].items() if level >= 9} == {9: 15, 27: 5, 81: 1}


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("mode", ["min", "max"])
def test_the_stopping_form_decides_as_optunas_pruner(seed: int, mode: str) -> None:
    """One trial after the other, the same curves. Optuna knows no last rung of its own."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sign = 1 if mode == "min" else -1

    def curve(config):
        known = error_curve(config)
        return type(known)(tuple(sign * value for value in known.values), known.seconds)

    tuner, _ = simulate(study(scheduler="asha_stopping", seed=seed, mode=mode), curve=curve)
    pruner = optuna.pruners.SuccessiveHalvingPruner(min_resource=2, reduction_factor=2)
    theirs = optuna.create_study(
        direction="minimize" if mode == "min" else "maximize", pruner=pruner
    )
    for trial in tuner.trials.values():
        asked = theirs.ask()
        for epoch, value in enumerate(curve(trial.config).values, 1):
            asked.report(value, epoch)
            if asked.should_prune():
                theirs.tell(asked, state=optuna.trial.TrialState.PRUNED)
                break
        else:
            theirs.tell(asked, curve(trial.config).values[-1])
        assert len(trial.curve) == epoch


def test_the_promotion_form_spends_on_the_best_of_each_rung() -> None:
    tuner, _ = simulate(study(limits={"trials": 64}))
    lengths = [len(trial.curve) for trial in tuner.trials.values()]
    for k, level in enumerate(LEVELS[1:], 1):
        below = sum(length >= LEVELS[k - 1] for length in lengths)
        # Early promotions that later ones outdo come on top of the half.
        assert below // 2 <= sum(length >= level for length in lengths) <= below // 2 + 5
    finals = np.array(
        [t.curve[-1] for t in tuner.trials.values() if t.status is TrialStatus.COMPLETED]
    )
    others = [error_curve(t.config).values[-1] for t in tuner.trials.values()]
    assert finals.min() <= np.sort(others)[3]
