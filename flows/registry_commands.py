"""`nightforge registry`, `rollback` and `lineage`: what the champion was, is, and comes from."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from components.errors import ConfigError
from components.settings import Settings
from flows.connection import job_context

if TYPE_CHECKING:
    from components.jobs.lineage import Lineage
    from components.tracking.base import ModelVersion

console = Console()

Model = Annotated[str, typer.Argument(help="Name of a registered model.")]


def registry(
    model: Annotated[str | None, typer.Argument(help="Its name; without it, all models.")] = None,
) -> None:
    """Show a model's versions and every move of its champion: who, when, why, by which evidence."""
    context = job_context(Settings.from_environment(os.environ))
    from components.jobs import lineage as job
    from flows.histories import model_rows, move_rows, version_rows

    if model is None:
        _print_rows("registered models", model_rows(context.registry))
        return
    found = job.history(context, model)
    _print_rows(f"{model}: versions", version_rows(found))
    _print_rows(f"{model}: champions", move_rows(found))


def rollback(
    model: Model,
    reason: Annotated[str, typer.Option(help="Why; it stands in the history from now on.")],
    to: Annotated[
        int | None, typer.Option(min=1, help="A version; the champion before, if left out.")
    ] = None,
) -> None:
    """Make an earlier version champion again."""
    context = job_context(Settings.from_environment(os.environ))
    from components.jobs import rollback as job
    from components.jobs.references import Reference, find
    from flows.limits import one_promotion_at_a_time

    find(context.registry, Reference(model))
    waiting = console.status(f"waiting until no promotion of {model} is going on")
    with waiting, one_promotion_at_a_time(context.settings, model) as turn:
        waiting.update("moving the aliases")
        outcome = job.rollback(replace(context, turn=turn), model, reason, to)
    if outcome.skipped:
        console.print(outcome.skipped, highlight=False)
    console.print(
        f"{model}: version {outcome.champion.version} is champion again, instead of version "
        f"{outcome.before.version}",
        highlight=False,
        soft_wrap=True,
    )
    console.print(outcome.champion.url, highlight=False, soft_wrap=True)


def lineage(
    model: Annotated[
        str | None, typer.Argument(help="NAME (its champion), NAME@alias or NAME:3.")
    ] = None,
    data: Annotated[
        str | None, typer.Option(help="The other way round: the start of a dataset version's md5.")
    ] = None,
) -> None:
    """Walk from a model to its run, data, configuration, code and decision; or back from data."""
    if (model is None) == (data is None):
        raise ConfigError(
            "lineage",
            got="both a model and --data" if model else "neither a model nor --data",
            wanted="one of them",
            remedy="For example: nightforge lineage fashion_mnist-classifier",
        )
    context = job_context(Settings.from_environment(os.environ))
    from components.jobs import lineage as job
    from components.jobs.references import resolve

    if data is not None:
        _print_trained(job.trained_on(context, data))
        return
    _print_lineage(job.lineage(context, resolve(context.registry, str(model))))


def _print_trained(versions: list[ModelVersion]) -> None:
    from flows.histories import trained_rows

    _print_rows("trained on these data", trained_rows(versions))


def _print_lineage(found: Lineage) -> None:
    from flows.histories import lineage_rows

    table = Table(title=f"{found.version.name} version {found.version.version}", show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for what, value in lineage_rows(found):
        table.add_row(what, _plain(value))
    console.print(table)
    for what, url in found.links.items():
        console.print(f"{what}: {url}", highlight=False, soft_wrap=True)


def _print_rows(title: str, rows: list[dict[str, Any]]) -> None:
    table = Table(title=title)
    for column in rows[0] if rows else ("nothing yet",):
        table.add_column(column, overflow="fold", ratio=1 if column == "why" else None)
    for row in rows:
        table.add_row(*(_plain(value) for value in row.values()))
    console.print(table)


def _plain(value: object) -> str:
    return str(value).replace("[", "\\[")
