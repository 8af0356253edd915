"""One kind of model each: train it, and say what is to be recorded about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from matplotlib.figure import Figure
from torch import nn

from components.datasets.base import Split
from components.datasets.device_loader import tensors_to_device
from components.datasets.prepared import (
    PreparedDataset,
    PreparedTensors,
    PreparedTexts,
    load,
)
from components.datasets.stream import open_split
from components.evaluation.kernel_distance import MEASURED_REAL, GenerationReference
from components.jobs.recipe import Recipe
from components.models import MODELS
from components.models.deployable import Deployable, DeployableGenerator
from components.models.gan import Gan
from components.models.spec import ModelSpec
from components.tracking import figures
from components.tracking.base import LEARNING_CURVES
from components.training.config import GanConfig
from components.training.fit import (
    GIB,
    FitRequest,
    Fitted,
    OpenData,
    open_data,
    reading,
    refuse_mismatch,
    refuse_small,
    tokenised,
)
from components.training.gan import GanResult, GanSplit, train_gan
from components.training.launch import fit_together
from components.training.precision import pick_device
from components.training.reporting import Reporter

EXAMPLES = 8


@dataclass(frozen=True)
class Learned:
    """A trained model and what a person is to see of it.

    Attributes:
        model: On the CPU, in evaluation mode, in the form in which it is stored.
        example: A batch of inputs.
        summary: Final numbers.
        pictures: Artifact path to figure.
        package: Writes it as transformers saves models, into a folder; None if it has no such form.
    """

    model: nn.Module
    example: npt.NDArray[np.float32] | npt.NDArray[np.int64]
    summary: Mapping[str, float]
    pictures: Mapping[str, Figure] = field(default_factory=dict)
    package: Callable[[Path], None] | None = None


def learn(recipe: Recipe, directory: Path, folder: Path, reporter: Reporter) -> Learned:
    """Train as the recipe says; see `fit` and `train_gan` for what is raised."""
    return (_learn_gan if recipe.kind.gan else _learn_supervised)(
        recipe, directory, folder, reporter
    )


class Trainee:
    """Trains one recipe after the other on the same data, which are opened once.

    They are opened again where a recipe reads them in another way: fewer examples, other tokens.

    Args:
        directory: Prepared data.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._data: tuple[object, OpenData] | None = None
        self._gan_data: GanData | None = None

    def advance(self, recipe: Recipe, folder: Path, until: int, reporter: Reporter) -> None:
        """Train to epoch `until`, from the checkpoints in `folder`; raises what `learn` does."""
        if recipe.kind.gan:
            self._gan_data = self._gan_data or open_gan_data(recipe, self._directory)
            _fit_gan(recipe, self._gan_data, folder, reporter, until)
            return
        request = _request(recipe, self._directory, folder, until)
        read = reading(request)
        if self._data is None or self._data[0] != read:
            self._data = read, open_data(request)
        fit_together(request, reporter, self._data[1])


def _request(recipe: Recipe, directory: Path, folder: Path, until: int | None = None) -> FitRequest:
    return FitRequest(
        directory=directory,
        model=recipe.model,
        network=recipe.network,
        training=recipe.training,
        folder=folder,
        until=until,
    )


def _learn_supervised(recipe: Recipe, directory: Path, folder: Path, reporter: Reporter) -> Learned:
    fitted = fit_together(_request(recipe, directory, folder), reporter)
    result, net = fitted.result, fitted.net.cpu().eval()
    best = result.history[result.best_epoch - 1]
    summary = {
        "best_epoch": result.best_epoch,
        "best_validation_loss": best.validation_loss,
        "epochs": len(result.history),
        "training_seconds": sum(metrics.seconds for metrics in result.history),
        "generalisation_gap": best.validation_loss - best.train_loss,
    }
    if best.validation_accuracy is not None:
        summary["best_validation_accuracy"] = best.validation_accuracy
    pictures = {LEARNING_CURVES: figures.learning_curves(result.history)}
    if isinstance(fitted.prepared, PreparedTensors):
        features = fitted.prepared.splits[Split.VALIDATION].features[:EXAMPLES]
        return Learned(net, features, summary, pictures)
    if isinstance(fitted.prepared, PreparedTexts):
        return _learned_text(MODELS.get(recipe.model), fitted, net, summary, pictures)
    card, validation = fitted.prepared.card, fitted.prepared.splits[Split.VALIDATION]
    example = (validation.images[:EXAMPLES] / 255).astype(np.float32)
    return Learned(Deployable(net, card.mean, card.std).eval(), example, summary, pictures)


