"""The statistics behind the rules, exact where exact is affordable."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

RESAMPLES, MOST_RESAMPLES = 40_000, 2_000_000
TAIL = 20
CHUNK = 2_000_000  # numbers drawn at a time
TOLERANCE = 1e-10

Float64Array = npt.NDArray[np.float64]


def mcnemar_exact(wins: int, losses: int) -> float:
    """One-sided exact McNemar test (McNemar, 1947) on the discordant pairs.

    Args:
        wins: Test images only the candidate classified correctly.
        losses: Test images only the champion classified correctly.

    Returns:
        The probability of at least `wins` wins among the discordant pairs if both models were
        equally good: the upper tail of a binomial with p = 1/2; 1.0 where there are no pairs.
    """
    n = wins + losses
    term = math.comb(n, wins)
    total = term
    for k in range(wins, n):
        term = term * (n - k) // (k + 1)
        total += term
    # Logarithms where 2**n is beyond a float; their rounding must not lead beyond 1.
    return total / 2**n if n < 1000 else min(1.0, math.exp(math.log(total) - n * math.log(2)))


def wilson_interval(hits: int, n: int, z: float = 1.959964) -> tuple[float, float]:
    """Score interval for a proportion (Wilson, 1927); the default z gives 95 %.

    Raises:
        ValueError: If `n` is not positive.
    """
    if n <= 0:
        raise ValueError(f"n must be positive, got {n}")
    share = hits / n
    centre = share + z * z / (2 * n)
    spread = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    return (centre - spread) / scale, (centre + spread) / scale


def tango_interval(wins: int, losses: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Score interval for the difference of two paired proportions (Tango, 1998).

    It keeps its coverage where few pairs are discordant, unlike Wald's.

    Args:
        wins: Pairs in which only the first is a hit.
        losses: Pairs in which only the second is.
        n: All pairs.
        confidence: Of both sides together; each bound alone has (1 + confidence) / 2.

    Returns:
        Bounds for (share of hits of the first) - (share of hits of the second), in [-1, 1].

    Raises:
        ValueError: If `n` is not positive, or smaller than the discordant pairs.
    """
    if n <= 0 or wins + losses > n or min(wins, losses) < 0:
        raise ValueError(f"0 <= wins + losses <= n, got {wins} + {losses} and n = {n}")
    z, estimate = NormalDist().inv_cdf((1 + confidence) / 2), (wins - losses) / n

    def bound(outer: float, sign: int) -> float:
        inner = estimate
        while abs(outer - inner) > TOLERANCE:
            middle = (inner + outer) / 2
            if sign * _tango_score(wins, losses, n, middle) <= z:
                inner = middle
            else:
                outer = middle
        return inner

    return bound(-1.0, 1), bound(1.0, -1)


def _tango_score(wins: int, losses: int, n: int, difference: float) -> float:
    """Standardised deviation of the observed difference from a supposed one."""
    a = 2 * n
    b = -wins - losses + (2 * n - wins + losses) * difference
    c = -losses * difference * (1 - difference)
    share = (math.sqrt(max(0.0, b * b - 4 * a * c)) - b) / (2 * a)
    variance = n * (2 * share + difference * (1 - difference))
    deviation = wins - losses - n * difference
    if variance <= 0:
        return 0.0 if deviation == 0 else math.copysign(math.inf, deviation)
    return deviation / math.sqrt(variance)


@dataclass(frozen=True)
class Difference:
    """An estimated difference.

    Attributes:
        value: Positive where the candidate is better.
        low: Of its 95 % interval.
        high: Of the same.
        p_value: One-sided, of a difference this large if there were none.
    """

    value: float
    low: float
    high: float
    p_value: float


@dataclass(frozen=True)
class KernelTerms:
    """What a generator's squared distance from real samples consists of.

    Attributes:
        within: (n,) mean kernel of each sample to the other samples.
        towards: (n,) mean kernel of each sample to the real examples.
        real: (m,) mean kernel of each real example to the samples.
    """

    within: Sequence[float]
    towards: Sequence[float]
    real: Sequence[float]


def relative_mmd(candidate: KernelTerms, champion: KernelTerms) -> Difference:
    """Which of two generators is nearer to the same real examples (Bounliphone et al., 2016).

    The difference of the two U-statistics is asymptotically normal. Its variance is estimated
    from the influence of each sample and each real example on it; what both generators have in
    common, above all the real examples, cancels.

    Returns:
        The champion's squared distance less the candidate's, in the unit of the terms.

    Raises:
        ValueError: If there are fewer than two of a kind, or their numbers differ.
    """
    within, towards, real = (
        np.subtract(one, other, dtype=np.float64)
        for one, other in (
            (champion.within, candidate.within),
            (champion.towards, candidate.towards),
            (champion.real, candidate.real),
        )
    )
    if min(len(within), len(real)) < 2:
        raise ValueError("at least two samples and two real examples")
    value = float(within.mean() - 2 * towards.mean())
    spreads = (2 * (within - towards), 2 * real)
    error = math.sqrt(sum(float(part.var(ddof=1)) / len(part) for part in spreads))
    if error == 0:
        return Difference(value, value, value, 1.0 if value <= 0 else 0.0)
    normal = NormalDist(value, error)
    return Difference(value, normal.inv_cdf(0.025), normal.inv_cdf(0.975), normal.cdf(0.0))


def resamples_for(level: float) -> int:
    """Resamples that a bootstrap needs to decide at a level: some twenty in the tail."""
    wanted = math.ceil(TAIL / level) if level > 0 else RESAMPLES
    return min(max(RESAMPLES, wanted), MOST_RESAMPLES)


def paired_bootstrap(
    gains: Sequence[float], resamples: int = RESAMPLES, seed: int = 0
) -> Difference:
    """Mean gain by a studentised bootstrap (Efron and Tibshirani, 1993, sections 12.5 and 16.4).

    Args:
        gains: (n,) of each example, positive where the candidate is better; at least 2.
        resamples: The p-value is a multiple of 1 / (resamples + 1).
        seed: Of the resampling: the same gains give the same answer.

    Raises:
        ValueError: If there are fewer than two examples.
    """
    observed = np.asarray(gains, np.float64)
    n = len(observed)
    if n < 2:
        raise ValueError("at least two examples")
    value, error = float(observed.mean()), float(observed.std(ddof=1)) / math.sqrt(n)
    if error == 0:
        return Difference(value, value, value, 1.0 if value <= 0 else 1 / (resamples + 1))
    pivots = _pivots(observed, resamples, np.random.default_rng(seed))
    low, high = np.quantile(pivots, [0.025, 0.975])
    larger = int((pivots >= value / error).sum())
    p_value = (larger + 1) / (resamples + 1)
    return Difference(value, float(value - high * error), float(value - low * error), p_value)


def _pivots(observed: Float64Array, resamples: int, rng: np.random.Generator) -> Float64Array:
    """(resamples,) standardised deviations of resampled means from the observed one."""
    n, found = len(observed), list[Float64Array]()
    size = max(1, CHUNK // n)
    for start in range(0, resamples, size):
        rows = min(size, resamples - start)
        drawn = observed[rng.integers(0, n, (rows, n))]
        errors = drawn.std(axis=1, ddof=1) / math.sqrt(n)
        deviations = drawn.mean(axis=1) - observed.mean()
        # A resample without any spread says nothing about its deviation: count it as extreme.
        flat = np.where(deviations < 0, -np.inf, np.inf)
        found.append(np.divide(deviations, errors, out=flat, where=errors > 0))
    return np.concatenate(found)
