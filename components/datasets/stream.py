"""Training data that do not fit: read from disk in shuffled blocks, with a stated memory bound."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from components.datasets.base import Arrays, UInt8Array
from components.datasets.device_loader import DeviceSplit, channel_tensor, to_device

BLOCK_BYTES = 32 << 20
WINDOW = 4  # blocks whose images are mixed with one another


class StreamedSplit:
    """One split on disk, with the same batches' shapes as a resident one.

    Blocks of consecutive images are visited in random order; the images of WINDOW blocks are
    mixed. At most two windows of uint8 pixels (2 * WINDOW * BLOCK_BYTES, 256 MiB) and one batch
    are in memory, however large the split is. What a window leaves over begins the next one's
    batches, so all batches but the last are full.

    Args:
        arrays: Images memory-mapped from a file, and labels.
        mean: Of the training pixels scaled to [0, 1], one for each channel.
        std: Their standard deviations.
        device: Where training happens.
        block_bytes: Size of a block; at least one image.
    """

    def __init__(
        self,
        arrays: Arrays,
        mean: Sequence[float],
        std: Sequence[float],
        device: torch.device,
        block_bytes: int = BLOCK_BYTES,
    ) -> None:
        self._images, self._labels = arrays.images, arrays.labels
        self._mean, self._std = (channel_tensor(values, device) for values in (mean, std))
        self.device = device
        image_bytes = int(np.prod(arrays.images.shape[1:]))
        self._block = max(1, block_bytes // image_bytes)

    def __len__(self) -> int:
        return len(self._labels)

    def shuffled(
        self, batch_size: int, generator: torch.Generator
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Batches in a new random order; shapes as for `DeviceSplit.shuffled`.

        A single image left over at the end is dropped: batch normalisation cannot be trained on
        one image, and the batch before it is gone.
        """
        starts = torch.randperm(-(-len(self) // self._block), generator=generator) * self._block
        left: list[DeviceSplit] = []
        for chosen in torch.split(starts, WINDOW):
            left = [self._joined([*left, *(self._read(int(start)) for start in chosen)])]
            window, order = left[0], torch.randperm(len(left[0]), generator=generator)
            whole = len(window) // batch_size * batch_size
            for start in range(0, whole, batch_size):
                yield self._batch(window, order[start : start + batch_size])
            left = [self._taken(window, order[whole:])]
            del window  # before the next one is read
        if left and len(left[0]) > (len(self) > 1):
            yield self._batch(left[0], torch.arange(len(left[0])))

    def in_order(self, batch_size: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Batches in stored order; shapes as for `shuffled`."""
        for start in range(0, len(self), self._block):
            yield from self._read(start).in_order(batch_size)

    def _batch(self, part: DeviceSplit, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        rows = rows.to(self.device)
        return part.normalised(part.images.index_select(0, rows)), part.labels[rows]

    def _read(self, start: int) -> DeviceSplit:
        rows = slice(start, start + self._block)
        arrays = Arrays(_block(self._images, rows), self._labels[rows])
        return self._split(to_device(arrays, (0.0,), (1.0,), self.device))

    def _split(self, part: DeviceSplit) -> DeviceSplit:
        return DeviceSplit(part.images, part.labels, self._mean, self._std)

    def _taken(self, part: DeviceSplit, rows: torch.Tensor) -> DeviceSplit:
        rows = rows.to(self.device)
        return DeviceSplit(part.images[rows], part.labels[rows], self._mean, self._std)

    def _joined(self, parts: list[DeviceSplit]) -> DeviceSplit:
        images = torch.cat([part.images for part in parts])
        labels = torch.cat([part.labels for part in parts])
        return DeviceSplit(images, labels, self._mean, self._std)


def _block(images: UInt8Array, rows: slice) -> UInt8Array:
    """Rows through a mapping of their own, so that pages read do not stay in memory."""
    if not isinstance(images, np.memmap) or images.filename is None:
        return images[rows]
    image_bytes = int(np.prod(images.shape[1:]))
    count = len(range(*rows.indices(len(images))))
    return np.memmap(
        images.filename,
        dtype=np.uint8,
        mode="r",
        offset=images.offset + rows.start * image_bytes,
        shape=(count, *images.shape[1:]),
    )


def open_split(
    arrays: Arrays,
    mean: Sequence[float],
    std: Sequence[float],
    device: torch.device,
    resident_bytes: int,
) -> DeviceSplit | StreamedSplit:
    """A split on the device if it has at most `resident_bytes` of pixels, else streamed."""
    if arrays.images.nbytes <= resident_bytes:
        return to_device(arrays, mean, std, device)
    return StreamedSplit(arrays, mean, std, device)
