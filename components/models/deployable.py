"""The form in which a classifier is registered: it carries its own normalisation."""

from __future__ import annotations

import torch
from torch import nn


class Deployable(nn.Module):
    """A network with the normalisation of its training data in front.

    A champion and a candidate that were trained on different versions of a dataset can thus be
    given the same pictures.

    Args:
        net: From (B, C, H, W) normalised float32 to (B, classes) scores.
        mean: Mean of the training pixels scaled to [0, 1].
        std: Their standard deviation, positive.
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, net: nn.Module, mean: float, std: float) -> None:
        super().__init__()
        self.net = net
        self.register_buffer("mean", torch.tensor(mean))
        self.register_buffer("std", torch.tensor(std))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Scores (B, classes) for images (B, C, H, W) float32 in [0, 1]."""
        scores: torch.Tensor = self.net((images - self.mean) / self.std)
        return scores