def _learned_text(
    spec: ModelSpec,
    fitted: Fitted,
    net: nn.Module,
    summary: Mapping[str, float],
    pictures: Mapping[str, Figure],
) -> Learned:
    # Only text models need Hugging Face's libraries.
    from components.text.deployable import DeployableText
    from components.text.package import packager

    assert fitted.tokeniser
    assert isinstance(fitted.prepared, PreparedTexts)
    example = tokenised(
        spec,
        fitted.prepared,
        Split.VALIDATION,
        fitted.tokeniser,
        torch.device("cpu"),
        np.arange(min(EXAMPLES, fitted.prepared.card.counts[Split.VALIDATION])),
    )
    trainable = sum(p.numel() for p in net.parameters() if p.requires_grad)
    model = DeployableText(net, fitted.tokeniser.stored()).eval()
    return Learned(
        model,
        example.ids[:EXAMPLES].numpy(),
        {**summary, "trainable_parameters": trainable},
        pictures,
        packager(spec.kind, net, fitted.tokeniser, fitted.prepared.card.class_names),
    )


@dataclass(frozen=True)
class GanData:
    """Prepared data with the real samples to learn from, and the distance from held-out ones."""

    prepared: PreparedDataset | PreparedTensors
    train: GanSplit
    distance: Callable[[torch.Tensor], float]


def open_gan_data(recipe: Recipe, directory: Path) -> GanData:
    """Open the data for a GAN.

    Raises:
        ConfigError: If the model cannot learn from such data.
        DataError: If the data are damaged or fewer than a batch.
    """
    spec, prepared, device = MODELS.get(recipe.model), load(directory), pick_device()
    refuse_mismatch(recipe.model, spec, prepared)
    assert not isinstance(prepared, PreparedTexts)
    refuse_small(prepared, recipe.gan)
    train = _real(prepared, Split.TRAIN, device, recipe.gan)
    held_out = _real(prepared, Split.VALIDATION, device, recipe.gan)
    return GanData(prepared, train, _distance(held_out))


def _fit_gan(
    recipe: Recipe, data: GanData, folder: Path, reporter: Reporter, until: int | None = None
) -> tuple[Gan, GanResult]:
    prepared = data.prepared
    torch.manual_seed(recipe.gan.seed)
    drawn = isinstance(prepared, PreparedDataset)
    size = prepared.card.image_shape if drawn else prepared.card.feature_width  # type: ignore[union-attr]
    gan = recipe.network.build(MODELS.get(recipe.model), size)
    for network in (gan.generator, gan.discriminator):
        network.to(data.train.device)
    result = train_gan(gan, data.train, data.distance, recipe.gan, folder, reporter, until)
    return gan, result


def _learn_gan(recipe: Recipe, directory: Path, folder: Path, reporter: Reporter) -> Learned:
    data, config = open_gan_data(recipe, directory), recipe.gan
    gan, result = _fit_gan(recipe, data, folder, reporter)
    drawn = isinstance(data.prepared, PreparedDataset)
    generator = gan.generator.cpu().eval()
    latents = torch.randn(
        EXAMPLES, gan.latent_dim, generator=torch.Generator().manual_seed(config.seed)
    )
    best = result.history[result.best_epoch - 1]
    summary = {
        "best_epoch": result.best_epoch,
        "best_kernel_distance": best.kernel_distance,
        "epochs": len(result.history),
        "training_seconds": sum(metrics.seconds for metrics in result.history),
    }
    return Learned(
        DeployableGenerator(generator).eval() if drawn else generator,
        latents.numpy(),
        summary,
        {LEARNING_CURVES: figures.gan_curves(result.history)},
    )


def _real(
    prepared: PreparedDataset | PreparedTensors,
    split: Split,
    device: torch.device,
    config: GanConfig,
) -> GanSplit:
    """Real samples in the generator's range: pictures in [-1, 1], points as they are."""
    if isinstance(prepared, PreparedTensors):
        return tensors_to_device(prepared.splits[split], device)
    half = (0.5,) * prepared.card.image_shape[0]
    return open_split(prepared.splits[split], half, half, device, int(config.resident_gib * GIB))


def _distance(validation: GanSplit) -> Callable[[torch.Tensor], float]:
    batches, count = [], 0
    for real, _ in validation.in_order(MEASURED_REAL):
        batches.append(real)
        count += len(real)
        if count >= MEASURED_REAL:
            break
    reference = GenerationReference(torch.cat(batches)[:MEASURED_REAL])
    return lambda samples: reference.distance(samples).mean
