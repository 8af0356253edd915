"""The summary of a flow run: collected step by step, stored as JSON and as a Prefect artifact."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, TypeVar

from prefect import get_run_logger
from prefect.artifacts import create_markdown_artifact
from prefect.runtime import flow_run
from pydantic import BaseModel, ConfigDict, Field

from components.promotion.decision import RuleEvidence
from components.settings import Settings
from flows.notifications import notify_ended

LATEST = "latest.json"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class StepReport(_Part):
    """One step; `skipped` says why nothing had to be done, `error` why it did not finish."""

    name: str
    seconds: float
    skipped: str | None = None
    error: str | None = None

    @property
    def note(self) -> str:
        """What a person reads beside its time; the error itself stands above, once."""
        if self.error:
            return "did not finish"
        return f"skipped: {self.skipped}" if self.skipped else ""


class DatasetReport(_Part):
    """Which data a run worked with; counts are examples."""

    name: str
    version: str
    source: str
    sample: bool
    train: int
    validation: int
    test: int
    change: str | None = None


class ModelReport(_Part):
    """The candidate in the registry; `alias` is what points at it now, if anything."""

    name: str
    version: int
    alias: str | None
    champion: int | None


class DecisionReport(_Part):
    """What the gate decided, and why."""

    promoted: bool
    reasons: tuple[str, ...]
    evidence: tuple[RuleEvidence, ...]
    new: bool = Field(False, description="Made or carried out by this run, not by an earlier one")


class RunReport(_Part):
    """The machine-readable summary of one flow run ($NIGHTFORGE_HOME/reports/latest.json)."""

    flow: str
    flow_run: str
    name: str = Field("", description="What people call the run: nightly lenet on fashion_mnist")
    state: str = "Running"
    error: str | None = None
    seconds: float = 0.0
    warnings: list[str] = Field(default_factory=list)
    notes: list[str] = Field(default_factory=list)
    steps: list[StepReport] = Field(default_factory=list)
    dataset: DatasetReport | None = None
    model: ModelReport | None = None
    metrics: dict[str, float] = Field(default_factory=dict)
    decision: DecisionReport | None = None
    pictures: dict[str, str] = Field(default_factory=dict)
    links: dict[str, str] = Field(default_factory=dict)


class _Outcome(Protocol):
    @property
    def skipped(self) -> str | None: ...


O = TypeVar("O", bound=_Outcome)  # noqa: E741


class Reporting:
    """Collects the report while a flow runs."""

    def __init__(self, report: RunReport) -> None:
        self.report = report

    def step(self, name: str, task: Callable[..., O], *args: Any, **kwargs: Any) -> O:
        """Run one step and note its time, and whether it was skipped or did not finish."""
        start = time.perf_counter()
        step = StepReport(name=name, seconds=0.0)
        self.report.steps.append(step)
        try:
            outcome = task(*args, **kwargs)
            step.skipped = outcome.skipped
        except BaseException as error:
            step.error = _one_line(error)
            raise
        finally:
            step.seconds = round(time.perf_counter() - start, 3)
        return outcome


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


@contextmanager
def reporting(flow: str, settings: Settings) -> Iterator[Reporting]:
    """Collect a report; it is written however the flow ends, short of a SIGKILL."""
    report = RunReport(flow=flow, flow_run=str(flow_run.id), name=str(flow_run.name))
    report.links["Prefect run"] = str(flow_run.ui_url)
    start = time.perf_counter()
    try:
        yield Reporting(report)
        report.state = "Completed"
    except BaseException as error:
        report.state = "Failed" if isinstance(error, Exception) else "Cancelled"
        report.error = _one_line(error)
        raise
    finally:
        report.seconds = round(time.perf_counter() - start, 3)
        write_report(settings.reports, report)
        _notify(settings, report)
        if report.state != "Cancelled":
            create_markdown_artifact(
                markdown(report),
                key=f"{flow.replace('_', '-')}-report",
                description="What this run did and why",
            )


def _notify(settings: Settings, report: RunReport) -> None:
    """Tell whoever asked; who could not be told stands in the log and in the report."""
    if untold := notify_ended(settings, report):
        for line in untold:
            get_run_logger().warning(line)
        report.warnings.extend(untold)
        write_report(settings.reports, report)


def write_report(folder: Path, report: RunReport) -> None:
    """Write `<flow run id>.json` and latest.json, each in one step."""
    folder.mkdir(parents=True, exist_ok=True)
    text = report.model_dump_json(indent=2) + "\n"
    for name in (f"{report.flow_run}.json", LATEST):
        temporary = folder / f".{name}.{os.getpid()}.tmp"
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, folder / name)


def read_report(folder: Path, name: str = LATEST) -> RunReport | None:
    """The report stored under a file name, or None if there is none."""
    path = folder / name
    if not path.exists():
        return None
    return RunReport.model_validate_json(path.read_text(encoding="utf-8"))


def markdown(report: RunReport) -> str:
    """The report for people, as the Prefect UI shows it."""
    parts = [f"# {report.flow}: {_headline(report)}"]
    parts += [f"> **{warning}**" for warning in report.warnings]
    if report.error:
        parts.append(f"**Error.** {report.error}")
    if report.notes:
        parts.append("\n".join(f"- {note}" for note in report.notes))
    if report.dataset:
        parts.append(_dataset_lines(report.dataset))
    if report.metrics:
        rows = [f"| {name} | {value:.4g} |" for name, value in report.metrics.items()]
        parts.append("\n".join(["| metric | value |", "|---|---|", *rows]))
    if report.decision:
        parts.append(_decision_lines(report.decision))
    parts += [f"![{name}]({url})" for name, url in report.pictures.items()]
    rows = [f"| {step.name} | {step.seconds:.1f} | {step.note} |" for step in report.steps]
    parts.append("\n".join(["| step | seconds | note |", "|---|---|---|", *rows]))
    parts.append(" · ".join(f"[{name}]({url})" for name, url in report.links.items()))
    return "\n\n".join(parts) + "\n"


def _headline(report: RunReport) -> str:
    if report.state != "Completed":
        return report.state
    if all(step.skipped for step in report.steps):
        return "nothing changed, everything skipped"
    if report.decision and report.model:
        verdict = "promoted" if report.decision.promoted else "refused"
        return f"{report.model.name} version {report.model.version} {verdict}"
    return report.state


def _dataset_lines(dataset: DatasetReport) -> str:
    return (
        f"**Dataset** {dataset.name}, version `{dataset.version}`, from {dataset.source}: "
        f"{dataset.train:,} training, {dataset.validation:,} validation and "
        f"{dataset.test:,} test examples." + (f" {dataset.change}." if dataset.change else "")
    )


def _decision_lines(decision: DecisionReport) -> str:
    verdict = "Promoted" if decision.promoted else "Refused"
    rows = [
        f"| {rule.rule} | {'pass' if rule.passed else '**fail**'} | {rule.reason} |"
        for rule in decision.evidence
    ]
    reasons = "\n".join(f"- {reason}" for reason in decision.reasons)
    table = "\n".join(["| rule | verdict | evidence |", "|---|---|---|", *rows])
    return f"## {verdict}\n\n{reasons}\n\n{table}"
