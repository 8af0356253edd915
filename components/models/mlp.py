"""A multilayer perceptron with dropout, as in Dive into Deep Learning 5.6."""

from __future__ import annotations

import math
from itertools import pairwise

from torch import nn

from components.models.network import MlpConfig
from components.models.spec import ModelKind, ModelSpec


def mlp(image_shape: tuple[int, int, int], classes: int, config: MlpConfig) -> nn.Module:
    """Hidden layers with ReLU and dropout over all pixels.

    Args:
        image_shape: (C, H, W).
        classes: Number of outputs.
        config: Widths and dropout.

    Returns:
        A module from (B, C, H, W) float to (B, classes) unnormalised scores.
    """
    widths = [math.prod(image_shape), *config.hidden]
    layers: list[nn.Module] = [nn.Flatten()]
    for inputs, outputs in pairwise(widths):
        layers += [nn.Linear(inputs, outputs), nn.ReLU(), nn.Dropout(config.dropout)]
    net = nn.Sequential(*layers, nn.Linear(widths[-1], classes))
    for layer in net:
        if isinstance(layer, nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
    return net


SPEC = ModelSpec(ModelKind.CLASSIFIER, mlp, section="mlp")
