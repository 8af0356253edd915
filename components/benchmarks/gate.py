"""The promotion gate in a world with known truth: false promotions in a year, and power."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict

from components.benchmarks.base import hardware, versions
from components.benchmarks.gate_pairs import MeasuredPairs, load_pairs
from components.benchmarks.gate_rules import SimulatedGate
from components.benchmarks.gate_world import World, spread_of_recipe
from components.benchmarks.gate_years import Champions, Years, power, simulate_years
from components.params import check, load_params
from components.promotion.policy import PromotionParams, PromotionPolicy
from components.promotion.statistics import wilson_interval
from components.settings import Settings

if TYPE_CHECKING:
    from matplotlib.figure import Figure

YEARS = 4000
FEWER = 4  # times fewer years show what 0.05 in every night does
NIGHTS = 365
NIGHT_STEP = 5  # of the recorded curve
GAINS = tuple(round(0.001 * step, 3) for step in range(31))
STATED = (0.005, 0.01, 0.02)
DISCORDANT = 0.06  # of the pair for which a least power is promised
NOTHING, VARIED = "nothing improves", "varied"

Say = Callable[[str], None]


class YearlyRate(BaseModel):
    """How often a gate promoted falsely in simulated years.

    Attributes:
        name: Of the scenario.
        level: Of McNemar's test in one night.
        rate: Share of the years with at least one false promotion.
        interval: Of that share, 95 % (Wilson).
        promotions_per_year: All, on average.
        false_promotions_per_year: Those to a model that is not truly better, on average.
        by_night: Share of the years with a false promotion so far, every NIGHT_STEP nights.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    level: float
    years: int
    rate: float
    interval: tuple[float, float]
    promotions_per_year: float
    false_promotions_per_year: float
    by_night: tuple[float, ...]

    @classmethod
    def of(cls, name: str, level: float, outcome: Years) -> YearlyRate:
        """Count over the years."""
        years, nights = len(outcome.first_false), range(0, NIGHTS + 1, NIGHT_STEP)
        hits = int((outcome.first_false <= NIGHTS).sum())
        return cls(
            name=name,
            level=level,
            years=years,
            rate=hits / years,
            interval=wilson_interval(hits, years),
            promotions_per_year=float(outcome.promotions.mean()),
            false_promotions_per_year=float(outcome.false_promotions.mean()),
            by_night=tuple(float((outcome.first_false <= night).mean()) for night in nights),
        )


class PowerCurve(BaseModel):
    """Probability of a promotion by the true gain of the candidate."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    gains: tuple[float, ...]
    fresh: tuple[float, ...]
    after_a_year: tuple[float, ...]


class Discordance(BaseModel):
    """Share of the images about which exactly one of two models is right."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    measured: float
    simulated: float


