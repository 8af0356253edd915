"""The data step: a card for each version, and a warning when data have moved."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import pytest

from components.datasets.sprites import SpritesConfig, write_zip
from components.errors import ConfigError, DataError
from components.jobs.context import JobContext, registered_model
from components.jobs.data import DataOutcome, DataOutcomes, refresh
from components.jobs.own_data import add_dataset
from components.jobs.recipe import Recipe
from components.jobs.train import train
from components.models.spec import ModelKind
from components.settings import PROJECT_ROOT, Settings
from components.tracking.base import (
    CHAMPION,
    CONTACT_SHEET,
    DATA_CARD,
    DATASETS_EXPERIMENT,
    Tag,
)
from components.tracking.memory import MemoryRegistry, MemoryTracker
from components.training.config import TrainConfig
from components.training.reporting import SilentReporter
from components.versioning.dvc import DvcWorkspace

pytestmark = pytest.mark.slow


def quiet(line: str) -> None:
    pass


@pytest.fixture
def context(tmp_path: Path, clean_environment: pytest.MonkeyPatch) -> JobContext:
    tracker = MemoryTracker()
    settings = Settings(home=tmp_path / "home", params_file=PROJECT_ROOT / "params.yaml")
    return JobContext(settings, tracker, MemoryRegistry(tracker))


def add_mine(context: JobContext, folder: Path) -> DvcWorkspace:
    write_zip(SpritesConfig(species=3, per_species=40), folder / "mine.zip")
    workspace = context.workspace
    add_dataset(workspace, "mine", str(folder / "mine.zip"), {"size": 16}, None, quiet)
    return workspace


def refreshed(context: JobContext, name: str) -> DataOutcome:
    return refresh(context.settings, [name], quiet, lambda: context).found[name]


def test_a_version_gets_one_card_however_often_it_is_used(
    context: JobContext, tmp_path: Path
) -> None:
    add_mine(context, tmp_path)
    first, again = (refreshed(context, "mine") for _ in range(2))
    assert first.card_url == again.card_url
    tracker = context.tracker
    run = tracker.find(DATASETS_EXPERIMENT, f"mine-{first.dataset.version}")
    assert run is not None
    assert run.tags[Tag.DATASET_VERSION] == first.dataset.version
    assert run.metrics["train_examples"] == first.dataset.counts["train"]
    card = tracker.read_text(run.run_id, DATA_CARD)
    assert "| species-0002 |" in card
    assert "images in two splits: 0" in card
    assert (run.run_id, CONTACT_SHEET) in tracker.artifacts


def test_data_that_moved_away_from_the_champions_are_a_warning(
    context: JobContext, tmp_path: Path
) -> None:
    workspace = add_mine(context, tmp_path)
    before = refreshed(context, "mine").dataset
    config = TrainConfig(epochs=1, batch_size=16)
    run = train(context, before, Recipe(model="lenet", training=config), SilentReporter()).run
    model = registered_model("mine", ModelKind.CLASSIFIER)
    tags = {str(Tag.DATASET_VERSION): before.version}
    version = context.registry.register(model, run.run_id, tags)
    context.registry.set_alias(model, CHAMPION, version.version)
    assert refreshed(context, "mine").warnings == ()
    with zipfile.ZipFile(tmp_path / "mine.zip") as archive:
        archive.extractall(tmp_path / "x")
    target = workspace.settings.home / "inbox" / "mine" / "flood"
    shutil.copytree(tmp_path / "x" / "species-0001", target)
    after = refreshed(context, "mine")
    (warning,) = after.warnings
    assert "Data drift against the data that champion version 1 of mine-classifier" in warning
    assert "class_balance moved by" in warning
    run_of_card = context.tracker.find(DATASETS_EXPERIMENT, f"mine-{after.dataset.version}")
    assert run_of_card is not None
    assert run_of_card.tags[Tag.CHANGE].startswith("40 added")


def test_tensors_have_a_card_but_do_not_train_an_image_model(context: JobContext) -> None:
    outcome = refreshed(context, "linear")
    run = context.tracker.find(DATASETS_EXPERIMENT, f"linear-{outcome.dataset.version}")
    assert run is not None
    assert "true w: [2.0, -3.4]" in context.tracker.read_text(run.run_id, DATA_CARD)
    with pytest.raises(ConfigError, match="wanted images with class labels"):
        train(context, outcome.dataset, Recipe(model="lenet"), SilentReporter())


def test_several_are_brought_up_to_date_together_and_one_that_is_away_spoils_no_other(
    context: JobContext, tmp_path: Path
) -> None:
    names = ["gaussian_2d", "linear", "mine"]

    def run() -> tuple[list[str], DataOutcomes]:
        lines: list[str] = []
        return lines, refresh(context.settings, names, lines.append, lambda: context)

    workspace = add_mine(context, tmp_path)
    lines, first = run()
    assert first.found["linear"].dataset.ran == ("fetch@linear", "prepare@linear")
    assert first.found["mine"].dataset.ran == ()
    assert first.skipped is None
    assert first.warnings == ()
    lines, second = run()
    assert sum("up to date" in line for line in lines) == 1  # what DVC says at its end
    assert second.skipped == "all versions are up to date"
    (tmp_path / "mine.zip").unlink()
    _, third = run()
    (warning,) = third.warnings
    assert "The source is away" in warning
    for name in names:
        assert third.found[name].dataset.version == first.found[name].dataset.version
    with pytest.raises(DataError, match="nothing there"):
        workspace.reproduce_all(["linear", "mine"], quiet)
