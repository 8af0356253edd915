"""DCGAN (Radford et al., 2016), as in Dive into Deep Learning 20.2, for many picture sizes."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn

from components.errors import ConfigError
from components.models.gan import Gan
from components.models.network import DcganConfig
from components.models.spec import ModelKind, ModelSpec

BASES = range(4, 8)  # side of the smallest feature map
SPREAD = 0.02


class Generator(nn.Module):
    """From latent vectors to pictures.

    Args:
        image_shape: (C, S, S).
        config: Latent length and width.

    Raises:
        ConfigError: If S is not 4, 5, 6 or 7 doubled at least once.
    """

    def __init__(self, image_shape: tuple[int, int, int], config: DcganConfig) -> None:
        super().__init__()
        channels, base, doublings = _plan(image_shape)
        widths = [config.width << power for power in reversed(range(doublings))]
        blocks = [_up(config.latent_dim, widths[0], base, 1, 0)]
        blocks += [_up(a, b, 4, 2, 1) for a, b in pairwise(widths)]
        last = nn.ConvTranspose2d(widths[-1], channels, 4, 2, 1, bias=False)
        self.net = nn.Sequential(*blocks, last, nn.Tanh())
        self.apply(_draw)

    def forward(self, latent: torch.Tensor) -> torch.Tensor:
        """(B, latent_dim) to (B, C, S, S) in [-1, 1]."""
        pictures: torch.Tensor = self.net(latent[:, :, None, None])
        return pictures


class Discriminator(nn.Module):
    """From pictures to a score, positive for those it takes for real; mirrors the generator.

    Without batch normalisation in its first block, as the paper has it and the book has not.

    Args:
        image_shape: (C, S, S).
        config: Width.

    Raises:
        ConfigError: As for `Generator`.
    """

    def __init__(self, image_shape: tuple[int, int, int], config: DcganConfig) -> None:
        super().__init__()
        channels, base, doublings = _plan(image_shape)
        widths = [config.width << power for power in range(doublings)]
        first = nn.Sequential(nn.Conv2d(channels, widths[0], 4, 2, 1), nn.LeakyReLU(0.2))
        blocks = [_down(a, b) for a, b in pairwise(widths)]
        self.net = nn.Sequential(first, *blocks, nn.Conv2d(widths[-1], 1, base, bias=False))
        self.apply(_draw)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """(B, C, S, S) in [-1, 1] to (B,) unnormalised scores."""
        scores: torch.Tensor = self.net(pictures)
        return scores.flatten()


def dcgan(image_shape: tuple[int, int, int], config: DcganConfig) -> Gan:
    """A fresh pair with weights drawn from normal(0, 0.02).

    Args:
        image_shape: (C, S, S); S is 4, 5, 6 or 7 doubled at least once, as 28, 32 and 64 are.
        config: Latent length and width.

    Raises:
        ConfigError: For another picture size.
    """
    generator = Generator(image_shape, config)
    return Gan(generator, Discriminator(image_shape, config), config.latent_dim)


def _plan(image_shape: tuple[int, int, int]) -> tuple[int, int, int]:
    channels, height, width = image_shape
    for base in BASES:
        doublings = (height // base).bit_length() - 1
        if height == width and doublings > 0 and base << doublings == height:
            return channels, base, doublings
    raise ConfigError(
        "dcgan",
        got=f"pictures of {height} x {width}",
        wanted="squares whose side is 4, 5, 6 or 7 doubled a few times, such as 28, 32, 64",
        remedy="Prepare the dataset with another size.",
    )


def _up(inputs: int, outputs: int, kernel: int, stride: int, padding: int) -> nn.Module:
    return nn.Sequential(
        nn.ConvTranspose2d(inputs, outputs, kernel, stride, padding, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


def _down(inputs: int, outputs: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 4, 2, 1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.LeakyReLU(0.2),
    )


def _draw(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, SPREAD)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, SPREAD)


SPEC = ModelSpec(ModelKind.IMAGE_GAN, dcgan, section="dcgan")
