"""Distributions and spaces: what they hold, and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from components.errors import ConfigError
from components.tuning.space import Distribution
from components.tuning.trial import TrialStatus
from tests.simulated import SPACE, simulate, study


def distribution(kind: str, low: object = None, high: object = None, **more: object):
    return Distribution.model_validate({"distribution": kind, "low": low, "high": high} | more)


@pytest.mark.parametrize(
    "values",
    [
        {"distribution": "uniform", "low": 1, "high": 1},
        {"distribution": "uniform", "low": 2, "high": 1},
        {"distribution": "uniform", "low": 0},
        {"distribution": "uniform", "low": 0, "high": float("inf")},
        {"distribution": "log_uniform", "low": 0, "high": 1},
        {"distribution": "integer", "low": 0.5, "high": 3},
        {"distribution": "choice"},
        {"distribution": "choice", "values": [1, 1]},
        {"distribution": "choice", "values": [1], "low": 0},
        {"distribution": "uniform", "low": 0, "high": 1, "values": [1]},
        {"distribution": "normal", "low": 0, "high": 1},
        {"distribution": "uniform", "low": 0, "high": 1, "step": 0.1},
    ],
)
def test_what_makes_no_sense_is_refused(values: dict) -> None:
    with pytest.raises(ValidationError):
        Distribution.model_validate(values)


def test_values_spread_as_they_should() -> None:
    shares = (np.arange(2000) + 0.5) / 2000
    log = [distribution("log_uniform", 0.01, 1).at(share) for share in shares]
    assert np.quantile(log, 0.5) == pytest.approx(0.1, rel=0.01)
    whole = [distribution("integer", 1, 4).at(share) for share in shares]
    assert np.unique(whole, return_counts=True)[1].tolist() == [500] * 4
    chosen = [distribution("choice", values=["a", "b"]).at(share) for share in shares]
    assert chosen.count("a") == 1000
    wide = [distribution("log_integer", 1, 1000).at(share) for share in (0.0, 1 - 1e-12)]
    assert (min(wide), max(wide)) == (1, 1000)


def test_a_grid_has_the_ends_and_every_choice() -> None:
    assert distribution("log_uniform", 0.01, 1).grid() == pytest.approx(
        [0.01, 0.0316, 0.1, 0.316, 1], rel=0.01
    )
    assert distribution("integer", 1, 3).grid() == [1, 2, 3]
    assert distribution("choice", values=[128, 256]).grid() == [128, 256]


@pytest.mark.parametrize(
    ("point", "message"),
    [
        ({"lr": 0.1}, "no value for batch_size"),
        ({"lr": 2.0, "batch_size": 64}, r"points\[0\].lr: got 2.0, wanted a number from 0.01 to 1"),
        ({"lr": 0.1, "batch_size": 64.5}, "a whole number from 32 to 256"),
        ({"lr": 0.1, "batch_size": 64, "momentum": 0.9}, "one of batch_size, lr"),
        ({"lr": True, "batch_size": 64}, "got True"),
    ],
)
def test_a_point_outside_is_refused(point: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        study(points=[point]).check()


def test_epochs_are_varied_by_fifo_alone() -> None:
    fields = dict(SPACE.fields) | {"epochs": distribution("integer", 5, 30)}
    with pytest.raises(ConfigError, match="scheduler=fifo"):
        study(space={"fields": fields}).check()
    study(space={"fields": fields}, scheduler="fifo").check()


def test_an_empty_space_is_refused() -> None:
    with pytest.raises(ConfigError, match="set space"):
        study(space={"fields": {}}).check()


def test_under_fifo_a_trial_may_have_a_length_of_its_own() -> None:
    fields = dict(SPACE.fields) | {"epochs": distribution("integer", 3, 9)}
    tuner, _ = simulate(study(space={"fields": fields}, scheduler="fifo", limits={"trials": 9}))
    lengths = {len(trial.curve) for trial in tuner.trials.values()}
    assert len(lengths) > 1
    for trial in tuner.trials.values():
        assert len(trial.curve) == trial.config["epochs"]
        assert trial.status is TrialStatus.COMPLETED
