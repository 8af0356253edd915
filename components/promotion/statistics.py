"""The statistics behind the rules, exact where exact is affordable."""

from __future__ import annotations

import math


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
