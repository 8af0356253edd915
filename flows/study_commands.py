"""`nightforge study ...`: list, show, export, remove."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from components.settings import Settings

app = typer.Typer(
    help="Studies of sweeps: what they found, and their learning curves as a file.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
console = Console()

Name = Annotated[str, typer.Argument(help="Name of a study; `study list` shows them.")]


def _settings() -> Settings:
    return Settings.from_environment(os.environ)


@app.command("list")
def list_() -> None:
    """All studies, with how far they are and what they found."""
    from components.jobs.studies import read_study, study_names

    settings = _settings()
    table = Table()
    for column in ("study", "model", "dataset", "scheduler", "trials", "epochs", "best"):
        table.add_column(column)
    for name in study_names(settings):
        study, trials = read_study(settings, name)
        best = study.best_of(trials)
        base = study.base
        table.add_row(
            name,
            str(base.get("model")),
            str(base.get("dataset")),
            study.scheduler,
            str(len(trials)),
            str(sum(len(trial.curve) for trial in trials)),
            f"{study.metric} {study.best_value(best):.4f}" if best else "none yet",
        )
    console.print(table)


@app.command()
def show(name: Name) -> None:
    """Every trial of a study, the best first; also while it runs."""
    from components.jobs.studies import read_study
    from flows.summary import trial_rows

    study, trials = read_study(_settings(), name)
    rows = trial_rows(study, trials)
    table = Table(title=f"{name}: {study.searcher}, {study.scheduler}, {study.metric}")
    for column in rows[0] if rows else ("no trials yet",):
        table.add_column(column)
    for row in rows:
        table.add_row(*(str(value) for value in row.values()))
    console.print(table)


@app.command()
def export(
    name: Name,
    json_file: Annotated[Path, typer.Option("--json", help="Where to write the curves.")],
) -> None:
    """Write the learning curves of the trials that were trained to the end."""
    from components.benchmarks.base import hardware, versions
    from components.jobs.studies import read_study
    from components.tuning.curves import table_of

    study, trials = read_study(_settings(), name)
    table = table_of(study, trials, hardware(), versions())
    json_file.write_text(table.model_dump_json() + "\n", encoding="utf-8")
    console.print(f"{len(table.entries)} curves of {table.epochs} epochs in {json_file}")


@app.command()
def remove(name: Name) -> None:
    """Delete a study's log and checkpoints; its runs in MLflow stay."""
    from components.jobs.studies import LOG, read_study, study_folder
    from components.tuning.log import TrialLog

    settings = _settings()
    study, _ = read_study(settings, name)
    folder = study_folder(settings, name)
    log = TrialLog(folder / LOG, study.header())  # refuses while the study runs
    try:
        shutil.rmtree(folder)
    finally:
        log.close()
    console.print(f"removed {folder}", soft_wrap=True)
