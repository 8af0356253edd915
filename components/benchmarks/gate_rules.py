"""The gate's rules for many pairs of models at a time, and the exact power for one pair."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from components.promotion.classifier_rules import GUARD_LEVEL
from components.promotion.policy import PromotionPolicy
from components.promotion.statistics import mcnemar_exact, tango_interval

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

TABLE_STEP = 512
NEGLIGIBLE = 1e-12


@cache
def wins_needed(largest: int, level: float) -> IntArray:
    """The fewest wins that are significant, for each number of discordant pairs.

    Args:
        largest: Number of discordant pairs that the table ends with.
        level: Of McNemar's exact one-sided test.

    Returns:
        (largest + 1,) where entry d is d + 1 if not even d wins of d pairs are enough.
    """
    needed = [1]
    for pairs in range(1, largest + 1):
        fewest = needed[-1]  # one pair more asks for as many wins or one more
        enough = fewest <= pairs and mcnemar_exact(fewest, pairs - fewest) <= level
        needed.append(fewest if enough else fewest + 1)
    return np.array(needed)


@dataclass(frozen=True)
class SimulatedGate:
    """The rules that the simulation applies: minimum gain, McNemar, recall of each class.

    Floor, calibration, latency and size are left out: they can only refuse more.

    Attributes:
        level: Of McNemar's test in one night.
        minimum_gain: Gain in accuracy, absolute.
        recall_margin: How far the recall of a class may fall.
    """

    level: float
    minimum_gain: float
    recall_margin: float

    @classmethod
    def of(cls, policy: PromotionPolicy) -> SimulatedGate:
        """The gate of a policy, whose level is spent evenly over the tests of a year."""
        return cls(policy.level, policy.minimum_gain, policy.recall_margin)

    def enough(self, discordant: IntArray, n: int) -> IntArray:
        """The fewest wins among so many discordant pairs that pass minimum gain and McNemar."""
        largest = -(-int(discordant.max(initial=1)) // TABLE_STEP) * TABLE_STEP
        gained = math.ceil(round(self.minimum_gain * n, 9))  # wins that there must be over losses
        return np.maximum(
            wins_needed(largest, self.level)[discordant], -(-(discordant + gained) // 2)
        )

    def passes(self, wins: IntArray, losses: IntArray, sizes: IntArray) -> BoolArray:
        """Whether each candidate is promoted.

        Args:
            wins: (pairs, classes) images that only the candidate has right.
            losses: (pairs, classes) images that only the champion has right.
            sizes: (classes,) images.
        """
        won, lost = wins.sum(1), losses.sum(1)
        passed: BoolArray = won >= self.enough(won + lost, int(sizes.sum()))
        # The bound is below the fall itself, so few pairs need it.
        suspicious = passed & ((losses - wins) / sizes > self.recall_margin).any(1)
        for pair in np.flatnonzero(suspicious):
            passed[pair] = not self._falls(wins[pair], losses[pair], sizes)
        return passed

    def _falls(self, wins: IntArray, losses: IntArray, sizes: IntArray) -> bool:
        """Whether the recall of some class has surely fallen beyond the margin."""
        confidence = 1 - 2 * GUARD_LEVEL / len(sizes)
        counts: Sequence[tuple[int, int, int]] = np.stack([wins, losses, sizes], 1).tolist()
        return any(
            -tango_interval(won, lost, size, confidence)[1] > self.recall_margin
            for won, lost, size in counts
        )

    def power(self, gain: float, discordant: float, n: int) -> float:
        """Probability that a fresh pair passes minimum gain and McNemar, computed exactly.

        Args:
            gain: True difference in accuracy.
            discordant: Probability that exactly one of the two is right about an image.
            n: Test images.
        """
        pairs = np.arange(n + 1)
        likely = _binomial(pairs, n, discordant)
        pairs, likely = pairs[likely > NEGLIGIBLE], likely[likely > NEGLIGIBLE]
        share = (1 + gain / discordant) / 2  # of the discordant pairs that the candidate wins
        tails = [
            _binomial(np.arange(least, count + 1), count, share).sum()
            for count, least in zip(pairs.tolist(), self.enough(pairs, n).tolist(), strict=True)
        ]
        return float(likely @ np.array(tails))


def _binomial(hits: IntArray, n: int, chance: float) -> FloatArray:
    """Probabilities of so many hits in n trials; `chance` in (0, 1)."""
    factorials = _log_factorials(n)
    logarithm = factorials[n] - factorials[hits] - factorials[n - hits]
    logarithm = logarithm + hits * math.log(chance) + (n - hits) * math.log1p(-chance)
    probabilities: FloatArray = np.exp(logarithm)
    return probabilities


@cache
def _log_factorials(n: int) -> FloatArray:
    return np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, n + 1)))])
