"""What the catalog of models holds: how to build networks, and for which data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class ModelKind(StrEnum):
    """What a model learns, from which data, and what its builder is given and returns.

    - CLASSIFIER, images with labels: image shape (C, H, W) and number of classes; a module from
      (B, C, H, W) float to (B, classes) unnormalised scores.
    - REGRESSOR, generated problems: number of features and of targets; a module from
      (B, features) to (B, targets).
    - IMAGE_GAN, images: image shape; a `Gan`.
    - POINT_GAN, generated problems: number of coordinates; a `Gan`.
    """

    CLASSIFIER = "classifier"
    REGRESSOR = "regressor"
    IMAGE_GAN = "image GAN"
    POINT_GAN = "point GAN"

    @property
    def images(self) -> bool:
        """Whether it learns from images rather than from generated tensors."""
        return self in (ModelKind.CLASSIFIER, ModelKind.IMAGE_GAN)

    @property
    def role(self) -> str:
        """What a trained one is in the registry: classifier, regressor or generator."""
        return "generator" if self.gan else str(self)

    @property
    def gan(self) -> bool:
        """Whether the section `gan` rather than `training` says how it is trained."""
        return self in (ModelKind.IMAGE_GAN, ModelKind.POINT_GAN)


@dataclass(frozen=True)
class ModelSpec:
    """An entry of the catalog.

    Attributes:
        kind: Decides what `build` is given and returns.
        build: Sizes, and then the section's values where there is one, to fresh networks.
        section: Field of `NetworkConfig` that holds its options.
    """

    kind: ModelKind
    build: Callable[..., Any]
    section: str | None = None
