"""The form in which a classifier is registered: it carries its own normalisation."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn


class Deployable(nn.Module):
    """A network with the normalisation of its training data in front.

    A champion and a candidate that were trained on different versions of a dataset can thus be
    given the same pictures.

    Args:
        net: From (B, C, H, W) normalised float32 to (B, classes) scores.
        mean: Of the training pixels scaled to [0, 1], one for each channel.
        std: Their standard deviations, positive.
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, net: nn.Module, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.net = net
        self.register_buffer("mean", torch.tensor(mean).reshape(-1, 1, 1))
        self.register_buffer("std", torch.tensor(std).reshape(-1, 1, 1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Scores (B, classes) for images (B, C, H, W) float32 in [0, 1]."""
        scores: torch.Tensor = self.net((images - self.mean) / self.std)
        return scores
