"""Differences between ways of training, over the same seeds."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

LEVEL = 0.95


@dataclass(frozen=True)
class PairedDifference:
    """Mean difference with its 95 % interval."""

    mean: float
    low: float
    high: float
    n: int


def paired_difference(ours: Sequence[float], theirs: Sequence[float]) -> PairedDifference:
    """Student's interval for the mean of the differences, seed by seed (Student, 1908).

    Args:
        ours: One value for each seed; at least two.
        theirs: The values of the same seeds.
    """
    from scipy.stats import t

    differences = [a - b for a, b in zip(ours, theirs, strict=True)]
    n, mean = len(differences), statistics.fmean(differences)
    error = statistics.stdev(differences) / n**0.5
    half = float(t.ppf((1 + LEVEL) / 2, n - 1)) * error
    return PairedDifference(mean, mean - half, mean + half, n)
