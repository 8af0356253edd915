"""What every generative adversarial network consists of."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn


@dataclass(frozen=True)
class Gan:
    """Two networks that play against each other (Goodfellow et al., 2014).

    Attributes:
        generator: From latents (B, latent_dim), drawn from a standard normal, to samples
            (B, ...); pictures are in [-1, 1].
        discriminator: From samples to (B,) unnormalised scores, positive for real.
        latent_dim: Length of a latent vector.
    """

    generator: nn.Module
    discriminator: nn.Module
    latent_dim: int
