"""Taking stock of an installation, for retention."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from components.errors import DataError, StudyError, VersioningError
from components.jobs.context import JobContext
from components.jobs.history import read_moves
from components.jobs.locks import held
from components.jobs.stored import (
    Inventory,
    StoredCheckpoint,
    StoredData,
    StoredFlowRun,
    StoredModel,
    StoredReport,
    StoredStudy,
)
from components.settings import Settings
from components.tracking.base import ModelRegistry, RunStorage
from components.tuning.log import read_log
from components.versioning.disused import Key, Shelf, last_used
from components.versioning.remote import Remote, remote_url

STUDY_LOG, STUDY_IDENTITY = "trials.jsonl", "id"
LATEST_REPORT = "latest.json"
PRINT = re.compile(r"[0-9a-f]{32}")
RUN_PAGE = re.compile(r"/runs/([0-9a-f]{32})")
RUN_FILE = re.compile(r"run_uuid=([0-9a-f]{32})")


def take_stock(
    context: JobContext,
    storage: RunStorage,
    flow_runs: list[StoredFlowRun],
    pushed: Collection[Key],
) -> Inventory:
    """Everything that may be removed, and what decides about it.

    Args:
        context: Registry, workspace and state directory.
        storage: The tracker's runs.
        flow_runs: The orchestrator's.
        pushed: Versions of datasets that a remote has.

    Raises:
        TrackingError: If the tracking server does not answer.
    """
    settings = context.settings
    return Inventory(
        runs=storage.runs(),
        models=stored_models(context.registry),
        data=list(stored_data(context, pushed)),
        studies=list(_studies(settings)),
        checkpoints=list(_checkpoints(settings)),
        reports=list(_reports(settings)),
        flow_runs=stored_flow_runs(context, flow_runs),
    )


def stored_flow_runs(context: JobContext, flow_runs: list[StoredFlowRun]) -> list[StoredFlowRun]:
    """Flow runs with the datasets, too, that stand in for theirs when a source is away."""
    datasets = context.workspace.datasets()
    stand_ins = {name: datasets.spec(name).fallback for name in datasets}

    def more(names: frozenset[str]) -> frozenset[str]:
        return names | {other for name in names if (other := stand_ins.get(name))}

    return [replace(run, datasets=more(run.datasets)) for run in flow_runs]


def stored_models(registry: ModelRegistry) -> dict[str, StoredModel]:
    """All registered models."""
    return {
        name: StoredModel(registry.versions(name), read_moves(registry, name))
        for name in registry.names()
    }


def stored_data(context: JobContext, pushed: Collection[Key]) -> Iterator[StoredData]:
    """The versions of datasets that are here."""
    shelf = Shelf(context.workspace)
    current = shelf.current()
    for record in shelf.here():
        key = record.name, record.version
        yield StoredData(
            *key,
            touched=shelf.touched(record),
            current=key in current,
            irreplaceable=record.own and key not in pushed,
        )


def pushed_versions(context: JobContext) -> set[Key]:
    """What the remote has; nothing if there is none, or it does not answer."""
    settings = context.settings
    if settings.remote is None and not Path(remote_url(settings)).exists():
        return set()
    with suppress(DataError, VersioningError):
        return Remote(context.workspace).versions()
    return set()


def _studies(settings: Settings) -> Iterator[StoredStudy]:
    for folder in sorted(settings.studies.glob("*")):
        log = folder / STUDY_LOG
        header: Any = {}
        with suppress(StudyError):  # a damaged log is that of a study that cannot go on
            header = read_log(log)[0]
        yield StoredStudy(
            name=folder.name,
            fingerprint=str(header.get(STUDY_IDENTITY, "")),
            dataset=str(header.get("base", {}).get("dataset", "")),
            touched=last_used(folder),
            locked=held(log),
        )


def _checkpoints(settings: Settings) -> Iterator[StoredCheckpoint]:
    prints = {path.name.partition(".")[0] for path in settings.checkpoints.glob("*")}
    for print_ in sorted(filter(PRINT.fullmatch, prints)):
        folder = settings.checkpoints / print_
        lock = folder.with_suffix(".lock")
        touched = max(last_used(folder), last_used(lock))
        yield StoredCheckpoint(print_, touched, held(lock))


def _reports(settings: Settings) -> Iterator[StoredReport]:
    newest = _read(settings.reports / LATEST_REPORT).get("flow_run")
    for path in sorted(settings.reports.glob("*.json")):
        if path.name != LATEST_REPORT:
            yield _report(path, newest=path.stem == newest)


def _report(path: Path, *, newest: bool) -> StoredReport:
    tree = _read(path)
    parts = [tree, *tree.get("also", [])]  # one for each model of a night
    links = json.dumps([[part.get("links"), part.get("pictures")] for part in parts])
    models = [part["model"] for part in parts if part.get("model")]
    data = [part["dataset"] for part in parts if part.get("dataset")]
    return StoredReport(
        flow_run=path.stem,
        touched=datetime.fromtimestamp(path.stat().st_mtime, UTC),
        newest=newest,
        runs=frozenset([*RUN_PAGE.findall(links), *RUN_FILE.findall(links)]),
        versions=frozenset((model["name"], model["version"]) for model in models),
        data=frozenset((one["name"], one["version"]) for one in data),
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        tree = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):  # nobody has written one, or a person's hand did
        return {}
    return tree if isinstance(tree, dict) else {}
