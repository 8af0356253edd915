"""The loop for GANs: it learns, repeats, resumes, and stops where it must."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from components.datasets import DATASETS
from components.datasets.base import PrepareConfig, RawTensors, ReadRequest, Split
from components.datasets.device_loader import DeviceSplit, TensorSplit, tensors_to_device
from components.errors import NonFiniteLossError
from components.evaluation.kernel_distance import GenerationReference
from components.models.dcgan import dcgan
from components.models.gan import Gan
from components.models.gaussian_gan import gaussian_gan
from components.models.network import DcganConfig
from components.training.checkpoint import LAST
from components.training.config import GanConfig
from components.training.gan import GRID, GanResult, sample, to_uint8, train_gan
from components.training.reporting import Epoch, SilentReporter, UInt8Images

QUICK = GanConfig(epochs=3, batch_size=50, lr_generator=0.005, lr_discriminator=0.05)
CPU = torch.device("cpu")
Weights = dict[str, torch.Tensor]


class Stop(Exception):  # noqa: N818
    """Thrown by a reporter to end a run at an epoch."""


class Recorder(SilentReporter):
    """Keeps what it is told; stops the run after epoch `stop`."""

    def __init__(self, stop: int = 0) -> None:
        self.epochs: list[int] = []
        self.pictures: list[UInt8Images] = []
        self.stop = stop

    def on_epoch(self, metrics: Epoch, epochs: int) -> None:
        self.epochs.append(metrics.epoch)
        if metrics.epoch == self.stop:
            raise Stop

    def on_samples(self, epoch: int, samples: UInt8Images) -> None:
        self.pictures.append(samples)


@pytest.fixture(scope="module")
def raw() -> RawTensors:
    drawn = DATASETS.get("gaussian_2d").read(ReadRequest(Path(), PrepareConfig(), Path()))
    assert isinstance(drawn, RawTensors)
    return drawn


@pytest.fixture(scope="module")
def points(raw: RawTensors) -> tuple[TensorSplit, GenerationReference]:
    validation = tensors_to_device(raw.splits[Split.VALIDATION], CPU)
    return tensors_to_device(raw.splits[Split.TRAIN], CPU), GenerationReference(validation.features)


def run(
    points: tuple[TensorSplit, GenerationReference],
    folder: Path | None = None,
    config: GanConfig = QUICK,
    reporter: Recorder | SilentReporter | None = None,
) -> tuple[Weights, GanResult]:
    torch.manual_seed(config.seed)
    gan, (train, reference) = gaussian_gan(2), points
    result = train_gan(
        gan,
        train,
        lambda samples: reference.distance(samples).mean,
        config,
        folder,
        reporter or SilentReporter(),
    )
    return gan.generator.state_dict(), result


def same(one: Weights, two: Weights) -> bool:
    return one.keys() == two.keys() and all(torch.equal(one[key], two[key]) for key in one)


def test_samples_come_nearer_to_the_real_ones(points) -> None:
    _, result = run(points, config=QUICK.model_copy(update={"epochs": 12, "batch_size": 10}))
    distances = [metrics.kernel_distance for metrics in result.history]
    assert min(distances) < distances[0] / 2
    assert result.history[result.best_epoch - 1].kernel_distance == min(distances)


def test_the_history_says_what_happened(points) -> None:
    _, result = run(points)
    for metrics in result.history:
        assert 0 <= metrics.d_real <= 1
        assert 0 <= metrics.d_fake <= 1
        assert all(math.isfinite(value) for value in metrics.metrics().values())
    assert [metrics.epoch for metrics in result.history] == [1, 2, 3]


def test_the_same_seed_gives_the_same_weights_bit_for_bit(points) -> None:
    assert same(run(points)[0], run(points)[0])
    assert not same(run(points)[0], run(points, config=QUICK.model_copy(update={"seed": 1}))[0])


@pytest.mark.parametrize("stop", [1, 2, 3])
def test_a_run_stopped_at_any_epoch_ends_with_the_same_weights(
    points, tmp_path: Path, stop: int
) -> None:
    whole, expected = run(points)
    with pytest.raises(Stop):
        run(points, tmp_path, reporter=Recorder(stop))
    told = Recorder()
    resumed, result = run(points, tmp_path, reporter=told)
    assert same(resumed, whole)
    assert told.epochs == [1, 2, 3]
    assert (result.resumed_from, result.best_epoch) == (stop, expected.best_epoch)


def test_a_loss_that_is_not_finite_names_the_step_and_keeps_the_checkpoint(
    points, tmp_path: Path
) -> None:
    with pytest.raises(Stop):
        run(points, tmp_path, reporter=Recorder(1))
    before = (tmp_path / LAST).read_bytes()
    poisoned = TensorSplit(points[0].features * float("nan"), points[0].targets)
    with pytest.raises(NonFiniteLossError, match="epoch 2, step 1"):
        run((poisoned, points[1]), tmp_path)
    assert (tmp_path / LAST).read_bytes() == before


def test_a_distance_that_is_not_finite_stops_the_run(points) -> None:
    torch.manual_seed(0)
    with pytest.raises(NonFiniteLossError, match="kernel distance of epoch 1"):
        train_gan(gaussian_gan(2), points[0], lambda _: math.nan, QUICK, None, SilentReporter())


def test_pictures_are_drawn_from_the_same_latents_after_every_epoch(toy_split) -> None:
    split: DeviceSplit = toy_split(40, size=16)
    torch.manual_seed(0)
    gan: Gan = dcgan((1, 16, 16), DcganConfig(width=4, latent_dim=8))
    told = Recorder()
    config = GanConfig(epochs=2, batch_size=20)
    train_gan(gan, split, lambda samples: float(samples.mean()), config, None, told)
    assert [shown.shape for shown in told.pictures] == [(GRID, 16, 16, 1)] * 2
    assert (told.pictures[0] != told.pictures[1]).any()


def test_samples_are_taken_in_evaluation_mode() -> None:
    gan = dcgan((1, 16, 16), DcganConfig(width=4, latent_dim=8))
    latents = torch.randn(6, 8)
    together = sample(gan.generator, latents)
    alone = torch.cat([sample(gan.generator, latent[None]) for latent in latents])
    assert torch.allclose(together, alone, atol=1e-6)


def test_pictures_become_bytes() -> None:
    pictures = torch.tensor([-1.0, 0.0, 1.0, 2.0]).reshape(1, 1, 2, 2)
    assert to_uint8(pictures)[0, :, :, 0].tolist() == [[0, 128], [255, 255]]
