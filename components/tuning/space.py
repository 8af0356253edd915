"""What a sweep may vary: one distribution for each field of the configuration."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import product
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from components.errors import ConfigError

Value = bool | int | float | str
Config = dict[str, Value]
GRID_POINTS = 5


class Distribution(BaseModel):
    """Where the values of one field come from.

    Attributes:
        distribution: `uniform` and `log_uniform` give floats in [low, high], `integer` and
            `log_integer` whole numbers including both ends, `choice` one of `values`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    distribution: Annotated[
        Literal["uniform", "log_uniform", "integer", "log_integer", "choice"],
        Field(description="uniform: fractions, integer: whole numbers, choice: one of the values"),
    ]
    low: Annotated[float | None, Field(description="Smallest value; none for a choice")] = None
    high: Annotated[float | None, Field(description="Largest value; none for a choice")] = None
    values: Annotated[tuple[Value, ...], Field(description="What a choice chooses from")] = ()

    @model_validator(mode="after")
    def _complete(self) -> Distribution:
        if self.distribution == "choice":
            if not self.values or self.low is not None or self.high is not None:
                raise ValueError("a choice with `values`, and no low or high")
            if len(set(map(repr, self.values))) < len(self.values):
                raise ValueError("a choice whose values differ")
            return self
        if self.values or self.low is None or self.high is None or not self.low < self.high:
            raise ValueError(f"`low` below `high` for {self.distribution}, and no values")
        if not math.isfinite(self.low) or not math.isfinite(self.high):
            raise ValueError("finite bounds")
        if self.logarithmic and self.low <= 0:
            raise ValueError("a `low` above 0 where the scale is logarithmic")
        if self.whole and (self.low != int(self.low) or self.high != int(self.high)):
            raise ValueError("whole numbers as bounds of integers")
        return self

    @property
    def logarithmic(self) -> bool:
        """Whether equal ratios are equally likely."""
        return self.distribution.startswith("log_")

    @property
    def whole(self) -> bool:
        """Whether the values are whole numbers."""
        return self.distribution.endswith("integer")

    @property
    def bounds(self) -> tuple[float, float]:
        """Smallest and largest value; not for a choice."""
        assert self.low is not None
        assert self.high is not None
        return self.low, self.high

    def at(self, share: float) -> Value:
        """The value below which the share [0, 1) of all values lies."""
        if self.distribution == "choice":
            return self.values[min(int(share * len(self.values)), len(self.values) - 1)]
        low, high = self.bounds
        if self.whole:  # every whole number has the same width, in the scale it is drawn in
            low, high = low - 0.5, high + 0.5
        if self.logarithmic:
            value = math.exp(math.log(low) + share * (math.log(high) - math.log(low)))
        else:
            value = low + share * (high - low)
        low, high = self.bounds
        value = min(max(value, low), high)
        return round(value) if self.whole else value

    def holds(self, value: object) -> bool:
        """Whether the value can come from here."""
        if self.distribution == "choice":
            return any(value == known and type(value) is type(known) for known in self.values)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        low, high = self.bounds
        return low <= value <= high and not (self.whole and value != int(value))

    def grid(self) -> list[Value]:
        """All values of a choice; of a range, up to five that are evenly spaced in its scale."""
        if self.distribution == "choice":
            return list(self.values)
        low, high = self.bounds
        points = np.geomspace(low, high, GRID_POINTS) if self.logarithmic else None
        spaced = np.linspace(low, high, GRID_POINTS) if points is None else points
        if self.whole:
            return sorted({round(float(value)) for value in spaced})
        return [float(value) for value in spaced]


class SearchSpace(BaseModel):
    """Fields that a sweep varies, by the names they have in the configuration."""

    model_config = ConfigDict(frozen=True)

    fields: Mapping[str, Distribution]

    def sample(self, generator: np.random.Generator) -> Config:
        """Independent draws, one for each field, in the order of their names."""
        return {name: self.fields[name].at(float(generator.random())) for name in self._names}

    def grid(self) -> Iterator[Config]:
        """All combinations of `Distribution.grid`; the last name varies fastest."""
        for values in product(*(self.fields[name].grid() for name in self._names)):
            yield dict(zip(self._names, values, strict=True))

    def grid_size(self) -> int:
        """The number of combinations."""
        return math.prod(len(distribution.grid()) for distribution in self.fields.values())

    def refuse_outside(self, point: Mapping[str, object], where: str) -> None:
        """Refuse a point that is not of this space.

        Raises:
            ConfigError: Naming the field and its range.
        """
        for name in self._names:
            if name not in point:
                raise ConfigError(
                    where,
                    got=f"no value for {name}",
                    wanted=f"a value for each of {', '.join(self._names)}",
                    remedy="Add it.",
                )
        for name, value in point.items():
            if name not in self.fields or not self.fields[name].holds(value):
                known = self.fields.get(name)
                raise ConfigError(
                    f"{where}.{name}",
                    got=repr(value),
                    wanted=_range(known) if known else f"one of {', '.join(self._names)}",
                    remedy="Correct the point, or widen the search space.",
                )

    @property
    def _names(self) -> list[str]:
        return sorted(self.fields)


def _range(distribution: Distribution) -> str:
    if distribution.distribution == "choice":
        return "one of " + ", ".join(map(repr, distribution.values))
    low, high = distribution.bounds
    return f"a {'whole ' if distribution.whole else ''}number from {low:g} to {high:g}"


def short(value: object) -> str:
    """A value for people: floats with four digits."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
