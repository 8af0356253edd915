"""Trackers and registries that must behave alike."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest
from both_services import Services

from components.tracking.memory import MemoryRegistry, MemoryTracker


@pytest.fixture(scope="session")
def mlflow_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Database and artifacts of all tests that use MLflow."""
    return tmp_path_factory.mktemp("mlflow")


@pytest.fixture
def over_mlflow(mlflow_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Services:
    """MLflow's own clients over a database; its artifacts go where the process stands."""
    from components.tracking.mlflow import MlflowTracker
    from components.tracking.mlflow_registry import MlflowRegistry

    monkeypatch.chdir(mlflow_folder)
    unique, uri = uuid4().hex[:8], f"sqlite:///{mlflow_folder / 'mlflow.db'}"
    tracker, registry = MlflowTracker(uri), MlflowRegistry(uri)
    return Services(tracker, registry, f"e{unique}", f"m{unique}", mlflow_folder)


@pytest.fixture(params=["memory", "mlflow"])
def services(request: pytest.FixtureRequest, tmp_path: Path) -> Services:
    """Both kinds, in turn, with names that no other test uses."""
    if request.param == "mlflow":
        over_mlflow: Services = request.getfixturevalue("over_mlflow")
        return over_mlflow
    tracker, unique = MemoryTracker(), uuid4().hex[:8]
    return Services(tracker, MemoryRegistry(tracker), f"e{unique}", f"m{unique}", tmp_path)
