"""The summary of a flow run: collected step by step, stored as JSON and as a Prefect artifact."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar
from uuid import UUID

import httpx
from prefect import get_run_logger
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import ArtifactUpdate
from prefect.runtime import deployment, flow_run
from prefect.settings import PREFECT_UI_URL
from pydantic import BaseModel, ConfigDict, Field

from components.promotion.decision import RuleEvidence
from components.settings import Settings
from flows.lives import living
from flows.markdown import markdown
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
    over: bool = True

    @property
    def note(self) -> str:
        """What a person reads beside its time; the error itself stands above, once."""
        if not self.over:
            return "running"
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


class PartReport(_Part):
    """What became of one model of a flow run, or of a whole run that is about one model."""

    title: str = ""
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
    tables: dict[str, list[dict[str, str]]] = Field(default_factory=dict)
    pictures: dict[str, str] = Field(default_factory=dict)
    links: dict[str, str] = Field(default_factory=dict)


class RunReport(PartReport):
    """The machine-readable summary of one flow run ($NIGHTFORGE_HOME/reports/latest.json).

    Attributes:
        also: The further models of a night; the first one's part is the report itself.
    """

    flow: str
    flow_run: str
    name: str = Field("", description="What people call the run: nightly lenet on fashion_mnist")
    also: list[PartReport] = Field(default_factory=list)

    @property
    def parts(self) -> list[PartReport]:
        """What became of each model."""
        return [self, *self.also]


class _Outcome(Protocol):
    @property
    def skipped(self) -> str | None: ...


O = TypeVar("O", bound=_Outcome)  # noqa: E741


class Reporting:
    """Collects a report, or the part of one model in it, while a flow runs.

    Args:
        whole: The report of the flow run.
        show: Called when a step begins.
        part: The part that is filled in; the first model's, which is the report itself, if None.
    """

    def __init__(
        self,
        whole: RunReport,
        show: Callable[[], None] = lambda: None,
        part: PartReport | None = None,
    ) -> None:
        self._whole, self._show = whole, show
        self.report = part or whole

    def step(self, name: str, task: Callable[..., O], *args: Any, **kwargs: Any) -> O:
        """Run one step and note its time, and whether it was skipped or did not finish."""
        start = time.perf_counter()
        step = StepReport(name=name, seconds=0.0, over=False)
        self.report.steps.append(step)
        self._show()
        try:
            outcome = task(*args, **kwargs)
            step.skipped = outcome.skipped
        except BaseException as error:
            step.error = _one_line(error)
            raise
        finally:
            step.seconds = round(time.perf_counter() - start, 3)
            step.over = True
        return outcome

    @contextmanager
    def part(self, title: str) -> Iterator[Reporting]:
        """The part of a further model; an error belongs to it, and goes on."""
        part = PartReport(title=title)
        self._whole.also.append(part)
        with _timed(part):
            yield Reporting(self._whole, self._show, part)


class _StepsTable:
    """Shows the steps of a run as a Prefect table artifact while it goes on."""

    def __init__(self, report: RunReport) -> None:
        self._report = report
        self._lock = threading.Lock()  # models of a night have a thread each
        self._artifact: UUID | None = None

    def show(self) -> None:
        """Bring the table up to date; a server that does not answer is no reason to stop."""
        rows = [
            {"model": part.title, "step": step.name, "seconds": step.seconds, "note": step.note}
            for part in self._report.parts
            for step in part.steps
        ]
        with self._lock, suppress(httpx.HTTPError):
            if self._artifact is None:
                created = create_table_artifact(
                    rows, key=f"{self._report.flow.replace('_', '-')}-steps", description="Steps"
                )
                assert isinstance(created, UUID)
                self._artifact = created
                return
            with get_client(sync_client=True) as client:
                client.update_artifact(self._artifact, ArtifactUpdate(data=json.dumps(rows)))


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


@contextmanager
def reporting(flow: str, settings: Settings) -> Iterator[Reporting]:
    """Collect a report; it is written however the flow ends, short of a SIGKILL.

    A process that was taken for dead, so that its flow run was started again, ends without a word:
    what it says of the run would be taken for what became of the newer attempt.
    """
    if _superseded():
        os._exit(0)
    report = RunReport(flow=flow, flow_run=str(flow_run.id), name=str(flow_run.name))
    report.links["Prefect run"] = str(flow_run.ui_url)
    if deployment.id:  # not of a flow that is called as a function
        report.links["deployment"] = (
            f"{PREFECT_UI_URL.value()}/deployments/deployment/{deployment.id}"
        )
    table = _StepsTable(report)
    try:
        with _timed(report), living(settings.lives, report.flow_run):
            yield Reporting(report, table.show)
    except BaseException:
        if _superseded():
            os._exit(0)
        raise
    finally:
        last: list[Callable[[], object]] = [
            partial(write_report, settings.reports, report),
            partial(_notify, settings, report),
        ]
        if report.state != "Cancelled":
            last += [table.show, partial(_publish, report)]
        conclude(report, last, get_run_logger().error)


def conclude(
    report: RunReport, last: Iterable[Callable[[], object]], say: Callable[[str], None]
) -> None:
    """Do what comes at a run's end, each whatever became of the others.

    On a full disk the report cannot be written either: what the run itself ended with must not be
    lost behind that.

    Args:
        report: Of the run; its state is known.
        last: What is to be done.
        say: Told of what could not be done.

    Raises:
        Exception: The first thing that could not be done, if the run itself had no error.
    """
    troubles: list[Exception] = []
    for each in last:
        try:
            each()
        except Exception as error:
            line = f"at the end of the run: {type(error).__name__}: {_one_line(error)}"
            report.warnings.append(line)
            say(line)
            troubles.append(error)
    if troubles and report.error is None:
        raise troubles[0]


def _publish(report: RunReport) -> None:
    """Show the report in Prefect."""
    key = f"{report.flow.replace('_', '-')}-report"
    create_markdown_artifact(markdown(report), key=key, description="What this run did and why")


@contextmanager
def _timed(part: PartReport) -> Iterator[None]:
    start = time.perf_counter()
    try:
        yield
        part.state = "Completed"
    except BaseException as error:
        part.state = "Failed" if isinstance(error, Exception) else "Cancelled"
        part.error = _one_line(error)
        raise
    finally:
        part.seconds = round(time.perf_counter() - start, 3)


def _superseded() -> bool:
    """Whether this flow run was started again since this process began it."""
    with get_client(sync_client=True) as client, suppress(httpx.HTTPError):
        now = client.read_flow_run(UUID(str(flow_run.id)))
        return now.run_count > int(flow_run.run_count)
    return False


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
