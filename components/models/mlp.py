"""A multilayer perceptron with dropout, as in Dive into Deep Learning 5.6."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from torch import nn

from components.models.spec import ModelKind, ModelSpec

Width = Annotated[int, Field(ge=1, le=16384)]


class MlpConfig(BaseModel):
    """Layers of a perceptron (params.yaml: network.mlp)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    hidden: Annotated[
        tuple[Width, ...], Field(max_length=16, description="Units of each hidden layer")
    ] = (256, 256)
    dropout: Annotated[
        float, Field(ge=0, lt=1, description="Share of hidden units left out at each step")
    ] = 0.2


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
