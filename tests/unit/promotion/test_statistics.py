from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from components.promotion.statistics import (
    KernelTerms,
    mcnemar_exact,
    paired_bootstrap,
    relative_mmd,
    tango_interval,
    wilson_interval,
)

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


# Tango's interval


def test_a_published_interval() -> None:
    """Fagerland, Lydersen and Laake (2014), table I: airway hyper-responsiveness, 1 and 7 of 21."""
    assert tango_interval(1, 7, 21) == pytest.approx((-0.517, -0.026), abs=5e-4)


@given(st.integers(1, 400), st.data())
def test_tangos_interval_holds_the_estimate_and_turns_with_the_sides(n: int, data) -> None:
    wins = data.draw(st.integers(0, n))
    losses = data.draw(st.integers(0, n - wins))
    low, high = tango_interval(wins, losses, n)
    assert -1 <= low <= (wins - losses) / n + 1e-9
    assert (wins - losses) / n - 1e-9 <= high <= 1
    assert tango_interval(losses, wins, n) == pytest.approx((-high, -low), abs=1e-8)
    narrow = tango_interval(wins, losses, n, 0.5)
    assert low <= narrow[0] + 1e-9
    assert narrow[1] <= high + 1e-9


@pytest.mark.parametrize(("difference", "discordant"), [(0.0, 0.06), (0.03, 0.06), (-0.1, 0.2)])
def test_tangos_bounds_keep_their_coverage(difference: float, discordant: float) -> None:
    rng, n, rounds = np.random.default_rng(0), 300, 1500
    shares = [(discordant + difference) / 2, (discordant - difference) / 2, 1 - discordant]
    counts = rng.multinomial(n, shares, rounds)
    bounds = [tango_interval(int(won), int(lost), n) for won, lost, _ in counts]
    covered = np.mean([low <= difference <= high for low, high in bounds])
    assert 0.93 < covered < 0.975


@pytest.mark.parametrize(("wins", "losses", "n"), [(0, 0, 0), (3, 3, 5), (-1, 0, 5)])
def test_impossible_counts_are_refused(wins: int, losses: int, n: int) -> None:
    with pytest.raises(ValueError):
        tango_interval(wins, losses, n)


# The relative distance of two generators


def terms(samples: np.ndarray, real: np.ndarray) -> KernelTerms:
    def kernel(one: np.ndarray, two: np.ndarray) -> np.ndarray:
        return (one @ two.T / one.shape[1] + 1) ** 3

    own, other = kernel(samples, samples), kernel(samples, real)
    within = (own.sum(1) - own.diagonal()) / (len(samples) - 1)
    return KernelTerms(within, other.mean(1), other.mean(0))


def pairs(rng: np.random.Generator, shift: float, rounds: int, far: float = 0.3) -> np.ndarray:
    """P-values where the champion is off by `far` and the candidate by 0.3 - `shift` elsewhere."""
    found = []
    for _ in range(rounds):
        real, one, two = (rng.normal(size=(count, 3)) for count in (150, 250, 250))
        one[:, 0] += 0.3 - shift
        two[:, 1] += far
        found.append(relative_mmd(terms(one, real), terms(two, real)).p_value)
    return np.array(found)


def test_equally_distant_generators_are_told_apart_no_oftener_than_the_level_says() -> None:
    found = pairs(np.random.default_rng(0), 0.0, 800)
    for level in (0.2, 0.05, 0.01):
        assert (found <= level).mean() < level + 2.5 * math.sqrt(level * (1 - level) / len(found))
    assert 0.4 < (found <= 0.5).mean() < 0.6


def test_a_nearer_generator_is_found() -> None:
    found = pairs(np.random.default_rng(0), 0.3, 40, far=1.0)
    assert np.median(found) < 1e-4


def test_the_difference_is_that_of_the_squared_distances() -> None:
    from components.evaluation.kernel_distance import GenerationReference

    torch = pytest.importorskip("torch")
    drawn = torch.Generator().manual_seed(0)
    real, one, two = (torch.randn(60, 3, generator=drawn) for _ in range(3))
    reference = GenerationReference(real)
    kernels = [reference.mean_kernels(samples) for samples in (one, two + 1)]
    found = relative_mmd(*(KernelTerms(k.within, k.towards, k.real) for k in kernels))
    distances = [reference.distance(samples).mean for samples in (one, two + 1)]
    assert found.value == pytest.approx(distances[1] - distances[0], rel=1e-6)
    assert found.low < found.value < found.high


def test_the_same_generator_twice_is_not_better() -> None:
    same = terms(*np.random.default_rng(0).normal(size=(2, 50, 3)))
    assert relative_mmd(same, same).p_value == 1.0
    with pytest.raises(ValueError):
        relative_mmd(KernelTerms([1], [1], [1]), KernelTerms([1], [1], [1]))


# The paired bootstrap


def test_the_bootstrap_keeps_its_level_and_finds_a_gain() -> None:
    rng = np.random.default_rng(0)
    null = [paired_bootstrap(rng.exponential(size=80) - 1, 400).p_value for _ in range(400)]
    assert np.mean(np.array(null) <= 0.05) < 0.085
    assert paired_bootstrap(rng.normal(0.5, 1, 200)).p_value < 1e-4


def test_the_bootstraps_interval_is_near_students() -> None:
    gains = np.random.default_rng(1).normal(0.1, 1, 400)
    found, student = paired_bootstrap(gains), stats.ttest_1samp(gains, 0.0, alternative="greater")
    expected = stats.ttest_1samp(gains, 0.0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx(tuple(expected), abs=0.01)
    assert found.p_value == pytest.approx(student.pvalue, abs=0.01)


def test_gains_without_any_spread_are_decided_by_their_sign() -> None:
    assert paired_bootstrap([0.0] * 10).p_value == 1.0
    assert paired_bootstrap([-1.0] * 10).p_value == 1.0
    assert paired_bootstrap([1.0] * 10).p_value < 1e-4
    with pytest.raises(ValueError):
        paired_bootstrap([1.0])
