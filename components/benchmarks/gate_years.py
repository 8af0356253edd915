"""Simulated years: one reused test set, a new candidate every night, and who is champion."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from components.benchmarks.gate_rules import BoolArray, FloatArray, IntArray, SimulatedGate
from components.benchmarks.gate_world import World

CANDIDATES = 4  # tried against each champion when power is estimated


@dataclass
class Champions:
    """The champions of many independent years, each with the test set of its year.

    Attributes:
        sizes: (years, bins) images of the test set.
        right: (years, bins) how many of them the champion has right.
        truth: (years,) its true gain over the recipe's mean accuracy.
    """

    sizes: IntArray
    right: IntArray
    truth: FloatArray

    @classmethod
    def fresh(
        cls, world: World, spread: float, years: int, generator: np.random.Generator
    ) -> Champions:
        """New test sets with a new model on each, whose true gain has this standard deviation."""
        sizes, truth = world.test_sets(years, generator), generator.normal(0, spread, years)
        return cls(sizes, generator.binomial(sizes, world.chances_of(truth)), truth)

    def against(
        self, chances: FloatArray, generator: np.random.Generator
    ) -> tuple[IntArray, IntArray]:
        """Wins and losses of one candidate for each year, (years, bins).

        Exact: given p, the candidate has each image right whatever the champion does.
        """
        wins = generator.binomial(self.sizes - self.right, chances)
        return wins, generator.binomial(self.right, 1 - chances)

    def replace(
        self, promoted: BoolArray, wins: IntArray, losses: IntArray, truth: FloatArray
    ) -> None:
        """Make the promoted candidates champions, with exactly the images that they have right."""
        self.right[promoted] += (wins - losses)[promoted]
        self.truth[promoted] = truth[promoted]

    def luck(self, world: World) -> FloatArray:
        """(years,) accuracy on these images beyond the average of models of the same truth."""
        expected = (self.sizes * world.chances_of(self.truth)).sum(1)
        luck: FloatArray = (self.right.sum(1) - expected) / world.n
        return luck


@dataclass
class Years:
    """What happened in many simulated years.

    Attributes:
        champions: At the end.
        promotions: (years,) how many.
        false_promotions: (years,) how many of them to a model that is not truly better.
        first_false: (years,) night of the first of those, from 1; more than all nights if none.
        discordant: Share of the images on which candidate and champion differ in the first night.
    """

    champions: Champions
    promotions: IntArray
    false_promotions: IntArray
    first_false: IntArray
    discordant: float


def simulate_years(
    world: World,
    gate: SimulatedGate,
    spread: float,
    years: int,
    nights: int,
    generator: np.random.Generator,
) -> Years:
    """Send a new candidate to the gate every night, against the champion of the year.

    Args:
        world: Images and models.
        gate: Rules.
        spread: Standard deviation of true accuracies; with 0 nothing is ever better, so that every
            promotion is false.
        years: Independent ones, each with its own test set.
        nights: Of a year.
        generator: Source of all chance.
    """
    champions = Champions.fresh(world, spread, years, generator)
    promotions, wrong = np.zeros(years, dtype=np.int64), np.zeros(years, dtype=np.int64)
    first_false, discordant = np.full(years, nights + 1), 0.0
    for night in range(1, nights + 1):
        truth = generator.normal(0, spread, years)
        wins, losses = champions.against(world.chances_of(truth), generator)
        promoted = gate.passes(world.by_class(wins), world.by_class(losses), world.sizes)
        false = promoted & (truth <= champions.truth)
        champions.replace(promoted, wins, losses, truth)
        promotions += promoted
        wrong += false
        first_false = np.where(false, np.minimum(first_false, night), first_false)
        if night == 1:
            discordant = float((wins + losses).sum() / years / world.n)
    return Years(champions, promotions, wrong, first_false, discordant)


def power(
    world: World,
    gate: SimulatedGate,
    champions: Champions,
    gain: float,
    generator: np.random.Generator,
) -> float:
    """Share of candidates promoted that are truly better than their champion by `gain`."""
    chances, promoted = world.chances_of(champions.truth + gain), 0
    for _ in range(CANDIDATES):
        wins, losses = champions.against(chances, generator)
        passed = gate.passes(world.by_class(wins), world.by_class(losses), world.sizes)
        promoted += int(passed.sum())
    return promoted / (CANDIDATES * len(champions.truth))
