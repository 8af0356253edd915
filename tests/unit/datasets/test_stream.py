from __future__ import annotations

import subprocess
import sys
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import torch

from components.datasets.base import Arrays
from components.datasets.device_loader import DeviceSplit, to_device
from components.datasets.stream import BLOCK_BYTES, WINDOW, StreamedSplit, open_split

N, SIDE = 103, 4
CPU = torch.device("cpu")
MEAN, STD = (0.2, 0.4, 0.6), (0.5, 0.25, 0.125)


@pytest.fixture
def arrays(tmp_path: Path) -> Arrays:
    """Image i is filled with i and has the label i; mapped from a file."""
    path = tmp_path / "images.npy"
    images = np.empty((N, 3, SIDE, SIDE), np.uint8)
    images[...] = np.arange(N, dtype=np.uint8)[:, None, None, None]
    np.save(path, images)
    return Arrays(np.load(path, mmap_mode="r"), np.arange(N, dtype=np.int64))


def streamed(arrays: Arrays) -> StreamedSplit:
    """Blocks of seven images."""
    return StreamedSplit(arrays, MEAN, STD, CPU, block_bytes=7 * 3 * SIDE * SIDE)


def seen(split: StreamedSplit | DeviceSplit, seed: int, batch: int = 10) -> list[list[int]]:
    generator = torch.Generator().manual_seed(seed)
    return [labels.tolist() for _, labels in split.shuffled(batch, generator)]


def test_every_image_comes_once_and_all_batches_but_the_last_are_full(arrays: Arrays) -> None:
    batches = seen(streamed(arrays), 0)
    assert sorted(chain.from_iterable(batches)) == list(range(N))
    assert [len(batch) for batch in batches] == [10] * 10 + [3]


def test_the_order_depends_on_the_generator_alone(arrays: Arrays) -> None:
    split = streamed(arrays)
    assert seen(split, 1) == seen(split, 1) != seen(split, 2)


def test_images_of_distant_blocks_meet_in_a_batch(arrays: Arrays) -> None:
    blocks = [{label // 7 for label in batch} for batch in seen(streamed(arrays), 0)]
    assert np.mean([len(found) for found in blocks]) > WINDOW / 2


def test_a_single_image_left_over_is_no_batch(arrays: Arrays) -> None:
    batches = seen(streamed(arrays), 0, batch=51)
    assert [len(batch) for batch in batches] == [51, 51]


def test_a_batch_larger_than_the_split_is_the_split(arrays: Arrays) -> None:
    assert [len(batch) for batch in seen(streamed(arrays), 0, batch=1000)] == [N]


def test_pixels_and_order_are_those_of_the_resident_split(arrays: Arrays) -> None:
    resident = to_device(arrays, MEAN, STD, CPU)
    split = streamed(arrays)
    images = torch.cat([images for images, _ in split.in_order(10)])
    labels = torch.cat([labels for _, labels in split.in_order(10)])
    assert torch.equal(images, resident.normalised(resident.images))
    assert torch.equal(labels, resident.labels)
    for batch, classes in split.shuffled(10, torch.Generator().manual_seed(0)):
        assert torch.equal(batch, resident.normalised(resident.images[classes]))


def test_only_what_does_not_fit_is_streamed(arrays: Arrays) -> None:
    size = arrays.images.nbytes
    assert isinstance(open_split(arrays, MEAN, STD, CPU, size), DeviceSplit)
    assert isinstance(open_split(arrays, MEAN, STD, CPU, size - 1), StreamedSplit)


MEASURE = """
import resource, sys
import numpy as np, torch
from components.datasets.base import Arrays
from components.datasets.stream import StreamedSplit
images = np.load(sys.argv[1], mmap_mode="r")
split = StreamedSplit(
    Arrays(images, np.zeros(len(images), np.int64)), (0.0,), (1.0,), torch.device("cpu")
)
unit = 1 if sys.platform == "darwin" else 1024
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
count = sum(len(labels) for _, labels in split.shuffled(64, torch.Generator()))
print(count, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * unit)
"""


@pytest.mark.slow
def test_memory_stays_within_the_stated_bound_however_large_the_split_is(tmp_path: Path) -> None:
    path, count = tmp_path / "large.npy", 3 * 2**16
    shape = (count, 1, 64, 64)  # 768 MiB, three times the bound
    np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape).flush()
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(path)], capture_output=True, text=True, check=True
    )
    seen_images, grown = map(int, done.stdout.split())
    assert seen_images == count
    slack = 64 << 20  # a batch, and the allocator's own
    assert grown < 2 * WINDOW * BLOCK_BYTES + slack
