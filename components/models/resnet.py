"""Residual networks for small images (He et al., 2016): no early pooling, a 3 x 3 stem."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from components.models.spec import ModelKind, ModelSpec

WIDTHS = (64, 128, 256, 512)


class _Basic(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut."""

    growth = 1

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        last = _conv(width, width, 3, 1)
        _silence(last[-1])
        self.body = nn.Sequential(*_conv(inputs, width, 3, stride), nn.ReLU(), *last)
        self.shortcut = _shortcut(inputs, width, stride)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return F.relu(self.body(maps) + self.shortcut(maps))


class _Bottleneck(_Basic):
    """1 x 1, 3 x 3 and 1 x 1 convolutions beside a shortcut."""

    growth = 4

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        nn.Module.__init__(self)
        outputs = width * self.growth
        middle, last = _conv(width, width, 3, stride), _conv(width, outputs, 1, 1)
        _silence(last[-1])
        self.body = nn.Sequential(*_conv(inputs, width, 1, 1), nn.ReLU(), *middle, nn.ReLU(), *last)
        self.shortcut = _shortcut(inputs, outputs, stride)


def _conv(inputs: int, outputs: int, kernel: int, stride: int) -> list[nn.Module]:
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
    return [conv, nn.BatchNorm2d(outputs)]


def _silence(norm: nn.Module) -> None:
    """Let a block begin as its shortcut (Goyal et al., 2017, section 5.1)."""
    assert isinstance(norm, nn.BatchNorm2d)
    nn.init.zeros_(norm.weight)


def _shortcut(inputs: int, outputs: int, stride: int) -> nn.Module:
    if inputs == outputs and stride == 1:
        return nn.Identity()
    return nn.Sequential(*_conv(inputs, outputs, 1, stride))


def _resnet(
    block: type[_Basic], depths: tuple[int, ...], image_shape: tuple[int, int, int], classes: int
) -> nn.Module:
    inputs = WIDTHS[0]
    layers = [*_conv(image_shape[0], inputs, 3, 1), nn.ReLU()]
    for stage, (width, depth) in enumerate(zip(WIDTHS, depths, strict=True)):
        for index in range(depth):
            layers.append(block(inputs, width, 2 if stage and not index else 1))
            inputs = width * block.growth
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, classes))


def resnet18(image_shape: tuple[int, int, int], classes: int) -> nn.Module:
    """ResNet-18 whose first convolution keeps the picture's size.

    Args:
        image_shape: (C, H, W); made for 28 to 64 pixels.
        classes: Number of outputs.

    Returns:
        A module from (B, C, H, W) float to (B, classes) unnormalised scores.
    """
    return _resnet(_Basic, (2, 2, 2, 2), image_shape, classes)


def resnet50(image_shape: tuple[int, int, int], classes: int) -> nn.Module:
    """ResNet-50 whose first convolution keeps the picture's size; as `resnet18`."""
    return _resnet(_Bottleneck, (3, 4, 6, 3), image_shape, classes)


RESNET18 = ModelSpec(ModelKind.CLASSIFIER, resnet18)
RESNET50 = ModelSpec(ModelKind.CLASSIFIER, resnet50)
