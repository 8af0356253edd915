"""What the level of the gate costs and what it guards against, computed or simulated."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from components.benchmarks.gate_rules import SimulatedGate, wins_needed
from components.jobs.context import JobContext
from components.promotion.policy import PromotionPolicy
from components.settings import Settings
from components.tracking.memory import MemoryRegistry, MemoryTracker

N, DISCORDANT = 10_000, 0.06


@pytest.fixture(scope="module")
def policy() -> PromotionPolicy:
    """The default of params.yaml, with which the nights run."""
    tracker = MemoryTracker()
    return JobContext(Settings(), tracker, MemoryRegistry(tracker)).policy("any")


@pytest.mark.parametrize(("gain", "least"), [(0.01, 0.6), (0.02, 0.99)])
def test_a_true_gain_is_found_with_the_promised_power(policy, gain: float, least: float) -> None:
    assert SimulatedGate.of(policy).power(gain, DISCORDANT, N) >= least


def test_no_number_of_discordant_pairs_makes_a_false_promotion_likelier_than_the_level(
    policy,
) -> None:
    needed = wins_needed(1200, policy.level)
    sizes = stats.binom.sf(needed - 1, np.arange(1201), 0.5)
    assert sizes.max() <= policy.level * (1 + 1e-9)


def test_the_tests_of_a_year_share_at_most_five_percent(policy) -> None:
    assert policy.alpha_per_year <= 0.05
    assert policy.tests_per_year >= 365


def test_a_year_of_nights_on_one_reused_test_set_promotes_falsely_at_most_once_in_twenty(
    policy,
) -> None:
    """Known truth: all models guess on the same hard images, so none is better than another.

    A champion that was unlucky on the test set is compared with every candidate of the year.
    """
    years, hard = 4000, 1200
    rng = np.random.default_rng(0)
    champion = rng.binomial(hard, 0.5, (years, 1))
    nights = (years, policy.tests_per_year)
    losses, wins = rng.binomial(champion, 0.5, nights), rng.binomial(hard - champion, 0.5, nights)
    needed = wins_needed(hard, policy.level)
    promoted = (wins >= needed[wins + losses]).any(axis=1)
    assert 0.5 * hard * 0.98 < np.mean(wins + losses) < 0.5 * hard * 1.02
    assert promoted.mean() <= 0.05
