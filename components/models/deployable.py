"""The forms in which models are registered: they carry their own scaling."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

UNKNOWN = 20.0  # in units of scores: a probability of about 2e-9


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


class DeployableGenerator(nn.Module):
    """A generator whose pictures are in the range that viewers expect.

    Args:
        net: From latents (B, latent_dim) to pictures (B, C, H, W) in [-1, 1].
    """

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        """Pictures (B, C, H, W) float32 in [0, 1] for latents (B, latent_dim)."""
        pictures: torch.Tensor = (self.net(latents) + 1) / 2
        return pictures


class Reclassified(nn.Module):
    """An earlier model on today's pictures: other classes, another picture size.

    A class it does not know gets a score far below all others; a class that is gone takes part in
    nothing. So a dataset may grow a class and champion and candidate still be compared on it.

    Args:
        model: From (B, C, *size) float32 in [0, 1] to (B, len(known)) scores.
        known: Class names of the model, in the order of its scores.
        wanted: Class names of today's labels.
        size: (H, W) the model was made for.
    """

    columns: torch.Tensor

    def __init__(
        self, model: nn.Module, known: Sequence[str], wanted: Sequence[str], size: tuple[int, int]
    ) -> None:
        super().__init__()
        self.model, self.size = model, size
        index = {name: column for column, name in enumerate(known)}
        self.register_buffer("columns", torch.tensor([index.get(name, -1) for name in wanted]))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Scores (B, len(wanted)) for images (B, C, H, W) float32 in [0, 1]."""
        if tuple(images.shape[2:]) != self.size:
            images = F.interpolate(images, self.size, mode="bilinear", antialias=True)
        scores: torch.Tensor = self.model(images)
        lowest = scores.min(1, keepdim=True).values - UNKNOWN
        return torch.where(self.columns >= 0, scores[:, self.columns.clamp(min=0)], lowest)
