"""Removing what a plan says, kind by kind; each is decided again before it goes."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Protocol
from uuid import uuid4

from components.fencing import Fence, fence_of
from components.jobs.context import JobContext
from components.jobs.inventory import (
    STUDY_LOG,
    pushed_versions,
    stored_data,
    stored_flow_runs,
    stored_models,
    take_stock,
)
from components.jobs.locks import try_lock
from components.jobs.retention import (
    Kind,
    Plan,
    Ref,
    cutoff_of,
    retention_plan,
    version_key,
)
from components.jobs.stored import Inventory, StoredFlowRun
from components.tracking.base import RunStorage
from components.versioning.disused import Key, Shelf, freed_by, last_used, remove
from components.versioning.remote import remote_url

REMOVING = "removing"  # folders are moved here in one step before they are removed


class FlowHistory(Protocol):
    """The orchestrator's flow runs."""

    def flow_runs(self) -> list[StoredFlowRun]:
        """All of Nightforge's."""

    def remove(self, ids: Sequence[str]) -> None:
        """Remove flow runs with task runs, logs and artifacts; those gone are passed over."""


@dataclass(frozen=True)
class Services:
    """What a removal works with.

    Attributes:
        storage: The tracker's runs.
        history: The orchestrator's.
        one_at_a_time: Holds off promotions and rollbacks of a registered model.
    """

    context: JobContext
    storage: RunStorage
    history: FlowHistory
    one_at_a_time: Callable[[str], AbstractContextManager[Fence]]


