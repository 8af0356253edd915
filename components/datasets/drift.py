"""How far a dataset has moved from the one a champion was trained on."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from components.datasets.base import Split
from components.datasets.prepared import ImageCard


class DriftConfig(BaseModel):
    """Distances above which a warning is given (params.yaml: drift)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    class_balance: float = Field(
        0.1, gt=0, le=1, description="Total variation distance between the classes' shares"
    )
    pixel_mean: float = Field(
        0.25, gt=0, description="Shift of a channel's mean, in the old standard deviations"
    )
    pixel_std: float = Field(
        0.25, gt=0, description="Natural logarithm of the ratio of a channel's standard deviations"
    )


@dataclass(frozen=True)
class Drift:
    """Distances between the training splits of two versions.

    Attributes:
        class_balance: Total variation distance between the classes' shares, in [0, 1]; a class
            that only one of them has counts with its whole share.
        pixel_mean: Largest shift of a channel's mean, in the older version's deviations.
        pixel_std: Largest absolute logarithm of the ratio of a channel's deviations.
    """

    class_balance: float
    pixel_mean: float
    pixel_std: float

    def exceeded(self, limits: DriftConfig) -> list[str]:
        """One sentence for each distance above its limit."""
        return [
            f"{name} moved by {getattr(self, name):.3f}, more than {limit:g}"
            for name, limit in limits
            if getattr(self, name) > limit
        ]


def drift_between(old: ImageCard, new: ImageCard) -> Drift:
    """Compare two versions' cards.

    Args:
        old: Of the version the champion was trained on.
        new: Of today's version.

    Returns:
        The distances; those of pixels are infinite where the channels differ in number.
    """
    balance = sum(abs(_share(new, name) - _share(old, name)) for name in _names(old, new)) / 2
    if len(old.mean) != len(new.mean):
        return Drift(balance, math.inf, math.inf)
    means = np.abs(np.subtract(new.mean, old.mean)) / np.array(old.std)
    stds = np.abs(np.log(np.divide(new.std, old.std)))
    return Drift(balance, float(means.max()), float(stds.max()))


def _names(old: ImageCard, new: ImageCard) -> list[str]:
    return sorted({*old.class_names, *new.class_names})


def _share(card: ImageCard, name: str) -> float:
    if name not in card.class_names:
        return 0.0
    counts = card.counts_per_class[Split.TRAIN]
    return counts[card.class_names.index(name)] / max(1, sum(counts))
