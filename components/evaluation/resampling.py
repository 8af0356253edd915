"""Metrics of texts with bootstrap intervals, from what each example adds to them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

RESAMPLES = 1000
LEVEL = 0.95

Float64Array = npt.NDArray[np.float64]


def mean(sums: Float64Array) -> Float64Array:
    """Of a column of values and one of their number: (..., 2) to (...)."""
    return sums[..., 0] / np.maximum(sums[..., 1], 1e-12)


def f_measure(sums: Float64Array) -> Float64Array:
    """Of hits, predicted and true: (..., 3) to (...); 0 without any."""
    return 2 * sums[..., 0] / np.maximum(sums[..., 1] + sums[..., 2], 1e-12)


@dataclass(frozen=True)
class Metric:
    """A number that follows from sums over the examples.

    Attributes:
        name: As in reports and floors.
        rows: (N, K) what each example adds.
        of: Sums (..., K) to values (...).
        least: Whether less is better, so that a floor is the most it may be.
    """

    name: str
    rows: Float64Array
    of: Callable[[Float64Array], Float64Array] = mean
    least: bool = False

    @classmethod
    def average(cls, name: str, values: npt.ArrayLike) -> Metric:
        """The mean of a value of each example."""
        column = np.asarray(values, np.float64)
        return cls(name, np.stack([column, np.ones_like(column)], 1))


@dataclass(frozen=True)
class Measured:
    """A metric's value with its 95 % bootstrap interval."""

    name: str
    value: float
    low: float
    high: float
    least: bool = False

    def clears(self, floor: float) -> bool:
        """Whether the value itself is good enough; one that is not a number never is."""
        return self.value <= floor if self.least else self.value >= floor


def measure(metric: Metric, seed: int = 0) -> Measured:
    """Value and percentile interval over resampled examples (Efron and Tibshirani, 1993, 13.3)."""
    count = len(metric.rows)
    chance = np.random.default_rng(seed)
    weights = chance.multinomial(count, np.full(count, 1 / count), RESAMPLES)
    found = metric.of(weights @ metric.rows)
    low, high = np.quantile(found, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    value = float(metric.of(metric.rows.sum(0)))
    return Measured(metric.name, value, float(low), float(high), metric.least)
