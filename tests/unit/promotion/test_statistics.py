from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from components.promotion.statistics import mcnemar_exact, wilson_interval

COUNTS = st.integers(0, 3000)


@given(COUNTS, COUNTS)
def test_the_test_is_the_upper_tail_of_a_fair_coin(wins: int, losses: int) -> None:
    expected = stats.binom.sf(wins - 1, wins + losses, 0.5)
    assert mcnemar_exact(wins, losses) == pytest.approx(expected, rel=1e-8, abs=1e-300)


@given(COUNTS, COUNTS)
def test_a_p_value_is_a_probability_and_falls_with_each_win(wins: int, losses: int) -> None:
    p = mcnemar_exact(wins, losses)
    assert 0 <= p <= 1
    assert 0 <= mcnemar_exact(wins + 1, losses) <= p * (1 + 1e-9)


@pytest.mark.parametrize(
    ("wins", "losses", "p"),
    [(0, 0, 1.0), (0, 5, 1.0), (1, 0, 0.5), (2, 0, 0.25), (3, 1, 5 / 16), (13, 0, 2**-13)],
)
def test_small_cases_are_exact(wins: int, losses: int, p: float) -> None:
    assert mcnemar_exact(wins, losses) == p


def test_ten_thousand_discordant_pairs_are_no_problem() -> None:
    assert mcnemar_exact(5000, 5000) == pytest.approx(stats.binom.sf(4999, 10_000, 0.5), rel=1e-8)
    assert mcnemar_exact(0, 10_000) <= 1.0


def test_the_interval_is_that_of_scipy() -> None:
    expected = stats.binomtest(81, 263).proportion_ci(method="wilson")
    assert wilson_interval(81, 263) == pytest.approx(tuple(expected), abs=1e-7)


def test_a_known_interval() -> None:
    """Newcombe (1998), table I: 15 of 148."""
    assert wilson_interval(15, 148) == pytest.approx((0.0624, 0.1605), abs=5e-5)


@given(st.integers(1, 5000), st.data())
def test_an_interval_lies_around_the_share_within_zero_and_one(n: int, data) -> None:
    hits = data.draw(st.integers(0, n))
    low, high = wilson_interval(hits, n)
    assert -1e-12 <= low <= hits / n + 1e-12
    assert hits / n - 1e-12 <= high <= 1 + 1e-12
    assert math.isclose(1 - wilson_interval(n - hits, n)[1], low, abs_tol=1e-12)


@pytest.mark.parametrize("n", [0, -1])
def test_no_trials_have_no_interval(n: int) -> None:
    with pytest.raises(ValueError):
        wilson_interval(0, n)
