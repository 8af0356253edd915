"""Bring a dataset up to date, falling back, loudly, to the bundled sample."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from components.datasets import DATASETS
from components.errors import DataUnavailableError
from components.jobs.context import JobContext
from components.versioning.dvc import DatasetVersion


@dataclass(frozen=True)
class DataOutcome:
    """The dataset a night works with; `warning` says loudly when it is a stand-in."""

    dataset: DatasetVersion
    skipped: str | None
    warning: str | None


def refresh(context: JobContext, name: str, on_line: Callable[[str], None]) -> DataOutcome:
    """Reproduce the dataset's stages.

    Args:
        context: Settings decide where the workspace is.
        name: Key in the catalog of datasets.
        on_line: Receives DVC's output.

    Raises:
        DataError: If the data are bad, or unreachable and without a stand-in.
    """
    try:
        dataset, reason = context.workspace.reproduce(name, on_line), None
    except DataUnavailableError as error:
        fallback = DATASETS.get(name).fallback
        if fallback is None:
            raise
        dataset, reason = context.workspace.reproduce(fallback, on_line), str(error)
    warning = None
    if dataset.sample:
        count = sum(dataset.counts.values())
        warning = f"THIS IS THE BUNDLED SAMPLE ({dataset.name}, {count:,} images), not {name}."
        if dataset.name == name:
            warning = f"THIS IS A BUNDLED SAMPLE ({count:,} images), as asked for."
        warning += f" {reason}" if reason else ""
    skipped = None if dataset.ran else f"version {dataset.version[:8]} is up to date"
    return DataOutcome(dataset, skipped, warning)
