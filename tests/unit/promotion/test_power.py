"""What the level of the gate costs and what it guards against, computed or simulated."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from scipy import stats

from components.jobs.context import JobContext
from components.promotion.policy import PromotionPolicy
from components.promotion.statistics import mcnemar_exact
from components.settings import Settings
from components.tracking.memory import MemoryRegistry, MemoryTracker

N, DISCORDANT = 10_000, 0.06


@pytest.fixture(scope="module")
def policy() -> PromotionPolicy:
    """The default of params.yaml, with which the nights run."""
    tracker = MemoryTracker()
    return JobContext(Settings(), tracker, MemoryRegistry(tracker)).policy("any")


@cache
def wins_needed(discordant: int, level: float) -> int:
    """The fewest wins among the discordant pairs that are significant; one more than all if none.

    The p-value falls with each win, so bisection finds it.
    """
    low, high = 0, discordant + 1
    while low < high:
        middle = (low + high) // 2
        if mcnemar_exact(middle, discordant - middle) <= level:
            high = middle
        else:
            low = middle + 1
    return low


def power(gain: float, policy: PromotionPolicy) -> float:
    """Probability that a fresh pair with this true gain passes `mcnemar` and `minimum_gain`."""
    level = policy.alpha_per_year / policy.tests_per_year
    share = (1 + gain / DISCORDANT) / 2  # of the discordant pairs that the candidate wins
    total = 0.0
    for discordant in range(1200):
        enough = wins_needed(discordant, level)
        gained = np.ceil((discordant + policy.minimum_gain * N) / 2)
        tail = stats.binom.sf(max(enough, gained) - 1, discordant, share)
        total += stats.binom.pmf(discordant, N, DISCORDANT) * tail
    return float(total)


@pytest.mark.parametrize(("gain", "least"), [(0.01, 0.6), (0.02, 0.99)])
def test_a_true_gain_is_found_with_the_promised_power(policy, gain: float, least: float) -> None:
    assert power(gain, policy) >= least


def test_no_number_of_discordant_pairs_makes_a_false_promotion_likelier_than_the_level(
    policy,
) -> None:
    level = policy.alpha_per_year / policy.tests_per_year
    sizes = [stats.binom.sf(wins_needed(n, level) - 1, n, 0.5) for n in range(1200)]
    assert max(sizes) <= level * (1 + 1e-9)


def test_the_tests_of_a_year_share_at_most_five_percent(policy) -> None:
    assert policy.alpha_per_year <= 0.05
    assert policy.tests_per_year >= 365


def test_a_year_of_nights_on_one_reused_test_set_promotes_falsely_at_most_once_in_twenty(
    policy,
) -> None:
    """Known truth: all models guess on the same hard images, so none is better than another.

    A champion that was unlucky on the test set is compared with every candidate of the year.
    """
    level, years, hard = policy.alpha_per_year / policy.tests_per_year, 4000, 1200
    rng = np.random.default_rng(0)
    champion = rng.binomial(hard, 0.5, (years, 1))
    nights = (years, policy.tests_per_year)
    losses, wins = rng.binomial(champion, 0.5, nights), rng.binomial(hard - champion, 0.5, nights)
    needed = np.array([wins_needed(n, level) for n in range(hard + 1)])
    promoted = (wins >= needed[wins + losses]).any(axis=1)
    assert 0.5 * hard * 0.98 < np.mean(wins + losses) < 0.5 * hard * 1.02
    assert promoted.mean() <= 0.05
