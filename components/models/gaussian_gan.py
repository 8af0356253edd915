"""A GAN small enough to see through, as in Dive into Deep Learning 20.1."""

from __future__ import annotations

import torch
from torch import nn

from components.models.gan import Gan
from components.models.spec import ModelKind, ModelSpec


class _Score(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(width, 5), nn.Tanh(), nn.Linear(5, 3), nn.Tanh(), nn.Linear(3, 1)
        )

    def forward(self, points: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.net(points)
        return scores.flatten()


def gaussian_gan(width: int) -> Gan:
    """A linear generator against a discriminator of three layers.

    Linear maps of normal vectors are all there is to learn of a Gaussian, so the generator can
    be exact.

    Args:
        width: Coordinates of a point, and of a latent vector.
    """
    pair = Gan(nn.Linear(width, width), _Score(width), width)
    for network in (pair.generator, pair.discriminator):
        for parameter in network.parameters():
            nn.init.normal_(parameter, 0.0, 0.02)
    return pair


SPEC = ModelSpec(ModelKind.POINT_GAN, gaussian_gan)
