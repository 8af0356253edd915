"""Training on data that are too few, larger than memory, or another size and number of classes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from toy_night import toy_context

from components.datasets.base import Arrays, RawImages
from components.datasets.image_pool import PoolConfig
from components.datasets.prepare import prepare
from components.datasets.prepared import load_prepared
from components.datasets.sprites import SPEC
from components.errors import CorruptDataError
from components.jobs.evaluate import evaluate
from components.jobs.recipe import Recipe
from components.jobs.train import train
from components.training.config import TrainConfig
from components.training.reporting import SilentReporter
from components.versioning.versions import DatasetVersion

SHORT = TrainConfig(epochs=1, batch_size=16)


@pytest.fixture
def colour(tmp_path: Path) -> DatasetVersion:
    """300 pictures of 32 x 32 in red, green and blue, three classes."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (300, 3, 32, 32)).astype(np.uint8)
    raw = RawImages(("a", "b", "c"), Arrays(images, np.arange(300, dtype=np.int64) % 3), None)
    folder = tmp_path / "prepared"
    folder.mkdir()
    prepare(replace(SPEC, name="mine", read=lambda request: raw), PoolConfig(), folder, folder)
    counts = load_prepared(folder).card.counts
    return DatasetVersion("mine", "c" * 32, "here", False, counts, folder)


def test_colour_pictures_of_another_size_and_number_of_classes_train(
    tmp_path: Path, colour: DatasetVersion
) -> None:
    context = toy_context(tmp_path / "home")
    outcome = train(context, colour, Recipe(model="lenet_modern", training=SHORT), SilentReporter())
    evaluated = evaluate(context, outcome.run, colour)
    assert 0 <= evaluated.run.metrics["test_accuracy"] <= 1
    assert "test_recall/c" in evaluated.run.metrics


def test_data_larger_than_the_stated_memory_are_streamed(
    tmp_path: Path, colour: DatasetVersion
) -> None:
    context = toy_context(tmp_path / "home")
    config = SHORT.model_copy(update={"resident_gib": 1e-6})
    outcome = train(
        context, colour, Recipe(model="lenet_modern", training=config), SilentReporter()
    )
    again = train(
        context, colour, Recipe(model="lenet_modern", training=config), SilentReporter(), force=True
    )
    assert outcome.run.metrics["validation_loss"] == again.run.metrics["validation_loss"]


def test_fewer_images_than_a_batch_are_refused(tmp_path: Path, colour: DatasetVersion) -> None:
    context = toy_context(tmp_path / "home")
    config = SHORT.model_copy(update={"batch_size": 512})
    with pytest.raises(CorruptDataError, match=r"at least one batch of 512.*lower the batch"):
        train(context, colour, Recipe(model="lenet_modern", training=config), SilentReporter())
