"""Softmax regression, as in Dive into Deep Learning 4.5."""

from __future__ import annotations

import math

from torch import nn

from components.models.spec import ModelKind, ModelSpec


def softmax(image_shape: tuple[int, int, int], classes: int) -> nn.Module:
    """One linear layer over all pixels.

    Args:
        image_shape: (C, H, W).
        classes: Number of outputs.

    Returns:
        A module from (B, C, H, W) float to (B, classes) unnormalised scores.
    """
    layer = nn.Linear(math.prod(image_shape), classes)
    nn.init.normal_(layer.weight, 0.0, 0.01)
    nn.init.zeros_(layer.bias)
    return nn.Sequential(nn.Flatten(), layer)


SPEC = ModelSpec(ModelKind.CLASSIFIER, softmax)
