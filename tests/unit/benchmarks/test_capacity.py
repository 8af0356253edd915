"""The simulation of a stack's servers, beside what queueing theory says."""

from __future__ import annotations

import math

import pytest

from components.benchmarks.capacity import Work, capacity, simulate


def repairman(n: int, think: float, service: float) -> float:
    """Visits per second of n customers at one exponential server (Lazowska et al., 4.3)."""
    terms = [math.perm(n, k) * (service / think) ** k for k in range(n + 1)]
    return (1 - 1 / sum(terms)) / service


@pytest.mark.parametrize("at_once", [1, 8, 40])
def test_one_server_is_as_busy_as_theory_says(at_once: int) -> None:
    work = Work("toy", 100.0, 10, {"server": 5.0}, {})
    load = simulate(work, at_once)
    wanted = 3600 * repairman(at_once, 10.0, 0.5) / 10
    assert load.per_hour == pytest.approx(wanted, rel=0.06)
    assert load.busy["server"] == pytest.approx(wanted / 3600 * 5.0, rel=0.08)
    assert load.slower == pytest.approx(3600 * at_once / wanted / 105, rel=0.06)


def test_more_at_once_end_more_often_but_take_longer() -> None:
    work = Work("toy", 100.0, 10, {"fast": 1.0, "slow": 5.0}, {})
    few, many, more = (simulate(work, size) for size in (2, 20, 60))
    assert few.per_hour < many.per_hour <= more.per_hour * 1.05
    assert few.slower < many.slower < more.slower
    assert more.busy["slow"] > 0.97 > more.busy["fast"]


@pytest.mark.slow
def test_the_measured_kinds_name_what_gives_out_first() -> None:
    said: list[str] = []
    found = capacity(said.append)
    for kind in found.kinds:
        assert kind.first in kind.loads[0].busy
        assert kind.loads[0].slower == pytest.approx(1, abs=0.2)
        assert kind.carried >= 4
        assert kind.gigabytes
    assert len(said) == sum(len(kind.loads) for kind in found.kinds)
