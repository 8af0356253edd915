"""The command line: `nightforge up`, `run`, `predict`, `serve` and the others."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from components.errors import FlowRunError, NightforgeError, ServiceError
from components.settings import Settings
from flows.clean_commands import clean
from flows.connection import answering, connect, in_stack, join
from flows.data_commands import app as data_commands
from flows.embedded import Embedded
from flows.predict_commands import predict, serve
from flows.probes import Addresses, busy
from flows.registry_commands import lineage, registry, rollback
from flows.stack import PREFECT_VARIABLE, StackAddresses
from flows.stack_commands import logs, stack_status, worker
from flows.study_commands import app as study_commands

if TYPE_CHECKING:
    from prefect.client.schemas.objects import FlowRun

    from flows.reports import RunReport

app = typer.Typer(
    help="Retrains models every night and promotes only those that are truly better.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
console = Console()
INTERRUPTED = 130

Debug = Annotated[bool, typer.Option("--debug", help="Show the trace of an error.")]


def main() -> None:
    """Entry point: one clear line for a known error, the trace only with --debug."""
    debug = "--debug" in sys.argv
    sys.argv = [argument for argument in sys.argv if argument != "--debug"]
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)  # so that what was started is stopped as on Ctrl-C
    try:
        app()
    except KeyboardInterrupt:
        Console(stderr=True).print("interrupted")
        sys.exit(INTERRUPTED)
    except NightforgeError as error:
        if debug:
            raise
        _print_error(error)
        sys.exit(error.exit_code)
    except OSError as error:
        if debug:
            raise
        _print_error(
            f"operating system: got {error}, wanted a readable and writable path or a reachable "
            "address. Correct it; --debug shows where it happened."
        )
        sys.exit(1)


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def _print_error(error: object) -> None:
    text = str(error).replace("[", "\\[")
    Console(stderr=True).print(f"[bold red]error:[/] {text}", highlight=False, soft_wrap=True)


app.add_typer(data_commands, name="data")
app.add_typer(study_commands, name="study")
for command in (registry, rollback, lineage, predict, serve, clean, worker, logs):
    app.command()(command)


@app.callback()
def options(debug: Debug = False) -> None:
    """Options that every command takes."""


def _settings() -> Settings:
    return Settings.from_environment(os.environ)


def _embedded(command: str) -> Settings:
    """The settings, for a command that is about the embedded servers."""
    settings = _settings()
    if in_stack(settings):
        raise ServiceError(
            f"nightforge {command}",
            got=f"{PREFECT_VARIABLE}={settings.prefect_uri}, a server that others run",
            wanted="an installation with embedded servers",
            remedy="Start and stop a stack with `docker compose`, or unset the variable.",
        )
    return settings


@app.command()
def up() -> None:
    """Start the embedded servers and the worker, and keep them until `nightforge down`."""
    settings = _embedded("up")
    addresses = _start(settings)
    _print_addresses(addresses, settings)


@app.command()
def down() -> None:
    """Stop what `nightforge up` started; all state stays on disk."""
    stopped = Embedded(_embedded("down")).stop()
    console.print("stopped" if stopped else "nothing was running")


@app.command()
def status() -> None:
    """Say what runs, where, and with which state directory."""
    settings = _settings()
    table = Table(title=f"state directory {settings.home}")
    for column in ("service", "state", "where"):
        table.add_column(column)
    services = stack_status(settings) if in_stack(settings) else Embedded(settings).status()
    for service in services:
        state = "[green]running[/]" if service.running else f"[red]{service.trouble}[/]"
        table.add_row(service.name, state, service.detail)
    console.print(table)
    if not all(service.running for service in services):
        raise typer.Exit(3)


@app.command()
def run(
    flow: Annotated[str, typer.Argument(help="Which deployment to trigger, such as nightly.")],
    profile: Annotated[
        str | None, typer.Option(help="A profile of params.yaml to lay over the parameters.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="One parameter, such as training.epochs=3.", metavar="A.B=C"),
    ] = None,
    with_servers: Annotated[
        bool, typer.Option("--with-servers", help="Start the servers first, stop them afterwards.")
    ] = False,
) -> None:
    """Trigger a deployment, follow it, and print its summary."""
    settings = _settings()
    with _servers(settings, start=with_servers) as addresses:
        connect(settings, addresses)
        ended = _trigger_and_follow(settings, flow, profile, set_ or [])
        report = _print_report(settings, ended)
        _print_addresses(addresses, settings)
    if report and report.state == "Failed":
        _print_error(report.error)
        raise typer.Exit(FlowRunError.exit_code)
    _raise_unless_completed(ended)


@app.command()
def bench(
    name: Annotated[str, typer.Argument(help="Which benchmark, such as lenet-cpu.")],
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Where to write the result.")
    ] = None,
    figure: Annotated[
        Path | None,
        typer.Option("--figure", help="Where to draw it, for benchmarks that can."),
    ] = None,
) -> None:
    """Measure against a reference in the same run."""
    from components.benchmarks import BENCHMARKS
    from components.benchmarks.base import refuse_undrawable, save_figure

    benchmark = BENCHMARKS.get(name)
    if figure:
        refuse_undrawable(name, benchmark, figure)
    result = benchmark(lambda line: console.print(line, highlight=False))
    text = result.model_dump_json(indent=2)
    if json_file:
        json_file.write_text(text + "\n", encoding="utf-8")
    if figure:
        save_figure(result, figure)
    console.print_json(text)


def _start(settings: Settings) -> Addresses:
    started = datetime.now(UTC)
    with console.status("starting Prefect, MLflow and a worker"):
        return Embedded(settings).start(
            lambda name: console.print(f"{name}: ready", highlight=False),
            lambda addresses: _prepare(settings, addresses, started),
        )


def _prepare(settings: Settings, addresses: Addresses, started: datetime) -> None:
    connect(settings, addresses)
    from components.jobs.context import JobContext
    from flows.deployments import register_all
    from flows.notifications import prepare_blocks
    from flows.reconciler import reconcile_now, settle_promotions

    context = JobContext.connect(Settings.from_environment(os.environ))
    with answering(settings):
        register_all(settings)
        for line in prepare_blocks(settings):
            console.print(f"! {line}", style="bold yellow", highlight=False, soft_wrap=True)
        for line in (*reconcile_now(context, started), *settle_promotions(context)):
            console.print(line, highlight=False)


@contextmanager
def _servers(settings: Settings, *, start: bool) -> Iterator[Addresses | StackAddresses]:
    with console.status("waiting for the servers"):
        joined = join(settings)
    if joined:
        yield joined
        return
    if not start:
        raise ServiceError(
            f"services of {settings.home}",
            got="nothing running",
            wanted="the embedded servers",
            remedy="Start them with `nightforge up`, or add --with-servers.",
        )
    embedded, addresses = Embedded(settings), _start(settings)
    try:
        yield addresses
    except BaseException:
        embedded.stop()
        raise
    if busy(addresses):
        console.print("Other runs are still going on: the servers stay up.")
        return
    embedded.stop()
    console.print("The servers are stopped; `nightforge up` shows the same state again.")


def _trigger_and_follow(
    settings: Settings, flow: str, profile: str | None, assignments: list[str]
) -> FlowRun:
    from prefect.client.orchestration import get_client

    from flows.follow import Follower
    from flows.reconciler import patience
    from flows.trigger import trigger

    with answering(settings), get_client(sync_client=True) as client:
        started = trigger(client, settings, flow, profile, assignments)
        return Follower(client, started, console, patience(settings)).follow()


def _print_report(settings: Settings, ended: FlowRun) -> RunReport | None:
    from flows.follow import print_summary
    from flows.reports import read_report

    report = read_report(settings.reports, f"{ended.id}.json")
    if report:
        print_summary(report, console)
    return report


def _raise_unless_completed(ended: FlowRun) -> None:
    state = ended.state
    if state and state.is_completed():
        return
    raise FlowRunError(
        f"flow run {ended.name}",
        got=f"{state.name if state else 'no state'} ({(state and state.message) or 'no message'})",
        wanted="Completed",
        remedy="See the run's log in the Prefect UI; what was finished is kept.",
    )


def _print_addresses(addresses: Addresses | StackAddresses, settings: Settings) -> None:
    console.print(f"Prefect: {addresses.prefect_ui}", highlight=False)
    console.print(f"MLflow:  {addresses.mlflow_ui}", highlight=False)
    console.print(f"state:   {settings.home}", highlight=False)


if __name__ == "__main__":
    main()