@dataclass(frozen=True)
class Removal:
    """One removal, from the stock it was planned with.

    Attributes:
        pushed: Versions of datasets that a remote has.
        limit: What was touched since then stays.
    """

    services: Services
    limit: datetime
    pushed: frozenset[Key]
    inventory: Inventory

    @classmethod
    def begin(cls, services: Services, limit: datetime) -> Removal:
        """Take stock; nothing is changed."""
        context = services.context
        pushed = frozenset(pushed_versions(context))
        stock = take_stock(context, services.storage, services.history.flow_runs(), pushed)
        return cls(services, limit, pushed, stock)

    @cached_property
    def plan(self) -> Plan:
        """What may go."""
        return retention_plan(self.inventory, self.limit)

    @cached_property
    def cutoff(self) -> datetime:
        """What was touched since then is not old, whatever the limit."""
        return cutoff_of(self.inventory, self.limit)

    @property
    def shelf(self) -> Shelf:
        """The files of datasets."""
        return Shelf(self.services.context.workspace)

    def sizes(self, kind: Kind, keys: Iterable[str]) -> dict[str, int] | None:
        """Bytes on the disk by key; None for what is in a database, or shared between keys."""
        if kind is Kind.RUN:
            return {run_id: self.services.storage.size(run_id) for run_id in keys}
        if kind in (Kind.REPORT, Kind.STUDY, Kind.CHECKPOINT):
            places = {key: self._places(kind, key) for key in keys}
            return {k: freed_by(p for p in paths if p.exists()) for k, paths in places.items()}
        return None

    def remove(self, kind: Kind, keys: list[str]) -> list[str]:
        """Remove those that may still go, and say which these are.

        Raises:
            ServiceError: If promotions cannot be held off.
            TrackingError: If the tracking server does not answer.
        """
        acts: dict[Kind, Callable[[list[str]], list[str]]] = {
            Kind.REPORT: self._remove_reports,
            Kind.STUDY: self._remove_studies,
            Kind.CHECKPOINT: self._remove_checkpoints,
            Kind.VERSION: self._remove_versions,
            Kind.RUN: self._erase_runs,
            Kind.DATA: self._drop_data,
            Kind.FLOW_RUN: self._remove_flow_runs,
        }
        return acts[kind](keys) if keys else []

    def _again(self, kind: Kind, keys: Iterable[str]) -> list[str]:
        """Those that may go by what is known now of flow runs, champions and data."""
        context = self.services.context
        fresh = replace(
            self.inventory,
            flow_runs=stored_flow_runs(context, self.services.history.flow_runs()),
            models=stored_models(context.registry),
            data=list(stored_data(context, self.pushed)),
        )
        remove_ = retention_plan(fresh, self.limit).remove
        return [key for key in keys if Ref(kind, key) in remove_]

    def _places(self, kind: Kind, key: str) -> list[Path]:
        settings = self.services.context.settings
        if kind is Kind.REPORT:
            return [settings.reports / f"{key}.json"]
        if kind is Kind.STUDY:
            return [settings.studies / key]
        folder = settings.checkpoints / key
        return [folder, folder.with_suffix(".lock"), fence_of(folder)]

    def _remove_reports(self, keys: list[str]) -> list[str]:
        for key in keys:
            [report] = self._places(Kind.REPORT, key)
            remove(report)
        return keys

    def _remove_studies(self, keys: list[str]) -> list[str]:
        gone = []
        for key in keys:
            [folder] = self._places(Kind.STUDY, key)
            if not folder.exists():
                continue
            with try_lock(folder / STUDY_LOG) as free:
                if free and self._untouched(Kind.STUDY, key, folder):
                    self._move_away(folder)
                    gone.append(key)
        return gone

    def _remove_checkpoints(self, keys: list[str]) -> list[str]:
        gone = []
        for key in keys:
            folder, lock, fence = self._places(Kind.CHECKPOINT, key)
            with try_lock(lock) as free:
                if free and self._untouched(Kind.CHECKPOINT, key, folder):
                    self._move_away(folder)
                    fence.unlink(missing_ok=True)
                    lock.unlink()
                    gone.append(key)
        return gone

    def _untouched(self, kind: Kind, key: str, folder: Path) -> bool:
        return last_used(folder) <= self.plan.remove[Ref(kind, key)].touched

    def _move_away(self, folder: Path) -> None:
        """Take a folder out of sight in one step, then remove it."""
        if not folder.exists():
            return
        place = self.services.context.settings.home / REMOVING
        place.mkdir(exist_ok=True)
        moved = place / uuid4().hex
        folder.rename(moved)
        shutil.rmtree(moved)

    def _remove_versions(self, keys: list[str]) -> list[str]:
        registry, gone = self.services.context.registry, []
        for name, model in self.inventory.models.items():
            mine = {version_key(name, one.version): one.version for one in model.versions}
            if not mine.keys() & set(keys):
                continue
            with self.services.one_at_a_time(name) as turn:
                for key in self._again(Kind.VERSION, mine.keys() & set(keys)):
                    turn.check()
                    registry.remove_version(name, mine[key])
                    gone.append(key)
        return gone

    def _erase_runs(self, keys: list[str]) -> list[str]:
        """Trash them all, see whether a night that began meanwhile may need some, erase the rest.

        A night that begins after the trashing finds none of them.
        """
        storage = self.services.storage
        trashed = {stored.run.run_id for stored in self.inventory.runs if stored.trashed}
        for run_id in keys:
            if run_id not in trashed:
                storage.trash(run_id)
        gone = self._again(Kind.RUN, keys)
        for run_id in set(keys) - set(gone) - trashed:
            storage.restore(run_id)
        for run_id in gone:
            storage.erase(run_id)
        return gone

    def _drop_data(self, keys: list[str]) -> list[str]:
        workspace = self.services.context.workspace
        with workspace.lock():
            gone = self._again(Kind.DATA, keys)
            self.shelf.drop(data_keys(gone), self.pushed, remote_url(workspace.settings))
        return gone

    def remove_data_files(self) -> tuple[int, int]:
        """Remove what no version that is here needs: how many files or folders, and bytes."""
        with self.services.context.workspace.lock():
            here = {(record.name, record.version) for record in self.shelf.here()}
            paths = self.shelf.disused(here, self.cutoff)
            freed = freed_by(paths)
            for path in paths:
                remove(path)
        return len(paths), freed

    def _remove_flow_runs(self, keys: list[str]) -> list[str]:
        gone = self._again(Kind.FLOW_RUN, keys)
        self.services.history.remove(gone)
        return gone


def data_keys(keys: Collection[str]) -> set[Key]:
    """Names and versions from the keys of items."""
    split = (key.partition("/") for key in keys)
    return {(name, version) for name, _, version in split}
