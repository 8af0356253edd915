"""A world with known truth for the gate: images of known hardness, models of known accuracy.

An image has a hardness p, the probability that a model of the recipe is right about it. Given
p, two models are right independently of each other; that hard images are hard for both makes their
mistakes alike, as measured ones are. Images of one class with the same p are exchangeable, so a
model is completely described by how many images it has right in each such bin.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from components.benchmarks.gate_pairs import MeasuredPairs
from components.benchmarks.gate_rules import FloatArray, IntArray

GRID = 51
STEPS = 20_000
NEGLIGIBLE = 1e-5  # a share of 10,000 images that is less than one image
LEAST_SPREAD = 0.001


def hardness_grid() -> FloatArray:
    """(GRID,) values of p in [0, 1], closer together towards the ends, where k / K errs less."""
    return np.sin(np.linspace(0, math.pi / 2, GRID)) ** 2


def mixture(histogram: Sequence[int]) -> FloatArray:
    """The distribution of p that makes a histogram likeliest: maximum likelihood by EM.

    The counts are those of a mixture of binomials (Laird, 1978), so the noise of K draws for each
    image is taken out.

    Args:
        histogram: h[k] images about which exactly k of K models are right.

    Returns:
        (GRID,) shares of the images, summing to 1.
    """
    counts, grid = np.asarray(histogram, dtype=np.float64), hardness_grid()
    models = len(counts) - 1
    hits = np.arange(models + 1)[:, None]
    choices = np.array([math.comb(models, k) for k in range(models + 1)])[:, None]
    likelihood = choices * grid**hits * (1 - grid) ** (models - hits)
    shares = np.full(GRID, 1 / GRID)
    for _ in range(STEPS):
        shares = shares * (likelihood.T @ (counts / (likelihood @ shares))) / counts.sum()
    shares[shares < NEGLIGIBLE] = 0
    shares /= shares.sum()
    return shares


def spread_of_recipe(pairs: MeasuredPairs) -> float:
    """Standard deviation of the models' true accuracies, at least LEAST_SPREAD.

    Two models that are equally good given each image still differ on n images: by the variance
    p (1 - p) / n, which is half the discordance over n. What the measured accuracies vary beyond
    that is true.
    """
    noise = pairs.discordance / (2 * pairs.n)
    return math.sqrt(max(LEAST_SPREAD**2, float(np.var(pairs.accuracies, ddof=1)) - noise))


@dataclass(frozen=True)
class World:
    """All images there are, in bins of one class and one hardness.

    Attributes:
        chances: (bins,) p.
        shares: (bins,) of the images of the class.
        starts: (classes,) first bin of each class.
        sizes: (classes,) images of each class in a test set.
    """

    chances: FloatArray
    shares: FloatArray
    starts: IntArray
    sizes: IntArray

    @classmethod
    def of(cls, pairs: MeasuredPairs) -> World:
        """The world in which the measured histograms are likeliest, class by class."""
        mixtures = [mixture(histogram) for histogram in pairs.class_histograms]
        kept = [np.flatnonzero(shares) for shares in mixtures]
        return cls(
            chances=np.concatenate([hardness_grid()[bins] for bins in kept]),
            shares=np.concatenate([m[bins] for m, bins in zip(mixtures, kept, strict=True)]),
            starts=np.cumsum([0, *(len(bins) for bins in kept[:-1])]),
            sizes=np.array([sum(histogram) for histogram in pairs.class_histograms]),
        )

    @property
    def n(self) -> int:
        """Images of a test set."""
        return int(self.sizes.sum())

    @property
    def accuracy(self) -> float:
        """True accuracy of the recipe, averaged over its models."""
        return float(self._weights() @ self.chances)

    @property
    def discordance(self) -> float:
        """Probability that exactly one of two models of the recipe is right about an image."""
        return float(self._weights() @ (2 * self.chances * (1 - self.chances)))

    def _weights(self) -> FloatArray:
        """(bins,) share of each bin of all images."""
        bins = np.diff([*self.starts, len(self.chances)])
        weights: FloatArray = self.shares * np.repeat(self.sizes, bins) / self.n
        return weights

    def test_sets(self, count: int, generator: np.random.Generator) -> IntArray:
        """(count, bins) images of newly drawn test sets."""
        parts = np.split(self.shares, self.starts[1:])
        drawn = [
            generator.multinomial(size, part, count)
            for size, part in zip(self.sizes, parts, strict=True)
        ]
        return np.concatenate(drawn, axis=1)

    def chances_of(self, gains: FloatArray) -> FloatArray:
        """Probabilities to be right for models that are truly better than the recipe by `gains`.

        A better model is right about the same share more of what the recipe has wrong, in every
        bin; a worse one wrong about the same share of what it has right.

        Args:
            gains: (models,) in accuracy.

        Returns:
            (models, bins); the mean over all images is the accuracy plus the gain.
        """
        better = np.maximum(gains, 0)[:, None] / (1 - self.accuracy)
        worse = np.minimum(gains, 0)[:, None] / self.accuracy
        chances: FloatArray = self.chances + (1 - self.chances) * better + self.chances * worse
        return np.clip(chances, 0, 1)

    def by_class(self, counts: IntArray) -> IntArray:
        """(models, bins) counts summed to (models, classes)."""
        summed: IntArray = np.add.reduceat(counts, self.starts, axis=1)
        return summed
