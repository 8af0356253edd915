"""`nightforge clean`: what nothing needs any more goes, and what was freed is told."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.filesize import decimal
from rich.table import Table

from components.errors import ServiceError
from components.settings import Settings
from flows.connection import answering, in_stack, job_context

if TYPE_CHECKING:
    from components.jobs.clean import Cleaning, Line

console = Console()
DATABASES = "databases"
RECORDS_VARIABLE = "MLFLOW_BACKEND_STORE_URI"  # as MLflow's own server is given it


def clean(
    older_than: Annotated[
        str, typer.Option("--older-than", help="What was touched since stays: 12h, 30d, 2w.")
    ],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would go, and change nothing.")
    ] = False,
) -> None:
    """Remove runs, checkpoints, artifacts, caches and history that nothing needs."""
    from components.jobs.clean import parse_age

    age = parse_age(older_than)
    settings = Settings.from_environment(os.environ)
    with console.status("taking stock") as waiting, answering(settings):
        cleaning = _cleaning(settings, datetime.now(UTC) - age)
        lines = []
        for line in cleaning.preview() if dry_run else _cleaned(cleaning, settings):
            lines.append(line)
            waiting.update(f"{line.kind}: done")
    _print(lines, older_than, dry_run=dry_run)
    if dry_run and not in_stack(settings):
        console.print("The databases are compacted as well.")


def _cleaning(settings: Settings, limit: datetime) -> Cleaning:
    context, records = job_context(settings), _records(settings)
    from components.jobs.clean import Cleaning
    from components.jobs.removal import Services
    from components.tracking.mlflow_storage import MlflowStorage
    from flows.flow_history import PrefectHistory
    from flows.limits import one_promotion_at_a_time
    from flows.reconciler import reconcile_config, restarted_since

    services = Services(
        context,
        MlflowStorage(str(context.settings.mlflow_uri), records),
        PrefectHistory(restarted_since(settings, reconcile_config(settings))),
        partial(one_promotion_at_a_time, settings),
    )
    return Cleaning(services, limit)


def _records(settings: Settings) -> str:
    """The database behind MLflow's server, which alone can forget a run for good."""
    if not in_stack(settings):
        if settings.mlflow_store.exists():
            return f"sqlite:///{settings.mlflow_store}"
        got, wanted = f"no database at {settings.mlflow_store}", "that of the embedded server"
        remedy = "Run this where the embedded servers keep their state."
    elif address := os.environ.get(RECORDS_VARIABLE):
        return address
    else:
        got, wanted = f"no {RECORDS_VARIABLE}", "the address of the database of the stack's MLflow"
        remedy = "On the stack's machine: docker compose run --rm clean --older-than 30d"
    raise ServiceError("MLflow's records", got=got, wanted=wanted, remedy=remedy)


def _cleaned(cleaning: Cleaning, settings: Settings) -> Iterator[Line]:
    from components.jobs.clean import Line, compact

    yield from cleaning.clean()
    if in_stack(settings):
        return  # PostgreSQL uses the room again by itself
    databases = [path for path in _databases(settings) if path.exists()]
    yield Line(DATABASES, 0, {"compacted": len(databases)}, sum(map(compact, databases)))


def _databases(settings: Settings) -> tuple[Path, ...]:
    return settings.mlflow_store, settings.home / "prefect" / "prefect.db"


def _print(lines: Iterable[Line], limit: str, *, dry_run: bool) -> None:
    verb = "would go" if dry_run else "removed"
    table = Table(title=f"older than {limit}, and needed by nothing")
    for column in ("what", verb, "kept, and why", "bytes"):
        table.add_column(column, justify="right" if column in (verb, "bytes") else "left")
    total = 0
    for line in lines:
        total += line.freed or 0
        reasons = "\n".join(f"{count} {reason}" for reason, count in line.kept.items())
        freed = "" if line.freed is None else f"{line.freed:,}"
        table.add_row(line.kind, f"{line.removed:,}", reasons, freed)
    console.print(table)
    words = "would be freed" if dry_run else "freed"
    console.print(f"{decimal(total)} {words}", highlight=False)
