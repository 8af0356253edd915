"""Removing runs and versions for good, in memory and over MLflow."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import torch
from both_services import Services
from torch import nn

from components.errors import TrackingError
from components.tracking.base import (
    CHAMPION,
    ModelVersion,
    RunStorage,
    StoredRun,
    TrackedRun,
)
from components.tracking.memory import MemoryStorage, MemoryTracker

EXAMPLE = np.random.default_rng(0).random((2, 1, 4, 4), dtype=np.float32)
Trained = Callable[..., TrackedRun]


@pytest.fixture
def storage(services: Services) -> RunStorage:
    if isinstance(services.tracker, MemoryTracker):
        return MemoryStorage(services.tracker)
    from components.tracking.mlflow_storage import MlflowStorage

    uri = f"sqlite:///{services.folder / 'mlflow.db'}"
    return MlflowStorage(uri, uri)


@pytest.fixture
def trained(services: Services) -> Trained:
    """Makes a finished run with a model and a text."""

    def train(fingerprint: str = "f" * 32) -> TrackedRun:
        run = services.run(fingerprint)
        services.tracker.log_text(run.run_id, "notes/card.md", "x" * 1000)
        torch.manual_seed(0)
        network = nn.Sequential(nn.Flatten(), nn.Linear(16, 3)).eval()
        services.tracker.log_model(run.run_id, network, EXAMPLE)
        return services.tracker.get(run.run_id)

    return train


def stored(storage: RunStorage, run_id: str) -> StoredRun | None:
    return next((one for one in storage.runs() if one.run.run_id == run_id), None)


def test_every_run_is_listed_with_what_decides_about_it(
    services: Services, storage: RunStorage
) -> None:
    start = datetime.now(UTC).replace(microsecond=0)
    run = services.run()
    child = services.tracker.start(replace(services.spec("c" * 32), parent=run.run_id))
    found, below = stored(storage, run.run_id), stored(storage, child.run_id)
    assert found is not None
    assert below is not None
    assert (found.run, found.experiment, found.parent) == (run, services.experiment, None)
    assert (below.parent, below.trashed) == (run.run_id, False)
    assert start <= found.touched <= datetime.now(UTC)


def test_nobody_finds_a_trashed_run_until_it_is_restored(
    services: Services, storage: RunStorage, trained: Trained
) -> None:
    run = trained()
    for _ in range(2):
        storage.trash(run.run_id)
    assert services.tracker.find(services.experiment, "f" * 32) is None
    found = stored(storage, run.run_id)
    assert found is not None
    assert found.trashed
    storage.restore(run.run_id)
    again = services.tracker.find(services.experiment, "f" * 32)
    assert again is not None
    assert again.run_id == run.run_id
    assert services.tracker.read_text(run.run_id, "notes/card.md") == "x" * 1000
    services.registry.load_run(run.run_id)


def test_an_erased_run_is_gone_with_its_artifacts_and_models_and_others_stay(
    services: Services, storage: RunStorage, trained: Trained
) -> None:
    run, other = trained(), trained("e" * 32)
    assert storage.size(run.run_id) > 1000
    storage.trash(run.run_id)
    storage.erase(run.run_id)
    assert stored(storage, run.run_id) is None
    for call in (services.tracker.get, services.registry.load_run):
        with pytest.raises(TrackingError):
            call(run.run_id)
    with pytest.raises(TrackingError):
        services.tracker.read_text(run.run_id, "notes/card.md")
    services.registry.load_run(other.run_id)


def test_a_run_that_is_not_in_the_trash_is_not_erased(
    services: Services, storage: RunStorage, trained: Trained
) -> None:
    run = trained()
    with pytest.raises(TrackingError, match="no trashed run"):
        storage.erase(run.run_id)
    services.registry.load_run(run.run_id)


def test_a_removed_version_is_gone_and_its_number_is_not_given_again(
    services: Services, trained: Trained
) -> None:
    registry, runs = services.registry, [trained(print_ * 32) for print_ in "abc"]

    def register(run: TrackedRun) -> ModelVersion:
        return registry.register(services.model, run.run_id, {})

    register(runs[0])
    register(runs[1])
    registry.remove_version(services.model, 2)
    assert [one.version for one in registry.versions(services.model)] == [1]
    assert registry.version_of_run(services.model, runs[1].run_id) is None
    registry.load_run(runs[1].run_id)
    assert register(runs[2]).version == 3
    for number in (2, 9):
        with pytest.raises(TrackingError):
            registry.remove_version(services.model, number)


def test_a_version_with_an_alias_is_not_removed(services: Services, trained: Trained) -> None:
    registry = services.registry
    registry.register(services.model, trained().run_id, {})
    registry.set_alias(services.model, CHAMPION, 1)
    with pytest.raises(TrackingError, match=CHAMPION):
        registry.remove_version(services.model, 1)
    assert registry.by_alias(services.model, CHAMPION) is not None


# Only over MLflow


def files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if "mlflow.db" not in path.name}


def rows(folder: Path, run_id: str) -> dict[str, int]:
    """How many rows of MLflow's database are those of a run."""
    tables = ("runs", "metrics", "latest_metrics", "params", "tags")
    with sqlite3.connect(folder / "mlflow.db") as database:
        found = {
            table: database.execute(
                f"SELECT count(*) FROM {table} WHERE run_uuid = ?", (run_id,)
            ).fetchone()[0]
            for table in tables
        }
        found["logged_models"] = database.execute(
            "SELECT count(*) FROM logged_models WHERE source_run_id = ?", (run_id,)
        ).fetchone()[0]
    return found


@pytest.mark.slow
@pytest.mark.parametrize("broken_off_after", [None, "_remove", "_hard_delete_logged_model"])
def test_no_file_and_no_record_is_left_even_after_a_kill(
    over_mlflow: Services, monkeypatch: pytest.MonkeyPatch, broken_off_after: str | None
) -> None:
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    from components.tracking import mlflow_storage

    uri = f"sqlite:///{over_mlflow.folder / 'mlflow.db'}"
    storage = mlflow_storage.MlflowStorage(uri, uri)
    other = over_mlflow.run("0" * 32)
    over_mlflow.tracker.log_text(other.run_id, "card.md", "makes the experiment's folder")
    before = files(over_mlflow.folder)
    run = over_mlflow.run()
    over_mlflow.tracker.log_metrics(run.run_id, {"loss": 1.0}, step=1)
    over_mlflow.tracker.log_text(run.run_id, "card.md", "text")
    over_mlflow.tracker.log_model(run.run_id, nn.Linear(4, 2).eval(), EXAMPLE)
    size = sum(path.stat().st_size for path in files(over_mlflow.folder) - before if path.is_file())
    assert storage.size(run.run_id) == size
    storage.trash(run.run_id)
    if broken_off_after:
        owner = mlflow_storage if broken_off_after == "_remove" else SqlAlchemyStore
        whole = getattr(owner, broken_off_after)

        def broken(*arguments: object) -> None:
            whole(*arguments)
            raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr(owner, broken_off_after, broken)
            with pytest.raises(KeyboardInterrupt):
                storage.erase(run.run_id)
        assert stored(storage, run.run_id) is not None
    storage.erase(run.run_id)
    left = {path for path in files(over_mlflow.folder) - before if path.name != "models"}
    assert left == set()
    assert set(rows(over_mlflow.folder, run.run_id).values()) == {0}