class GateBenchmark(BaseModel):
    """What `nightforge bench gate` found.

    Attributes:
        yearly_false_promotion_rate: The larger of the two scenarios'.
        power: Against a champion that is new, by true gain.
        power_after_a_year: Against the champion at the end of a year of the scenario "varied".
        power_at_six_percent: Computed exactly for a new pair with 6 % discordant images.
        scenarios: With the project's level.
        at_five_percent_every_night: The same with the level 0.05 in each night.
        recipe_spread: Standard deviation of the candidates' true accuracies in "varied".
        luck_after_a_year: By how much the accuracy of that champion on its test set is above the
            average of models of the same true accuracy, on the same images.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    benchmark: str = "gate"
    what: str
    yearly_false_promotion_rate: float
    power: dict[str, float]
    power_after_a_year: dict[str, float]
    power_at_six_percent: dict[str, float]
    scenarios: tuple[YearlyRate, ...]
    at_five_percent_every_night: tuple[YearlyRate, ...]
    discordant: Discordance
    recipe_spread: float
    luck_after_a_year: float
    curve: PowerCurve
    n: int
    years: int
    nights: int
    hardware: str
    versions: dict[str, str]

    def figure(self) -> Figure:
        """Both panels: false promotions over the nights, power over the true gain."""
        from components.benchmarks.gate_figure import draw

        return draw(self)


def gate(say: Say) -> GateBenchmark:
    """Simulate years of nights with the measured mistakes and the policy of params.yaml.

    Raises:
        CorruptDataError: If the measured table is missing or damaged.
        ConfigError: If params.yaml is not usable.
    """
    settings = Settings.from_environment(os.environ)
    section = load_params(settings.params_file).get("promotion") or {}
    params = check(PromotionParams, section, f"{settings.params_file.name}: promotion")
    return simulate(load_pairs(), params.default, YEARS, say)


def simulate(pairs: MeasuredPairs, policy: PromotionPolicy, years: int, say: Say) -> GateBenchmark:
    """Both scenarios at both levels, and the power.

    Args:
        pairs: How alike the mistakes of two models are.
        policy: Numbers of the gate; `alpha_per_year` is also the level to compare with.
        years: Simulated for each scenario.
        say: Told what was found.
    """
    world, spent = World.of(pairs), SimulatedGate.of(policy)
    every_night = SimulatedGate(policy.alpha_per_year, policy.minimum_gain, policy.recall_margin)
    spread = spread_of_recipe(pairs)
    say(f"{len(world.chances)} kinds of images; true accuracies vary by {spread:.4f}")
    ours, varied, discordant = _scenarios(world, spent, spread, years, say)
    theirs, _, _ = _scenarios(world, every_night, spread, years // FEWER, say)
    curve = _power_curve(world, spent, varied, years, say)
    return GateBenchmark(
        what=f"{years:,} years of {NIGHTS} nights on one test set of {world.n:,} images each; "
        f"minimum gain, exact McNemar and recall of each class; mistakes of {pairs.what}",
        yearly_false_promotion_rate=max(scenario.rate for scenario in ours),
        power=_stated(curve.fresh),
        power_after_a_year=_stated(curve.after_a_year),
        power_at_six_percent={f"{g:g}": spent.power(g, DISCORDANT, world.n) for g in STATED},
        scenarios=ours,
        at_five_percent_every_night=theirs,
        discordant=Discordance(measured=pairs.discordance, simulated=discordant),
        recipe_spread=spread,
        luck_after_a_year=float(varied.luck(world).mean()),
        curve=curve,
        n=world.n,
        years=years,
        nights=NIGHTS,
        hardware=hardware(),
        versions=versions(),
    )


def _scenarios(
    world: World, rules: SimulatedGate, spread: float, years: int, say: Say
) -> tuple[tuple[YearlyRate, ...], Champions, float]:
    """Rates, the champions at the end of "varied", and the share of discordant images."""
    rates, outcomes = list[YearlyRate](), list[Years]()
    for seed, (name, deviation) in enumerate({NOTHING: 0.0, VARIED: spread}.items()):
        generator = np.random.default_rng(seed)
        outcomes.append(simulate_years(world, rules, deviation, years, NIGHTS, generator))
        rates.append(rate := YearlyRate.of(name, rules.level, outcomes[-1]))
        say(
            f"{name}, level {rate.level:.2g} a night: a false promotion in {100 * rate.rate:.2f} % "
            f"of the years ({100 * rate.interval[0]:.2f} to {100 * rate.interval[1]:.2f}), "
            f"{rate.false_promotions_per_year:.3g} a year"
        )
    return tuple(rates), outcomes[-1].champions, outcomes[0].discordant


def _power_curve(
    world: World, rules: SimulatedGate, champions: Champions, years: int, say: Say
) -> PowerCurve:
    fresh = Champions.fresh(world, 0.0, years, np.random.default_rng(2))
    curve = PowerCurve(
        gains=GAINS,
        fresh=_powers(world, rules, fresh),
        after_a_year=_powers(world, rules, champions),
    )
    for name, values in (("fresh", curve.fresh), ("after a year", curve.after_a_year)):
        found = ", ".join(f"{share:.3f} at {gain}" for gain, share in _stated(values).items())
        say(f"power, {name}: {found}")
    return curve


def _powers(world: World, rules: SimulatedGate, champions: Champions) -> tuple[float, ...]:
    generator = np.random.default_rng(3)
    return tuple(power(world, rules, champions, gain, generator) for gain in GAINS)


def _stated(powers: Sequence[float]) -> dict[str, float]:
    return {f"{gain:g}": powers[GAINS.index(gain)] for gain in STATED}
