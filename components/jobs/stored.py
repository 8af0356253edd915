"""What an installation holds that grows: the inventory from which retention decides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from components.jobs.history import Move
from components.tracking.base import ModelVersion, StoredRun


@dataclass(frozen=True)
class StoredModel:
    """A registered model: its versions, and every move of its champion."""

    versions: Sequence[ModelVersion]
    moves: Sequence[Move]


@dataclass(frozen=True)
class StoredData:
    """A version of a dataset.

    Attributes:
        touched: When it was first seen or last worked with.
        current: Whether it is what the next night begins with.
        irreplaceable: Whether a person made it from own images and no remote has it.
    """

    name: str
    version: str
    touched: datetime
    current: bool
    irreplaceable: bool


@dataclass(frozen=True)
class StoredStudy:
    """A study's folder; `fingerprint` is that of its run, `locked` says that it runs."""

    name: str
    fingerprint: str
    dataset: str
    touched: datetime
    locked: bool


@dataclass(frozen=True)
class StoredCheckpoint:
    """What an unfinished training left, or only its lock; `locked` says that it is trained."""

    fingerprint: str
    touched: datetime
    locked: bool


@dataclass(frozen=True)
class StoredReport:
    """The summary of a flow run, with the MLflow runs, versions and data that it shows."""

    flow_run: str
    touched: datetime
    newest: bool
    runs: frozenset[str]
    versions: frozenset[tuple[str, int]]
    data: frozenset[tuple[str, str]]


@dataclass(frozen=True)
class StoredFlowRun:
    """A flow run of the orchestrator.

    Attributes:
        final: Whether it is over.
        started: When it began to run; None if it did not yet.
        datasets: Those it works on; none if it does not say.
    """

    id: str
    name: str
    final: bool
    started: datetime | None
    touched: datetime
    datasets: frozenset[str]

    @property
    def under_way(self) -> bool:
        """Whether it may be using things now."""
        return not self.final and self.started is not None


@dataclass(frozen=True)
class Inventory:
    """Everything that `nightforge clean` may remove, and what decides about it."""

    runs: Sequence[StoredRun]
    models: Mapping[str, StoredModel]
    data: Sequence[StoredData]
    studies: Sequence[StoredStudy]
    checkpoints: Sequence[StoredCheckpoint]
    reports: Sequence[StoredReport]
    flow_runs: Sequence[StoredFlowRun]
