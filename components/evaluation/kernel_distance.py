"""Kernel inception distance (Binkowski et al., 2018) in feature spaces that need no downloads."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

SUBSET = 500
TINY = 1e-12  # for features without any variance
SUBSETS = 20
FEATURE_BATCH = 250
MEASURED_REAL = 2000  # real samples that generated ones are measured against
FEATURE_SEED = 20181029
WIDTHS = (32, 64, 128)
Features = Callable[[torch.Tensor], torch.Tensor]


class RandomFeatures(nn.Module):
    """Convolutions with fixed random weights as a feature space for pictures.

    Random filters already respond to edges, colours and textures; unlike Inception's they need no
    download, have no taste for photographs, and are the same everywhere. Each of three layers
    contributes the mean and the deviation of its channels over the picture.

    Args:
        channels: Of the pictures.
        seed: Of the weights; distances are comparable only under the same one.
    """

    def __init__(self, channels: int, seed: int = FEATURE_SEED) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        layers = []
        for width in WIDTHS:
            layer = nn.Conv2d(channels, width, 3, stride=2, padding=1, bias=False)
            fan_in = channels * 9
            weight = torch.randn(layer.weight.shape, generator=generator) * math.sqrt(2 / fan_in)
            layer.weight = nn.Parameter(weight, requires_grad=False)
            layers.append(layer)
            channels = width
        self.layers = nn.ModuleList(layers)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) in [-1, 1] to (B, 448) float32."""
        found, maps = [], pictures
        for layer in self.layers:
            maps = F.relu(layer(maps))
            flat = maps.flatten(2)
            found += [flat.mean(2), flat.std(2)]
        return torch.cat(found, 1)


@dataclass(frozen=True)
class KernelDistance:
    """An estimate of the squared maximum mean discrepancy, times 1000.

    Attributes:
        mean: Over random subsets; unbiased, so it may be slightly negative for equal samples.
        deviation: Standard deviation over the subsets.
    """

    mean: float
    deviation: float


@dataclass(frozen=True)
class MeanKernels:
    """The parts of a squared distance, times 1000; see `GenerationReport`."""

    within: tuple[float, ...]
    towards: tuple[float, ...]
    real: tuple[float, ...]


class GenerationReference:
    """Real samples, against which generated ones are measured again and again.

    Features are centred on the real samples' mean and scaled by their deviation, to which the mean
    variance of all features is added: none counts for more because of its scale, and one that is
    nearly constant in the real samples does not drown the others.

    Args:
        real: (N, C, H, W) in [-1, 1], or points (N, d); at least 2.
        seed: Of the subsets.
    """

    def __init__(self, real: torch.Tensor, seed: int = 0) -> None:
        self._features: Features = nn.Identity()
        if real.ndim == 4:
            self._features = RandomFeatures(real.shape[1]).to(real.device).eval()
        raw = self._raw(real)
        variance = raw.var(0)
        self._mean, self._std = raw.mean(0), (variance + variance.mean() + TINY).sqrt()
        self._real = self._standardised(raw)
        self._seed = seed

    @property
    def count(self) -> int:
        """Number of real samples."""
        return len(self._real)

    @property
    def device(self) -> torch.device:
        """Where the real samples are."""
        return self._real.device

    def distance(self, samples: torch.Tensor) -> KernelDistance:
        """How far generated samples (as `real`) are from the real ones; the same for the same."""
        generated = self._standardised(self._raw(samples))
        return kernel_distance(self._real, generated, self._seed)

    def mean_kernels(self, samples: torch.Tensor) -> MeanKernels:
        """Mean kernels of generated samples (as `real`) with one another and the real ones."""
        generated = self._standardised(self._raw(samples)).double()
        within, between = _kernel(generated, generated), _kernel(generated, self._real.double())
        others = (within.sum(1) - within.diagonal()) / (len(generated) - 1)
        parts = (others, between.mean(1), between.mean(0))
        return MeanKernels(*(tuple((1000 * part).tolist()) for part in parts))

    @torch.inference_mode()
    def _raw(self, samples: torch.Tensor) -> torch.Tensor:
        return torch.cat(
            [self._features(part).float() for part in torch.split(samples, FEATURE_BATCH)]
        )

    def _standardised(self, features: torch.Tensor) -> torch.Tensor:
        return (features - self._mean) / self._std


def kernel_distance(
    real: torch.Tensor, generated: torch.Tensor, seed: int, subset: int = SUBSET
) -> KernelDistance:
    """Kernel distance by subset estimates with the polynomial kernel (x . y / d + 1)^3.

    Args:
        real: (N, d) features.
        generated: (M, d) features.
        seed: Of the choice of subsets.
        subset: Samples of each side in an estimate; fewer where there are fewer.

    Raises:
        ValueError: If a side has fewer than two samples.
    """
    size = min(subset, len(real), len(generated))
    if size < 2:
        raise ValueError(f"at least two samples on each side, got {len(real)}, {len(generated)}")
    chooser = torch.Generator().manual_seed(seed)
    estimates = []
    for _ in range(SUBSETS):
        chosen = [
            side[torch.randperm(len(side), generator=chooser)[:size].to(side.device)].double()
            for side in (real, generated)
        ]
        estimates.append(unbiased_mmd(chosen[0], chosen[1]))
    values = 1000 * torch.stack(estimates)
    return KernelDistance(float(values.mean()), float(values.std()))


def unbiased_mmd(one: torch.Tensor, two: torch.Tensor) -> torch.Tensor:
    """Unbiased estimate of the squared MMD (Gretton et al., 2012, eq. 3) of two (n, d) samples."""
    n, m = len(one), len(two)
    within_one, within_two, between = (
        _kernel(a, b) for a, b in ((one, one), (two, two), (one, two))
    )
    first = (within_one.sum() - within_one.diagonal().sum()) / (n * (n - 1))
    second = (within_two.sum() - within_two.diagonal().sum()) / (m * (m - 1))
    return first + second - 2 * between.mean()


def _kernel(one: torch.Tensor, two: torch.Tensor) -> torch.Tensor:
    return (one @ two.T / one.shape[1] + 1) ** 3
