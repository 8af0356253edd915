"""`nightforge predict` and `nightforge serve`: using a registered model."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from components.settings import Settings
from flows.connection import job_context

if TYPE_CHECKING:
    from components.jobs.predict import Predictions

STDOUT = "-"

Model = Annotated[
    str, typer.Argument(help="A registered model: NAME (its champion), NAME@alias or NAME:3.")
]


def predict(
    model: Model,
    inputs: Annotated[
        list[Path],
        typer.Argument(help="Image files, or files with a text on each line; or folders."),
    ],
    json_file: Annotated[
        str | None, typer.Option("--json", help="Write JSON to this file; - is standard output.")
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="How many classes the table shows.")] = 3,
) -> None:
    """Classify images or texts with a registered model."""
    context = job_context(Settings.from_environment(os.environ))
    from components.jobs import predict as job
    from components.jobs.references import resolve

    version = resolve(context.registry, model)
    found = job.predict(context, version, inputs)
    if json_file is None:
        show(found, top)
        return
    text = found.model_dump_json(by_alias=True, indent=2) + "\n"
    if json_file == STDOUT:
        sys.stdout.write(text)
    else:
        Path(json_file).write_text(text, encoding="utf-8")


def show(found: Predictions, top: int) -> None:
    """Print a table with the `top` most probable classes of each file."""
    console = Console()
    table = Table(title=f"{found.model} version {found.version}")
    for column in ("file", "class", "probability", *(("next",) if top > 1 else ())):
        table.add_column(column, overflow="fold")
    for one in found.predictions:
        others = [f"{name} {share:.3f}" for name, share in one.top(top)[1:]]
        row = [one.path, one.class_name, f"{one.probability:.3f}", ", ".join(others)]
        table.add_row(*(cell.replace("[", "\\[") for cell in row[: len(table.columns)]))
    console.print(table)
    if found.skipped:
        console.print(f"skipped, because of another kind: {found.skipped}", highlight=False)


def serve(
    model: Model,
    host: Annotated[str, typer.Option(help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 5001,
    poll: Annotated[
        float, typer.Option(min=0.05, help="Seconds between two looks at the alias.")
    ] = 2.0,
) -> None:
    """Serve a registered model over HTTP, following its alias, until Ctrl-C."""
    context = job_context(Settings.from_environment(os.environ))
    from components.jobs import serve as job
    from components.jobs.references import parse

    job.serve(context, parse(model), host, port, poll, _say)


def _say(line: str) -> None:
    print(line, flush=True)
