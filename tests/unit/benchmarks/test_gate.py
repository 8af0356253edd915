"""The simulation that measures the gate: its world, its bookkeeping, its rules, its results."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from components.benchmarks import BENCHMARKS
from components.benchmarks.base import refuse_undrawable, save_figure
from components.benchmarks.gate import GateBenchmark, simulate
from components.benchmarks.gate_pairs import MeasuredPairs, load_pairs, summarise
from components.benchmarks.gate_rules import SimulatedGate, wins_needed
from components.benchmarks.gate_world import World, hardness_grid, mixture, spread_of_recipe
from components.benchmarks.gate_years import Champions, simulate_years
from components.errors import ConfigError, CorruptDataError
from components.promotion import RULES
from components.promotion.policy import PromotionPolicy
from components.promotion.rules import Comparison
from components.promotion.statistics import mcnemar_exact

MODELS, CLASSES, OF_CLASS = 16, 2, 5000
KINDS, SHARES = (0.3, 0.9, 0.995), (0.08, 0.12, 0.8)
POLICY = PromotionPolicy()


@pytest.fixture(scope="module")
def pairs() -> MeasuredPairs:
    """Sixteen equally good models; the hardness of each image is known."""
    generator = np.random.default_rng(0)
    labels = np.repeat(np.arange(CLASSES), OF_CLASS)
    hardness = generator.choice(KINDS, p=SHARES, size=len(labels))
    right = generator.random((MODELS, len(labels))) < hardness
    return summarise(right, labels, ("a", "b"), "a toy")


@pytest.fixture(scope="module")
def world(pairs: MeasuredPairs) -> World:
    return World.of(pairs)


@pytest.fixture(scope="module")
def result(pairs: MeasuredPairs) -> GateBenchmark:
    return simulate(pairs, POLICY, 240, lambda line: None)


def test_the_summary_counts_images_and_pairs() -> None:
    right = np.array([[1, 1, 0, 0], [1, 0, 0, 1], [1, 1, 0, 0]], dtype=bool)
    counted = summarise(right, np.array([0, 0, 1, 1]), ("a", "b"), "by hand")
    assert counted.histogram == (1, 1, 1, 1)
    assert counted.class_histograms == ((0, 0, 1, 1), (1, 1, 0, 0))
    assert counted.accuracies == (0.5, 0.5, 0.5)
    assert counted.discordance == pytest.approx((0.5 + 0 + 0.5) / 3)


def test_the_recorded_measurement_is_consistent() -> None:
    recorded = load_pairs()
    k, images = np.arange(recorded.models + 1), np.array(recorded.histogram)
    assert images.sum() == recorded.n == 10_000
    assert (np.sum(recorded.class_histograms, axis=0) == images).all()
    assert k @ images / recorded.models / recorded.n == pytest.approx(np.mean(recorded.accuracies))
    of_pairs = k * (recorded.models - k) / math.comb(recorded.models, 2)
    assert of_pairs @ images / recorded.n == pytest.approx(recorded.discordance)


def test_a_missing_measurement_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(CorruptDataError, match="measure again"):
        load_pairs(tmp_path / "none.json")


def test_em_recovers_a_known_mixture() -> None:
    hits = np.arange(MODELS + 1)
    histogram = 10_000 * sum(
        share * stats.binom.pmf(hits, MODELS, p) for p, share in zip(KINDS, SHARES, strict=True)
    )
    found, grid = mixture(histogram.tolist()), hardness_grid()
    assert found.sum() == pytest.approx(1)
    for p, share in zip(KINDS, SHARES, strict=True):
        assert found[abs(grid - p) < 0.08].sum() == pytest.approx(share, abs=0.02)
    truth = np.dot(SHARES, np.square(KINDS))
    assert found @ grid == pytest.approx(np.dot(SHARES, KINDS), abs=1e-4)
    assert found @ grid**2 == pytest.approx(truth, abs=1e-4)


@pytest.mark.parametrize("gain", [-0.05, 0.0, 0.001, 0.02])
def test_a_model_is_better_by_exactly_its_gain(world: World, gain: float) -> None:
    weights = world.test_sets(4000, np.random.default_rng(0)).mean(0) / world.n
    chances = world.chances_of(np.array([gain]))[0]
    assert ((chances >= 0) & (chances <= 1)).all()
    assert weights @ chances == pytest.approx(world.accuracy + gain, abs=2e-4)


def test_pairs_of_the_world_differ_as_often_as_measured_ones(
    pairs: MeasuredPairs, world: World, result: GateBenchmark
) -> None:
    true = np.dot(SHARES, [2 * p * (1 - p) for p in KINDS])
    assert pairs.discordance == pytest.approx(true, rel=0.05)
    assert world.discordance == pytest.approx(pairs.discordance, rel=0.02)
    assert result.discordant.simulated == pytest.approx(pairs.discordance, rel=0.02)


def test_models_that_differ_by_chance_alone_have_no_spread_of_their_own(
    pairs: MeasuredPairs,
) -> None:
    assert spread_of_recipe(pairs) < 0.0015
    apart = pairs.model_copy(update={"accuracies": tuple(np.linspace(0.88, 0.92, MODELS))})
    assert spread_of_recipe(apart) == pytest.approx(np.std(apart.accuracies, ddof=1), rel=0.1)


def test_a_new_champion_has_right_what_it_won_and_did_not_lose(world: World) -> None:
    generator = np.random.default_rng(0)
    champions = Champions.fresh(world, 0.0, 50, generator)
    before, truth = champions.right.copy(), np.full(50, 0.004)
    wins, losses = champions.against(world.chances_of(truth), generator)
    promoted = np.arange(50) % 2 == 0
    champions.replace(promoted, wins, losses, truth)
    assert (champions.right[promoted] == (before + wins - losses)[promoted]).all()
    assert (champions.right[~promoted] == before[~promoted]).all()
    assert (champions.truth == np.where(promoted, 0.004, 0.0)).all()
    assert ((wins >= 0) & (wins <= champions.sizes - before)).all()
    assert ((losses >= 0) & (losses <= before)).all()


def test_counts_stay_within_their_bins_over_many_promotions(world: World) -> None:
    easy = SimulatedGate(level=0.5, minimum_gain=0.0, recall_margin=1.0)
    outcome = simulate_years(world, easy, 0.002, 60, 40, np.random.default_rng(0))
    champions = outcome.champions
    assert outcome.promotions.mean() > 3
    assert ((champions.right >= 0) & (champions.right <= champions.sizes)).all()
    assert (champions.sizes.sum(1) == world.n).all()
    assert (world.by_class(champions.sizes) == world.sizes).all()
    assert (outcome.false_promotions <= outcome.promotions).all()
    assert ((outcome.first_false <= 40) == (outcome.false_promotions > 0)).all()
    assert champions.luck(world).mean() > 0


def test_the_table_of_wins_is_that_of_the_test() -> None:
    level = POLICY.level
    for pairs, needed in enumerate(wins_needed(300, level).tolist()):
        assert needed == pairs + 1 or mcnemar_exact(needed, pairs - needed) <= level
        assert mcnemar_exact(needed - 1, pairs - needed + 1) > level


def test_the_simulated_rules_decide_as_the_gate_does(make_report) -> None:
    policy = PromotionPolicy(minimum_gain=0.01, recall_margin=0.02, tests_per_year=1)
    generator, verdicts = np.random.default_rng(0), []
    labels = np.repeat([0, 1, 2], 300)
    for _ in range(60):
        right = generator.random((2, 900)) < np.repeat(generator.uniform(0.8, 1, (2, 3)), 300, 1)
        champion, candidate = np.where(right, labels, (labels + 1) % 3).tolist()
        comparison = Comparison(
            make_report(labels.tolist(), candidate),
            make_report(labels.tolist(), champion),
            policy,
            policy.level,
        )
        rules = [RULES.get(name)(comparison) for name in ("minimum_gain", "mcnemar")]
        rules.append(RULES.get("class_recall")(comparison))
        wins, losses = (
            np.bincount(labels[mask], minlength=3)[None]
            for mask in (right[1] & ~right[0], right[0] & ~right[1])
        )
        said = SimulatedGate.of(policy).passes(wins, losses, np.array([300, 300, 300]))
        verdicts.append(tuple(rule.passed for rule in rules if rule))
        assert bool(said[0]) == all(verdicts[-1])
    assert {(True, True, True), (True, True, False), (False, False, True)} <= set(verdicts)


def test_the_exact_power_is_that_of_scipy() -> None:
    rules, n, discordant, gain = SimulatedGate.of(POLICY), 2000, 0.06, 0.02
    share = (1 + gain / discordant) / 2
    count = np.arange(400)
    least = rules.enough(count, n)
    expected = stats.binom.pmf(count, n, discordant) @ stats.binom.sf(least - 1, count, share)
    assert rules.power(gain, discordant, n) == pytest.approx(float(expected), abs=1e-9)


def test_the_simulated_power_is_the_exact_one(world: World, result: GateBenchmark) -> None:
    # Discordant pairs of a better model differ a little, hence the tolerance.
    exact = SimulatedGate.of(POLICY).power(0.01, world.discordance, world.n)
    assert result.power["0.01"] == pytest.approx(exact, abs=0.08)


def test_the_spent_level_keeps_the_yearly_rate_and_another_does_not(result: GateBenchmark) -> None:
    spent, varied = result.scenarios
    every_night, _ = result.at_five_percent_every_night
    assert result.yearly_false_promotion_rate == max(spent.rate, varied.rate)
    assert spent.rate <= 0.05
    assert every_night.rate > 0.3
    assert every_night.false_promotions_per_year > 5 * spent.false_promotions_per_year
    assert spent.promotions_per_year == spent.false_promotions_per_year
    assert list(spent.by_night) == sorted(spent.by_night)
    assert (spent.by_night[0], spent.by_night[-1]) == (0.0, spent.rate)
    assert spent.interval[0] <= spent.rate <= spent.interval[1]


def test_power_grows_with_the_gain_and_a_lucky_champion_costs_some(result: GateBenchmark) -> None:
    for powers in (result.power, result.power_after_a_year, result.power_at_six_percent):
        assert list(powers) == ["0.005", "0.01", "0.02"]
        assert powers["0.005"] < powers["0.01"] < powers["0.02"]
    assert result.power["0.02"] > 0.98
    assert result.power_at_six_percent["0.01"] >= 0.6
    assert result.power_at_six_percent["0.02"] >= 0.99
    assert result.curve.fresh[0] < 0.01
    assert np.mean(result.curve.after_a_year) < np.mean(result.curve.fresh) + 0.01


def test_the_result_can_be_stored_and_drawn(result: GateBenchmark, tmp_path: Path) -> None:
    assert GateBenchmark.model_validate_json(result.model_dump_json()) == result
    assert (result.n, result.years, result.nights) == (CLASSES * OF_CLASS, 240, 365)
    path = tmp_path / "gate.png"
    refuse_undrawable("gate", BENCHMARKS.get("gate"), path)
    save_figure(result, path)
    assert path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(("name", "file"), [("lenet-cpu", "a.png"), ("gate", "a.exe")])
def test_a_picture_that_cannot_be_drawn_is_refused_first(name: str, file: str) -> None:
    with pytest.raises(ConfigError, match="--figure"):
        refuse_undrawable(name, BENCHMARKS.get(name), Path(file))
