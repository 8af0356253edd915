"""Augmentation of whole batches, on the device they are on."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F  # noqa: N812

from components.training.config import Augmentation

PAD = 4


def flip(images: torch.Tensor) -> torch.Tensor:
    """Mirror each image (B, C, H, W) left to right with probability 1/2."""
    mirrored = torch.rand(len(images), 1, 1, 1, device=images.device) < 0.5
    return torch.where(mirrored, images.flip(3), images)


def crop(images: torch.Tensor) -> torch.Tensor:
    """Pad each image (B, C, H, W) by PAD zeros, the training data's mean, and cut at random."""
    count, _, height, width = images.shape
    padded = F.pad(images, (PAD, PAD, PAD, PAD))
    top, left = torch.randint(2 * PAD + 1, (2, count, 1), device=images.device)
    rows = top + torch.arange(height, device=images.device)
    columns = left + torch.arange(width, device=images.device)
    which = torch.arange(count, device=images.device)[:, None, None]
    # Indexing moves the channels last, which is the layout convolutions want.
    cut = padded.permute(0, 2, 3, 1)[which, rows[:, :, None], columns[:, None, :]]
    return cut.permute(0, 3, 1, 2)


def _none(images: torch.Tensor) -> torch.Tensor:
    return images


def _crop_flip(images: torch.Tensor) -> torch.Tensor:
    return flip(crop(images))


AUGMENTATIONS: Mapping[Augmentation, Callable[[torch.Tensor], torch.Tensor]] = {
    "none": _none,
    "flip": flip,
    "crop_flip": _crop_flip,
}
