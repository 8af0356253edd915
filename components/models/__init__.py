"""Models: one file and one line here for each; every entry builds a fresh network."""

from __future__ import annotations

from typing import Protocol

from torch import nn

from components.catalog import Catalog


class ModelBuilder(Protocol):
    """Builds a classifier for images of one shape."""

    def __call__(self, image_shape: tuple[int, int, int], classes: int) -> nn.Module:
        """Build a fresh network.

        Args:
            image_shape: (C, H, W).
            classes: Number of outputs.

        Returns:
            A module from (B, C, H, W) float to (B, classes) unnormalised scores.
        """


MODELS: Catalog[ModelBuilder] = Catalog(
    "model",
    {
        "lenet": "components.models.lenet:lenet",
        "lenet_modern": "components.models.lenet:lenet_modern",
    },
)
