"""`nightforge data ...`: add, list, show, versions, checkout, refresh, remove, push, pull."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markdown import Markdown
from rich.table import Table

from components.settings import Settings
from flows.connection import register_if_running

if TYPE_CHECKING:
    from components.datasets.base import DatasetSpec
    from components.errors import DataUnavailableError
    from components.versioning.dvc import DvcWorkspace
    from components.versioning.versions import DatasetVersion, VersionRecord

app = typer.Typer(
    help="Datasets: add your own, see versions, share them through a remote.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
console = Console()

Name = Annotated[str, typer.Argument(help="Name of a dataset; `data list` shows them.")]
OneOrAll = Annotated[str | None, typer.Argument(help="One dataset; all if left out.")]


def _workspace() -> DvcWorkspace:
    from components.versioning.dvc import DvcWorkspace

    return DvcWorkspace(Settings.from_environment(os.environ))


def _quiet_line(line: str) -> None:
    console.print(line, highlight=False, markup=False, style="dim")


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="Its name from now on.")],
    source: Annotated[
        str,
        typer.Argument(
            help="Images: folder, zip, tar or s3:// prefix of CLASS/IMAGE. "
            "Texts: a .jsonl, .csv or .parquet file."
        ),
    ],
    size: Annotated[int | None, typer.Option(help="Images: height and width, in pixels.")] = None,
    grayscale: Annotated[bool, typer.Option("--grayscale", help="Images: one channel.")] = False,
    task: Annotated[
        str | None,
        typer.Option(
            help="Texts: classification (if left out), 'token classification', "
            "'span extraction', 'text to text' or 'language modelling'."
        ),
    ] = None,
    text: Annotated[str | None, typer.Option(help="Texts: column of the text.")] = None,
    label: Annotated[str | None, typer.Option(help="Texts: column of the class.")] = None,
    second: Annotated[str | None, typer.Option(help="Texts: column of a second text.")] = None,
    inbox: Annotated[
        str | None, typer.Option(help="Folder or s3:// prefix that later files are put into.")
    ] = None,
) -> None:
    """Make your own images or texts a dataset that the flows can use."""
    from components.jobs.own_data import add_dataset

    workspace = _workspace()
    given = {"size": size, "task": task, "text": text, "label": label, "second": second}
    prepare: dict[str, object] = {key: value for key, value in given.items() if value is not None}
    if grayscale:
        prepare["grayscale"] = True
    version = add_dataset(workspace, name, source, prepare, inbox, _quiet_line)
    _print_card(version.directory, version.version, version.source, None)
    fetch = workspace.datasets().own[name]["fetch"]
    console.print(f"inbox for later files: {fetch['inbox']}", highlight=False, soft_wrap=True)
    register_if_running(workspace.settings)
    console.print(_next_step(workspace.datasets().spec(name)), highlight=False)


def _next_step(spec: DatasetSpec) -> str:
    from flows.forms import FINE_TUNED, FROM_SCRATCH

    if spec.task is None:
        return f"train on it: nightforge run train --set dataset={spec.name}"
    if spec.task in FINE_TUNED:
        return f"fine-tune on it: nightforge run finetune --set dataset={spec.name}"
    model = FROM_SCRATCH[spec.task]
    return f"train on it: nightforge run train --set dataset={spec.name} --set model={model}"


@app.command()
def remove(name: Name) -> None:
    """Forget a dataset of your own; its versions and its inbox stay on disk."""
    from components.jobs.own_data import remove_dataset

    workspace = _workspace()
    remove_dataset(workspace, name)
    register_if_running(workspace.settings)
    console.print(f"removed {name}", highlight=False)


@app.command(name="list")
def list_() -> None:
    """Every dataset, and the version that is here."""
    workspace = _workspace()
    table = Table()
    for column in ("dataset", "version", "examples", "source"):
        table.add_column(column, overflow="fold")
    newest = {record.name: record for record in workspace.ledger.records()}
    for name in workspace.datasets():
        record = newest.get(name)
        table.add_row(
            name,
            record.version[:8] if record else "-",
            f"{sum(record.card.counts.values()):,}" if record else "-",
            record.source if record else "not prepared yet",
        )
    console.print(table)


@app.command()
def show(name: Name) -> None:
    """The card of the version that is here."""
    record = _newest(_workspace(), name)
    from components.tracking import data_card

    text = data_card.markdown(record.card, record.version, record.source, None)
    console.print(Markdown(text))


@app.command()
def versions(name: Name) -> None:
    """Every version there has been, oldest first."""
    workspace = _workspace()
    workspace.datasets().spec(name)
    table = Table()
    for column in ("version", "first seen", "train", "validation", "test", "source", "data"):
        table.add_column(column, overflow="fold")
    for record in workspace.ledger.records(name):
        counts = [f"{count:,}" for count in record.card.counts.values()]
        words = [record.version[:8], record.first_seen, *counts, record.source]
        table.add_row(*words, _whereabouts(workspace, record))
    console.print(table)


def _whereabouts(workspace: DvcWorkspace, record: VersionRecord) -> str:
    gone = workspace.ledger.dropped(record.name, record.version)
    if gone is None:
        return ""
    return f"removed {gone.dropped}" + (f"; in {gone.remote}" if gone.remote else "")


@app.command()
def checkout(
    name: Name,
    version: Annotated[str, typer.Argument(help="The first characters of a version.")],
) -> None:
    """Bring an earlier version back and say in which folder it is."""
    workspace = _workspace()
    record = workspace.ledger.find(name, version)
    gone = workspace.ledger.dropped(name, record.version)
    if gone and gone.remote:
        from components.versioning.remote import Remote

        Remote(workspace).bring(record)
    elif gone:
        raise _removed(record, str(gone.dropped))
    print(workspace.checkout(name, version))


def _removed(record: VersionRecord, when: str) -> DataUnavailableError:
    from components.errors import DataUnavailableError

    return DataUnavailableError(
        f"dataset {record.name} version {record.version[:8]}",
        got=f"data that `nightforge clean` removed on {when}",
        wanted="data that are here, or in a remote",
        remedy=f"`nightforge data versions {record.name}` shows which are.",
    )


@app.command()
def refresh(name: OneOrAll = None) -> None:
    """Ask the sources again, and prepare a new version where one has changed."""
    workspace = _workspace()
    names = [name] if name else sorted({record.name for record in workspace.ledger.records()})
    for one in names:
        before = {record.version for record in workspace.ledger.records(one)}
        version = workspace.reproduce(one, _quiet_line, again=True)
        console.print(_refreshed(version, before), highlight=False, soft_wrap=True)
    if not names:
        console.print("no dataset has been prepared yet")


def _refreshed(version: DatasetVersion, before: set[str]) -> str:
    if version.version in before:
        return f"{version.name}: unchanged, version {version.version[:8]}"
    change = f": {version.change}" if version.change else ""
    return f"{version.name}: new version {version.version[:8]}{change}"


@app.command()
def push(name: OneOrAll = None) -> None:
    """Store versions in the remote (NIGHTFORGE_REMOTE: a folder or s3://bucket/prefix)."""
    from components.versioning.remote import Remote

    remote = Remote(_workspace())
    new = remote.push(name, _quiet_line)
    _print_moved("pushed", new, remote.url)


@app.command()
def pull(name: OneOrAll = None) -> None:
    """Bring the newest versions from the remote, as on a second machine."""
    from components.versioning.remote import Remote

    workspace = _workspace()
    remote = Remote(workspace)
    new = remote.pull(name, _quiet_line)
    _print_moved("pulled", new, remote.url)
    register_if_running(workspace.settings)


def _print_moved(verb: str, records: list[VersionRecord], url: str) -> None:
    names = ", ".join(f"{record.name} {record.version[:8]}" for record in records)
    console.print(f"{verb}: {names or 'nothing new'} ({url})", highlight=False, soft_wrap=True)


def _newest(workspace: DvcWorkspace, name: str) -> VersionRecord:
    from components.errors import DataUnavailableError

    workspace.datasets().spec(name)
    records = workspace.ledger.records(name)
    if not records:
        raise DataUnavailableError(
            f"dataset {name}",
            got="no version here",
            wanted="one that was prepared or pulled",
            remedy=f"Run: nightforge run data --set dataset={name}",
        )
    return records[-1]


def _print_card(folder: Path, version: str, source: str, change: str | None) -> None:
    from components.datasets.prepared import read_card
    from components.tracking import data_card

    console.print(Markdown(data_card.markdown(read_card(folder), version, source, change)))
