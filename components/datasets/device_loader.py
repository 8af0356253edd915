"""A split resident on the training device: one copy there, batches are index operations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from components.datasets.base import Arrays, Int64Array, Tensors

POOL = 16  # batches of texts that are sorted together
SORTED = 64  # texts in a batch of similar length


@dataclass(frozen=True)
class DeviceSplit:
    """One split as tensors on one device.

    Attributes:
        images: (N, C, H, W) uint8.
        labels: (N,) int64.
        mean: (C, 1, 1) mean of the training pixels scaled to [0, 1].
        std: (C, 1, 1) their standard deviation.
    """

    images: torch.Tensor
    labels: torch.Tensor
    mean: torch.Tensor
    std: torch.Tensor

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def device(self) -> torch.device:
        """Where the images are."""
        return self.images.device

    def normalised(self, images: torch.Tensor) -> torch.Tensor:
        """uint8 images as float32 with the training data's mean 0 and deviation 1."""
        return images.float().mul_(1 / (255 * self.std)).sub_(self.mean / self.std)

    def shuffled(
        self, batch_size: int, generator: torch.Generator
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Batches in a new random order: (B, C, H, W) float32 normalised and (B,) int64.

        A single image left over joins the batch before it: batch normalisation cannot be trained
        on one image.
        """
        order = torch.randperm(len(self), generator=generator).to(self.labels.device)
        batches = list(torch.split(order, batch_size))
        if len(batches) > 1 and len(batches[-1]) == 1 < batch_size:
            batches[-2:] = [torch.cat(batches[-2:])]
        for chosen in batches:
            images = self.images.index_select(0, chosen)
            yield self.normalised(images), self.labels.index_select(0, chosen)

    def deployed(self, batch_size: int) -> Iterator[torch.Tensor]:
        """Batches in stored order: (B, C, H, W) float32 in [0, 1], for deployable models."""
        for images in torch.split(self.images, batch_size):
            yield images.float().div_(255)

    def in_order(self, batch_size: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Batches in stored order, for validation; shapes as for `shuffled`."""
        pairs = zip(
            torch.split(self.images, batch_size),
            torch.split(self.labels, batch_size),
            strict=True,
        )
        for images, labels in pairs:
            yield self.normalised(images), labels


@dataclass(frozen=True)
class TensorSplit:
    """One split of a generated problem on a device, with the interface of `DeviceSplit`.

    Attributes:
        features: (N, d) float32.
        targets: (N, k) float32.
    """

    features: torch.Tensor
    targets: torch.Tensor

    def __len__(self) -> int:
        return len(self.features)

    @property
    def device(self) -> torch.device:
        """Where the features are."""
        return self.features.device

    def shuffled(
        self, batch_size: int, generator: torch.Generator
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Batches in a new random order: (B, d) and (B, k) float32."""
        order = torch.randperm(len(self), generator=generator).to(self.device)
        for chosen in torch.split(order, batch_size):
            yield self.features[chosen], self.targets[chosen]

    def in_order(self, batch_size: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Batches in stored order."""
        pairs = torch.split(self.features, batch_size), torch.split(self.targets, batch_size)
        yield from zip(*pairs, strict=True)


@dataclass(frozen=True)
class TokenSplit:
    """Tokenised texts on a device, with the interface of `DeviceSplit`.

    Attributes:
        ids: (N, L) int64.
        labels: (N,) int64, or (N, P) for the last P places of a row, or for P questions about it.
        lengths: (N,) int64 on the CPU: ids of each row before its padding.
        aligned: Whether labels belong to places, so that they are cut as rows are.
    """

    ids: torch.Tensor
    labels: torch.Tensor
    lengths: torch.Tensor
    aligned: bool = False

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def device(self) -> torch.device:
        """Where the ids are."""
        return self.ids.device

    def shuffled(
        self, batch_size: int, generator: torch.Generator
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Batches in a new random order: (B, longest of them) and their labels, int64.

        Rows of similar length share a batch, so that little of it is padding: each POOL batches of
        the random order are sorted by length.
        """
        order = torch.randperm(len(self), generator=generator)
        pools = [
            pool[self.lengths[pool].argsort(stable=True)]
            for pool in torch.split(order, POOL * batch_size)
        ]
        batches = [batch for pool in pools for batch in torch.split(pool, batch_size)]
        for place in torch.randperm(len(batches), generator=generator).tolist():
            yield from self._batches(batches[place], batch_size)

    def in_order(self, batch_size: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Batches in an order that is always the same, the longest first; as for `shuffled`."""
        order = self.lengths.argsort(descending=True, stable=True)
        return self._batches(order, min(batch_size, SORTED))

    def _batches(
        self, order: torch.Tensor, batch_size: int
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        for chosen in torch.split(order, batch_size):
            longest = int(self.lengths[chosen].max())
            here = chosen.to(self.device)
            labels = self.labels[here]
            if self.aligned:
                labels = labels[:, : labels.shape[1] - (self.ids.shape[1] - longest)]
            yield self.ids[here, :longest], labels

    def deployed(self, batch_size: int) -> Iterator[torch.Tensor]:
        """Batches in stored order: (B, L) int64, for deployable models."""
        yield from torch.split(self.ids, batch_size)


def tokens_to_device(
    ids: Int64Array,
    labels: Int64Array,
    padding: int,
    device: torch.device,
    *,
    aligned: bool = False,
) -> TokenSplit:
    """Copy tokenised texts to `device`.

    Args:
        ids: (N, L).
        labels: (N,) or (N, P).
        padding: The id that fills short texts at their end.
        device: Where training happens.
        aligned: See `TokenSplit`.
    """
    filled = ids != padding
    last = ids.shape[1] - np.argmax(filled[:, ::-1], 1)
    lengths = torch.from_numpy(np.where(filled.any(1), last, 1))
    return TokenSplit(
        torch.from_numpy(ids).to(device), torch.from_numpy(labels).to(device), lengths, aligned
    )


def tensors_to_device(tensors: Tensors, device: torch.device) -> TensorSplit:
    """Copy a split of a generated problem to `device`."""
    return TensorSplit(
        torch.from_numpy(tensors.features).to(device), torch.from_numpy(tensors.targets).to(device)
    )


def to_device(
    arrays: Arrays, mean: Sequence[float], std: Sequence[float], device: torch.device
) -> DeviceSplit:
    """Copy a (memory-mapped) split to `device` in one go, as uint8.

    Args:
        arrays: Images (N, C, H, W) and labels.
        mean: Of the training pixels scaled to [0, 1], one for each channel.
        std: Their standard deviations.
        device: Where training happens.
    """
    images = torch.empty(arrays.images.shape, dtype=torch.uint8)
    images.numpy()[...] = arrays.images
    labels = torch.from_numpy(arrays.labels.copy())
    statistics = [channel_tensor(values, device) for values in (mean, std)]
    return DeviceSplit(images.to(device), labels.to(device), statistics[0], statistics[1])


def channel_tensor(values: Sequence[float], device: torch.device) -> torch.Tensor:
    """One number for each channel as (C, 1, 1) float32."""
    return torch.tensor(values).reshape(-1, 1, 1).to(device)
