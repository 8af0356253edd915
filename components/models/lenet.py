"""LeNet-5 (LeCun et al., 1998), as in Dive into Deep Learning 7.6, and a modern variant."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from components.models.spec import ModelKind, ModelSpec


class HalvingAveragePool(nn.Module):
    """Average pooling over 2x2 windows with stride 2.

    Bilinear interpolation to half the size samples the centre of each 2x2 window, which is their
    mean; for few channels its CPU kernel takes two thirds of the time of AvgPool2d's.
    """

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) with even H and W to (B, C, H / 2, W / 2)."""
        return F.interpolate(images, scale_factor=0.5, mode="bilinear", align_corners=False)


def lenet(image_shape: tuple[int, int, int], classes: int) -> nn.Module:
    """The book's LeNet: sigmoid, average pooling, Xavier weights.

    Args:
        image_shape: (C, H, W); H and W at least 12 and multiples of 4.
        classes: Number of outputs.

    Returns:
        A module from (B, C, H, W) float to (B, classes) scores.
    """
    channels, height, width = image_shape
    features = 16 * (height // 4 - 2) * (width // 4 - 2)
    net = nn.Sequential(
        nn.Conv2d(channels, 6, kernel_size=5, padding=2),
        nn.Sigmoid(),
        HalvingAveragePool(),
        nn.Conv2d(6, 16, kernel_size=5),
        nn.Sigmoid(),
        HalvingAveragePool(),
        nn.Flatten(),
        nn.Linear(features, 120),
        nn.Sigmoid(),
        nn.Linear(120, 84),
        nn.Sigmoid(),
        nn.Linear(84, classes),
    )
    for layer in net:
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
    return net


def lenet_modern(image_shape: tuple[int, int, int], classes: int) -> nn.Module:
    """LeNet's plan with what came after it: ReLU, max pooling, batch normalisation, dropout.

    Args and returns as for `lenet`; twice and three times its channels.
    """
    channels, height, width = image_shape
    features = 48 * (height // 4 - 2) * (width // 4 - 2)
    return nn.Sequential(
        _block(channels, 12, padding=2),
        _block(12, 48, padding=0),
        nn.Flatten(),
        nn.Linear(features, 120),
        nn.BatchNorm1d(120),
        nn.ReLU(),
        nn.Dropout(0.2),
        nn.Linear(120, 84),
        nn.ReLU(),
        nn.Linear(84, classes),
    )


def _block(inputs: int, outputs: int, padding: int) -> nn.Module:
    # Batch normalisation supplies the offset, hence no bias. Pooling before the non-linearity
    # gives the same result for ReLU and max, with a quarter of the work.
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel_size=5, padding=padding, bias=False),
        nn.BatchNorm2d(outputs),
        nn.MaxPool2d(kernel_size=2, stride=2),
        nn.ReLU(),
    )


LENET = ModelSpec(ModelKind.CLASSIFIER, lenet)
LENET_MODERN = ModelSpec(ModelKind.CLASSIFIER, lenet_modern)
