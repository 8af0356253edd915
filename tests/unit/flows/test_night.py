"""What the models of a night are, and on which nights they are searched first."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from components.errors import UnknownKeyError
from components.settings import PROJECT_ROOT, Settings
from flows import night, tasks
from flows.night import NightModel, complete, swept


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    tree = yaml.safe_load((PROJECT_ROOT / "params.yaml").read_text(encoding="utf-8"))
    tree["schedule"]["timezone"] = "Asia/Tokyo"
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(tree), encoding="utf-8")
    settings = Settings(home=tmp_path / "home", params_file=path)
    monkeypatch.setattr(tasks, "settings", lambda: settings)
    return settings


def test_a_further_model_has_its_recipe_below_what_it_says(settings: Settings) -> None:
    [lenet, dcgan] = complete(
        [{"model": "lenet", "training": {"lr": 0.02}}, {"model": "dcgan"}], settings
    )
    assert lenet["dataset"] == "fashion_mnist"  # that of the first model
    assert (lenet["training"]["lr"], lenet["training"]["optimizer"]) == (0.02, "adam")
    assert lenet["training"]["batch_size"] == 128  # of the section
    assert dcgan["dataset"] == "sprites"  # of its recipe
    assert complete([lenet, dcgan], settings) == [lenet, dcgan]  # nothing is left to complete


@pytest.mark.parametrize("given", [{"model": "lenett"}, {"model": "lenet", "dataset": "nowhere"}])
def test_a_further_model_must_exist(settings: Settings, given: dict[str, str]) -> None:
    with pytest.raises(UnknownKeyError):
        complete([given], settings)


@pytest.mark.parametrize(
    ("start", "searched"),
    [("2026-11-22T16:00:00+00:00", True), ("2026-11-22T14:00:00+00:00", False)],
)
def test_the_night_is_that_of_the_schedules_time_zone(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, start: str, searched: bool
) -> None:
    """16:00 UTC on a Sunday is Monday in Tokyo."""
    scheduled = SimpleNamespace(scheduled_start_time=datetime.fromisoformat(start))
    monkeypatch.setattr(night, "flow_run", scheduled)
    model = NightModel(dataset="fashion_mnist", model="lenet", sweep_on=("monday",))
    found = swept(model)
    assert (found is not None) == searched
    if found:
        name, config = found
        assert name == "night-2026-11-23-fashion_mnist-lenet"
        assert config.space["lr"].low == 0.0005  # of its recipe
        assert config.seed == 739943


def test_all_sections_of_training_are_completed() -> None:
    assert set(night.SECTIONS) < set(NightModel.model_fields)
