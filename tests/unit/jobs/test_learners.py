"""Every kind of model goes through the same job: trained, recorded, found again."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from toy_night import sprite_data, toy_context

from components.datasets import DATASETS
from components.datasets.base import DataKind, PrepareConfig, Split
from components.datasets.prepare import prepare
from components.datasets.prepared import load
from components.errors import ConfigError
from components.evaluation.report import EvaluationReport
from components.jobs.context import JobContext, input_shape
from components.jobs.examiners import examiner_of
from components.jobs.learners import Trainee
from components.jobs.recipe import Recipe
from components.jobs.train import train, training_fingerprint
from components.models import MODELS
from components.models.encoder import EncoderConfig
from components.models.network import DcganConfig, NetworkConfig
from components.models.spec import ModelKind
from components.text.deployable import tokeniser_of
from components.tracking.base import LEARNING_CURVES, SAMPLES, RunStatus, Tag
from components.training.checkpoint import LAST, load_checkpoint
from components.training.config import GanConfig, TrainConfig
from components.training.fit import FitRequest, OpenData, open_data
from components.training.reporting import SilentReporter
from components.versioning.versions import DatasetVersion


@pytest.fixture
def context(tmp_path: Path) -> JobContext:
    return toy_context(tmp_path / "home")


def drawn(name: str, folder: Path) -> DatasetVersion:
    folder.mkdir()
    prepare(DATASETS.get(name), PrepareConfig(), folder, folder)
    counts = load(folder).card.counts
    return DatasetVersion(name, "d" * 32, "drawn", False, counts, folder)


@pytest.fixture(scope="module")
def sprites(tmp_path_factory: pytest.TempPathFactory) -> DatasetVersion:
    return sprite_data(tmp_path_factory.mktemp("sprites"), size=32, per_species=10)


TINY = NetworkConfig(dcgan=DcganConfig(width=4, latent_dim=8))
QUICK_GAN = GanConfig(epochs=2, batch_size=16)


def test_a_line_is_fitted_and_its_module_is_stored(context: JobContext, tmp_path: Path) -> None:
    data = drawn("linear", tmp_path / "linear")
    config = TrainConfig(epochs=3, batch_size=32, lr=0.03, momentum=0, lr_schedule="constant")
    run = train(context, data, Recipe(model="linear", training=config), SilentReporter()).run
    assert run.status is RunStatus.FINISHED
    assert run.tags[Tag.KIND] == "regressor"
    assert run.metrics["best_validation_loss"] < 0.01
    assert run.metrics["generalisation_gap"] == pytest.approx(
        run.metrics["validation_loss"] - run.metrics["train_loss"], abs=1e-3
    )
    model = context.tracker.models[run.run_id]
    assert torch.allclose(model.weight[0], torch.tensor([2.0, -3.4]), atol=0.02)


def test_weight_decay_narrows_the_gap_where_rows_are_few(
    context: JobContext, tmp_path: Path
) -> None:
    data = drawn("high_dimensional", tmp_path / "rows")
    losses = []
    for decay in (0.0, 3.0):
        config = TrainConfig(
            epochs=50,
            batch_size=5,
            lr=0.01,
            momentum=0,
            lr_schedule="constant",
            weight_decay=decay,
        )
        recipe = Recipe(model="linear", training=config)
        metrics = train(context, data, recipe, SilentReporter()).run.metrics
        losses.append((metrics["validation_loss"], metrics["generalisation_gap"]))
    assert losses[1][0] < losses[0][0]
    assert losses[1][1] < losses[0][1]


def test_a_gan_shows_its_pictures_and_stores_its_generator(
    context: JobContext, sprites: DatasetVersion
) -> None:
    recipe = Recipe(model="dcgan", gan=QUICK_GAN, network=TINY)
    outcome = train(context, sprites, recipe, SilentReporter())
    run = outcome.run
    assert run.tags[Tag.KIND] == "image GAN"
    assert run.params["gan.epochs"] == "2"
    assert run.params["network.dcgan.width"] == "4"
    assert not any(key.startswith("training.") for key in run.params)
    for name in ("generator_loss", "discriminator_loss", "d_real", "d_fake", "kernel_distance"):
        assert math.isfinite(run.metrics[name])
    shown = [key for key in context.tracker.images if key[1] == SAMPLES]
    assert [step for _, _, step in shown] == [1, 2]
    assert context.tracker.images[shown[0]].shape == (8 * 32, 8 * 32, 3)
    assert (run.run_id, LEARNING_CURVES) in context.tracker.artifacts
    pictures = context.tracker.models[run.run_id](torch.randn(3, 8))
    assert pictures.shape == (3, 3, 32, 32)
    assert pictures.min() >= 0
    assert pictures.max() <= 1
    assert train(context, sprites, recipe, SilentReporter()).skipped


def test_points_are_learned_without_pictures(context: JobContext, tmp_path: Path) -> None:
    data = drawn("gaussian_2d", tmp_path / "points")
    run = train(context, data, Recipe(model="gaussian_gan", gan=QUICK_GAN), SilentReporter()).run
    assert run.tags[Tag.KIND] == "point GAN"
    assert context.tracker.images == {}
    points = context.tracker.models[run.run_id](torch.randn(5, 2))
    assert points.shape == (5, 2)


def test_a_text_model_reads_texts_with_the_tokeniser_it_carries(
    context: JobContext, tmp_path: Path
) -> None:
    data = drawn("requests", tmp_path / "requests")
    config = TrainConfig(epochs=3, batch_size=32, optimizer="adamw", lr=0.1, examples=500)
    recipe = Recipe(model="bag_of_words", training=config)
    run = train(context, data, recipe, SilentReporter()).run
    model = context.tracker.models[run.run_id]
    report = examiner_of(ModelKind.TEXT_CLASSIFIER, data).examine(model, "it", {}, None).report
    assert isinstance(report, EvaluationReport)
    assert len(report.labels) == data.counts[Split.TEST]
    assert report.accuracy is not None
    assert report.accuracy > 2 / len(report.class_names)
    assert tokeniser_of(model).encode([("Hello", "")]).shape[1:] == input_shape(run.tags, "it")


@pytest.mark.parametrize(
    ("name", "model", "training", "words"),
    [
        ("linear", "linear", {"augment": "crop_flip"}, "these are tensors"),
        ("requests", "bag_of_words", {"augment": "crop_flip"}, "these are texts"),
        pytest.param(
            *("requests", "encoder", {"processes": 2}, "network.encoder.train=gradual"),
            marks=pytest.mark.slow,  # the two processes start
        ),
    ],
)
def test_options_that_do_not_fit_are_named(
    context: JobContext, tmp_path: Path, name: str, model: str, training: Any, words: str
) -> None:
    data = drawn(name, tmp_path / name)
    network = NetworkConfig(encoder=EncoderConfig(train="gradual"))
    recipe = Recipe(model=model, training=TrainConfig(**training), network=network)
    with pytest.raises(ConfigError, match=words):
        train(context, data, recipe, SilentReporter())


def test_trials_that_read_the_data_in_another_way_have_them_opened_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = drawn("requests", tmp_path / "requests")
    opened = []

    def spy(request: FitRequest) -> OpenData:
        opened.append(open_data(request))
        return opened[-1]

    monkeypatch.setattr("components.jobs.learners.open_data", spy)
    trainee = Trainee(Path(data.directory))
    for number, (lr, examples) in enumerate([(0.1, 100), (0.2, 100), (0.1, 200)]):
        training = TrainConfig(epochs=1, batch_size=32, lr=lr, examples=examples)
        recipe = Recipe(model="bag_of_words", training=training)
        trainee.advance(recipe, tmp_path / str(number), 1, SilentReporter())
    assert [len(one.train) for one in opened] == [100, 200]


def test_a_source_with_other_weights_is_another_training(tmp_path: Path) -> None:
    network = NetworkConfig(encoder=EncoderConfig(source=str(tmp_path)))
    recipe, prints = Recipe(model="encoder", network=network), set[str]()
    for weights in (b"one", b"two"):
        (tmp_path / "model.safetensors").write_bytes(weights)
        prints.add(training_fingerprint("v", recipe))
    assert len(prints) == 2


@pytest.mark.parametrize("name", list(MODELS))
def test_data_of_the_wrong_kind_are_refused_with_what_fits(
    context: JobContext, sprites: DatasetVersion, tmp_path: Path, name: str
) -> None:
    images = MODELS.get(name).kind.data == DataKind.IMAGES
    data = drawn("gaussian_2d", tmp_path / "points") if images else sprites
    with pytest.raises(ConfigError, match=f"model {name} on dataset"):
        train(context, data, Recipe(model=name), SilentReporter())


def weights(folder: Path) -> dict[str, torch.Tensor]:
    """All tensors of the newest checkpoint, by their place in it."""
    found: dict[str, torch.Tensor] = {}

    def walk(value: object, place: str) -> None:
        if isinstance(value, torch.Tensor):
            found[place] = value
        elif isinstance(value, dict):
            for key, inner in value.items():
                walk(inner, f"{place}.{key}")

    walk(load_checkpoint(folder / LAST, torch.device("cpu")), "")
    return found


CONSTANT = TrainConfig(epochs=3, batch_size=32, lr=0.03, momentum=0, lr_schedule="constant")


@pytest.mark.parametrize(
    ("name", "recipe"),
    [
        ("linear", Recipe(model="linear", training=CONSTANT)),
        ("gaussian_2d", Recipe(model="gaussian_gan", gan=GanConfig(epochs=3, batch_size=32))),
    ],
)
def test_segments_end_where_one_training_ends(tmp_path: Path, name: str, recipe: Recipe) -> None:
    """Trials of a sweep, taken up by workers that trained others before."""
    directory = Path(drawn(name, tmp_path / name).directory)
    trainee, report = Trainee(directory), SilentReporter()
    for until in (1, 3):
        trainee.advance(recipe, tmp_path / "segments", until, report)
        trainee.advance(recipe, tmp_path / f"other{until}", 1, report)
    Trainee(directory).advance(recipe, tmp_path / "whole", 3, report)
    segments, whole = weights(tmp_path / "segments"), weights(tmp_path / "whole")
    assert segments.keys() == whole.keys()
    assert len(whole) >= 2
    for place, tensor in whole.items():
        assert torch.equal(segments[place], tensor), place
