"""Follow a flow run in the terminal: steps, a progress bar per training run, the summary."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    ArtifactFilterType,
    FlowRunFilter,
    FlowRunFilterId,
)
from prefect.client.schemas.objects import FlowRun, TaskRun
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Table

from flows.reconciler import GIVEN_UP
from flows.reports import PartReport, RunReport

POLL_SECONDS = 0.5


class Follower:
    """Shows one flow run until it ends; bars for a person, plain lines for a log.

    Args:
        client: Of Prefect's server.
        run: Which.
        console: Where to.
        patience: Seconds within which a crashed run is started again, if it is.
    """

    def __init__(
        self, client: SyncPrefectClient, run: FlowRun, console: Console, patience: float
    ) -> None:
        self._client, self._run, self._console = client, run, console
        self._patience = patience
        self._said: dict[str, str] = {}
        self._bars: dict[UUID, TaskID] = {}
        self._progress = Progress(
            TextColumn("  [bold]{task.description}"),
            BarColumn(bar_width=28),
            TextColumn("{task.percentage:>3.0f} % {task.fields[detail]}"),
            console=console,
            disable=not console.is_terminal,
        )

    def follow(self) -> FlowRun:
        """Block until the run has ended and return it."""
        with self._progress:
            while True:
                run = self._client.read_flow_run(self._run.id)
                self._show(run)
                if run.state and run.state.is_final() and not self._restarted(run):
                    return run
                time.sleep(POLL_SECONDS)

    def _restarted(self, run: FlowRun) -> bool:
        """Whether a crashed run may still be started again by the reconciler."""
        assert run.state is not None
        if not run.state.is_crashed() or GIVEN_UP in run.tags:
            return False
        return (datetime.now(UTC) - run.state.timestamp).total_seconds() < self._patience

    def _show(self, run: FlowRun) -> None:
        assert run.state is not None
        line = f"{run.name}: {str(run.state.name).lower()}"
        if not run.state.is_final():
            self._say("flow", line)
        if run.state.is_scheduled():
            return
        chosen = FlowRunFilter(id=FlowRunFilterId(any_=[run.id]))
        tasks = self._client.read_task_runs(flow_run_filter=chosen)
        for task in sorted(tasks, key=lambda task: str(task.start_time)):
            self._show_task(task)
        artifacts = self._client.read_artifacts(
            artifact_filter=ArtifactFilter(
                flow_run_id=ArtifactFilterFlowRunId(any_=[run.id]),
                type=ArtifactFilterType(any_=["progress"]),
            )
        )
        for artifact in artifacts:
            share = float(artifact.data) if isinstance(artifact.data, int | float) else 0.0
            self._show_progress(artifact.id, share, artifact.description or "")
        if run.state.is_final():
            self._say("flow", line)

    def _show_task(self, task: TaskRun) -> None:
        if task.state and (task.state.is_running() or task.state.is_final()):
            self._say(str(task.id), f"  {task.name}: {str(task.state.name).lower()}")

    def _show_progress(self, artifact: UUID, share: float, text: str) -> None:
        name, _, detail = text.partition(": ")
        if not self._console.is_terminal:
            self._say(str(artifact), f"    {text}")
            return
        if artifact not in self._bars:
            self._bars[artifact] = self._progress.add_task(name, total=100, detail=detail)
        self._progress.update(self._bars[artifact], completed=share, detail=detail)

    def _say(self, key: str, text: str) -> None:
        if self._said.get(key) != text:
            self._said[key] = text
            self._console.print(text, highlight=False)


def print_summary(report: RunReport, console: Console) -> None:
    """A table for each model: data, metrics, decision, champion, seconds per step; then links."""
    for part in report.parts:
        _print_part(part, part.title if report.also else report.flow, console)


def _print_part(part: PartReport, title: str, console: Console) -> None:
    for warning in part.warnings:
        console.print(f"! {warning}", style="bold yellow", highlight=False, markup=False)
    for note in part.notes:
        console.print(note, highlight=False, markup=False)
    for name, rows in part.tables.items():
        found = Table(*rows[0], title=name)
        for row in rows:
            found.add_row(*row.values())
        console.print(found)
    table = Table(title=f"{title}: {part.state.lower()} in {part.seconds:.1f} s")
    table.add_column("what", style="bold")
    table.add_column("result", overflow="fold")
    for what, result in summary_rows(part):
        table.add_row(what, result)
    if table.row_count:
        console.print(table)
    for name, url in part.links.items():
        console.print(f"{name}: {url}", highlight=False, soft_wrap=True)


def summary_rows(report: PartReport) -> list[tuple[str, str]]:
    """The rows of the summary table as (what, result)."""
    rows = []
    if data := report.dataset:
        counts = f"{data.train:,} train, {data.validation:,} validation, {data.test:,} test"
        rows.append(("dataset", f"{data.name} {data.version[:12]}, {counts}"))
        rows.append(("source", data.source))
    rows += [(name.replace("_", " "), f"{value:.4g}") for name, value in report.metrics.items()]
    if decision := report.decision:
        verdict = "promoted" if decision.promoted else "refused"
        rows.append(("gate", "\n".join([verdict, *(f"- {text}" for text in decision.reasons)])))
    if model := report.model:
        rows.append(("candidate", f"{model.name} version {model.version}"))
        rows.append(("champion", f"version {model.champion}" if model.champion else "none"))
    for step in report.steps:
        rows.append((f"step {step.name}", f"{step.seconds:6.1f} s  {step.note}".rstrip()))
    return rows
