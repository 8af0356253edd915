from __future__ import annotations

import numpy as np
import pytest
import torch

from components.datasets.base import Arrays
from components.datasets.device_loader import DeviceSplit, to_device

N = 23


@pytest.fixture
def split() -> DeviceSplit:
    """Image i is filled with i, so that images can be told apart."""
    images = np.broadcast_to(np.arange(N, dtype=np.uint8)[:, None, None, None], (N, 1, 4, 6))
    return to_device(
        Arrays(images, np.arange(N, dtype=np.int64)), (0.25,), (0.5,), torch.device("cpu")
    )


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_copy_is_whole_and_does_not_share_memory() -> None:
    arrays = Arrays(np.ones((3, 1, 2, 2), np.uint8), np.array([0, 1, 2], np.int64))
    split = to_device(arrays, (0.5,), (0.5,), torch.device("cpu"))
    arrays.images[...] = 7
    arrays.labels[...] = 7
    assert split.images.dtype == torch.uint8
    assert split.images.unique().tolist() == [1]
    assert split.labels.tolist() == [0, 1, 2]
    assert len(split) == 3


def test_normalising_gives_the_training_data_mean_zero_and_deviation_one() -> None:
    images = np.random.default_rng(0).integers(0, 256, (50, 1, 8, 8)).astype(np.uint8)
    mean, std = (images / 255).mean(), (images / 255).std()
    labels = np.zeros(50, np.int64)
    split = to_device(Arrays(images, labels), (mean,), (std,), torch.device("cpu"))
    got = split.normalised(split.images)
    assert got.dtype == torch.float32
    assert np.allclose(got.numpy(), (images / 255 - mean) / std, atol=1e-5)
    assert split.images.dtype == torch.uint8


@pytest.mark.parametrize("batch", [1, 5, 23, 100])
def test_an_epoch_has_each_image_once_with_its_label(split: DeviceSplit, batch: int) -> None:
    seen: list[int] = []
    for images, labels in split.shuffled(batch, generator(1)):
        assert images.shape[1:] == (1, 4, 6)
        assert images.dtype == torch.float32
        assert len(images) == len(labels)
        values = ((images * 0.5 + 0.25) * 255).round()[:, 0, 0, 0].long()
        assert torch.equal(values, labels)
        seen += labels.tolist()
    assert sorted(seen) == list(range(N))


def test_the_order_follows_the_generator_alone(split: DeviceSplit) -> None:
    def order(seed: int) -> list[int]:
        return torch.cat([labels for _, labels in split.shuffled(4, generator(seed))]).tolist()

    torch.manual_seed(5)
    first = order(1)
    torch.manual_seed(6)
    assert order(1) == first
    assert order(2) != first


def test_in_order_keeps_the_stored_order(split: DeviceSplit) -> None:
    batches = list(split.in_order(10))
    assert [len(labels) for _, labels in batches] == [10, 10, 3]
    assert torch.cat([labels for _, labels in batches]).tolist() == list(range(N))
    assert torch.equal(torch.cat([i for i, _ in batches]), split.normalised(split.images))


def test_deployed_images_are_between_zero_and_one_in_stored_order(split: DeviceSplit) -> None:
    images = torch.cat(list(split.deployed(10)))
    assert torch.allclose(images * 255, split.images.float())
