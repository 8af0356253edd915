"""Linear regression, as in Dive into Deep Learning 3.5."""

from __future__ import annotations

from torch import nn

from components.models.spec import ModelKind, ModelSpec


def linear(features: int, targets: int) -> nn.Module:
    """The line y = X w + b, its weights drawn from normal(0, 0.01) and its offset 0.

    Args:
        features: Columns of X.
        targets: Columns of y.

    Returns:
        A module from (B, features) to (B, targets).
    """
    layer = nn.Linear(features, targets)
    nn.init.normal_(layer.weight, 0.0, 0.01)
    nn.init.zeros_(layer.bias)
    return layer


SPEC = ModelSpec(ModelKind.REGRESSOR, linear)
