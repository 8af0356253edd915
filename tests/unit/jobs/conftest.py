"""The toy world of the gate's tests: a dataset, an empty registry, and a first champion."""

from __future__ import annotations

from pathlib import Path

import pytest
from toy_night import night, toy_context, toy_data, trained

from components.jobs.context import JobContext
from components.tracking.base import TrackedRun
from components.versioning.versions import DatasetVersion


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> DatasetVersion:
    return toy_data(tmp_path_factory.mktemp("toy") / "prepared")


@pytest.fixture
def context(tmp_path: Path) -> JobContext:
    return toy_context(tmp_path)


@pytest.fixture
def first(context: JobContext, data: DatasetVersion) -> TrackedRun:
    """A champion of skill 0.85."""
    run = trained(context, 0.85, "first")
    night(context, run, data)
    return run
