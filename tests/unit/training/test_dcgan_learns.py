"""The defaults of a DCGAN on sprites: it learns, neither side collapses, other rates do worse."""

from __future__ import annotations

import pytest
import torch

from components.datasets import sprites
from components.datasets.base import Split
from components.datasets.device_loader import DeviceSplit, to_device
from components.datasets.image_pool import PoolConfig
from components.datasets.prepare import prepare
from components.datasets.prepared import load_prepared
from components.evaluation.kernel_distance import GenerationReference
from components.models.dcgan import dcgan
from components.models.network import DcganConfig
from components.training.config import GanConfig
from components.training.gan import train_gan
from components.training.reporting import GanMetrics, SilentReporter

pytestmark = pytest.mark.slow
EPOCHS = 16
DISCRIMINATOR_LOSS, GENERATOR_LOSS = (0.1, 1.5), (0.5, 6.0)
BOOK = GanConfig(
    epochs=EPOCHS, batch_size=32, lr_generator=0.005, lr_discriminator=0.005, label_smoothing=0
)


@pytest.fixture(scope="module")
def splits(tmp_path_factory: pytest.TempPathFactory) -> tuple[DeviceSplit, DeviceSplit]:
    folder = tmp_path_factory.mktemp("sprites")
    config = sprites.SpritesConfig(species=100, per_species=20)
    sprites.write_zip(config, folder / sprites.ARCHIVE)
    prepared = folder / "prepared"
    prepared.mkdir()
    prepare(sprites.SPEC, PoolConfig(size=32), folder, prepared)
    arrays, half, cpu = load_prepared(prepared).splits, (0.5,) * 3, torch.device("cpu")
    train, held_out = (
        to_device(arrays[split], half, half, cpu) for split in (Split.TRAIN, Split.TEST)
    )
    return train, held_out


def learn(splits: tuple[DeviceSplit, DeviceSplit], config: GanConfig) -> list[GanMetrics]:
    train, held_out = splits
    reference = GenerationReference(next(held_out.in_order(1000))[0])
    torch.manual_seed(0)
    gan = dcgan((3, 32, 32), DcganConfig(width=16))
    result = train_gan(
        gan, train, lambda s: reference.distance(s).mean, config, None, SilentReporter()
    )
    return list(result.history)


def test_the_defaults_learn_and_do_better_than_the_books_rates(splits) -> None:
    ours = learn(splits, GanConfig(epochs=EPOCHS))
    assert ours[-1].kernel_distance < ours[0].kernel_distance / 2
    for metrics in ours:
        assert DISCRIMINATOR_LOSS[0] < metrics.discriminator_loss < DISCRIMINATOR_LOSS[1]
        assert GENERATOR_LOSS[0] < metrics.generator_loss < GENERATOR_LOSS[1]
    book = learn(splits, BOOK)
    assert ours[-1].kernel_distance < book[-1].kernel_distance
