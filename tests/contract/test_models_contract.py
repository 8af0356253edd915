"""What every entry of the catalog of models must do."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from components.errors import ConfigError
from components.models import MODELS, kind_of_model, section_of_model
from components.models.deployable import Deployable, DeployableGenerator
from components.models.gan import Gan
from components.models.network import DcganConfig, NetworkConfig
from components.models.spec import ModelKind
from components.training.classifier import train_classifier
from components.training.config import TrainConfig
from components.training.reporting import SilentReporter

CLASSIFIERS = [name for name in MODELS if MODELS.get(name).kind is ModelKind.CLASSIFIER]
IMAGE_GANS = [name for name in MODELS if MODELS.get(name).kind is ModelKind.IMAGE_GAN]
SHAPES = [(1, 28, 28), (1, 12, 12), (3, 32, 32)]
CLASSES = 10


def build(name: str, shape: tuple[int, int, int] = (1, 28, 28), seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    model: nn.Module = NetworkConfig().build(MODELS.get(name), shape, CLASSES)
    return model


def weights(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


@pytest.mark.parametrize("name", list(MODELS))
def test_the_catalog_tells_kind_and_section_as_the_entry_does(name: str) -> None:
    spec = MODELS.get(name)
    assert (kind_of_model(name), section_of_model(name)) == (spec.kind, spec.section)


@pytest.mark.parametrize("batch", [1, 7])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_scores_have_one_column_per_class(name: str, shape, batch: int) -> None:
    scores = build(name, shape).eval()(torch.randn(batch, *shape))
    assert scores.shape == (batch, CLASSES)
    assert scores.dtype == torch.float32
    assert scores.isfinite().all()


@pytest.mark.slow
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_every_parameter_learns(name: str) -> None:
    model = build(name)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(2):  # residual blocks begin as their shortcuts and learn from the second step
        optimizer.zero_grad()
        labels = torch.arange(16) % CLASSES
        nn.functional.cross_entropy(model(torch.randn(16, 1, 28, 28)), labels).backward()
        optimizer.step()
    dead = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert dead == []


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_the_same_seed_builds_the_same_weights(name: str) -> None:
    one, two, other = (weights(build(name, seed=seed)) for seed in (1, 1, 2))
    assert all(torch.equal(one[key], two[key]) for key in one)
    assert any(not torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_images_of_a_batch_do_not_influence_one_another_in_evaluation(name: str) -> None:
    model, images = build(name).eval(), torch.randn(5, 1, 28, 28)
    together = model(images)
    alone = torch.cat([model(image[None]) for image in images])
    assert torch.allclose(together, alone, atol=1e-5)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_memory_format_does_not_change_the_scores(name: str) -> None:
    model, images = build(name).eval(), torch.randn(4, 1, 28, 28)
    expected = model(images)
    got = model.to(memory_format=torch.channels_last)(images)
    assert torch.allclose(got, expected, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_the_deployable_form_exports_with_a_free_batch_size(name: str) -> None:
    model = Deployable(build(name), mean=0.3, std=0.35).eval()
    images = torch.rand(4, 1, 28, 28)
    batch = torch.export.Dim("batch", min=1, max=4096)
    exported = torch.export.export(model, (images,), dynamic_shapes=({0: batch},)).module()
    for n in (1, 4, 9):
        batch_of = torch.rand(n, 1, 28, 28)
        assert torch.allclose(exported(batch_of), model(batch_of), atol=1e-5)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_last_batch_of_one_image_does_not_stop_training(name: str, toy_split) -> None:
    torch.manual_seed(0)
    model = NetworkConfig().build(MODELS.get(name), (1, 12, 12), 4)
    config = TrainConfig(epochs=1, batch_size=4, lr=0.01)
    result = train_classifier(model, toy_split(9), toy_split(8), config, None, SilentReporter())
    assert len(result.history) == 1


def pair(name: str, side: int, channels: int = 1) -> Gan:
    torch.manual_seed(0)
    network = NetworkConfig(dcgan=DcganConfig(width=8))
    gan: Gan = network.build(MODELS.get(name), (channels, side, side))
    return gan


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("side", [16, 28, 32, 64])
@pytest.mark.parametrize("name", IMAGE_GANS)
def test_generators_draw_what_their_discriminators_judge(
    name: str, side: int, channels: int
) -> None:
    gan = pair(name, side, channels)
    fake = gan.generator(torch.randn(4, gan.latent_dim))
    assert fake.shape == (4, channels, side, side)
    assert fake.abs().max() <= 1
    scores = gan.discriminator(fake)
    assert scores.shape == (4,)
    scores.sum().backward()
    for network in (gan.generator, gan.discriminator):
        assert all(p.grad is not None and p.grad.any() for p in network.parameters())


@pytest.mark.parametrize("name", IMAGE_GANS)
def test_pictures_of_no_suitable_size_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="28, 32, 64"):
        pair(name, 30)


@pytest.mark.parametrize("name", IMAGE_GANS)
def test_the_deployable_generator_exports_with_a_free_batch_size(name: str) -> None:
    gan = pair(name, 28)
    model = DeployableGenerator(gan.generator).eval()
    batch = torch.export.Dim("batch", min=1, max=4096)
    latents = torch.randn(4, gan.latent_dim)
    exported = torch.export.export(model, (latents,), dynamic_shapes=({0: batch},)).module()
    for n in (1, 9):
        drawn = exported(torch.randn(n, gan.latent_dim))
        assert drawn.shape == (n, 1, 28, 28)
        assert drawn.min() >= 0
        assert drawn.max() <= 1
