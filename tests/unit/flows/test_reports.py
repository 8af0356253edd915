"""A report tells of every step, also of the one that ended the run."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from rich.console import Console

from flows.follow import print_summary, summary_rows
from flows.reports import Reporting, RunReport, StepReport, conclude, markdown, write_report


@dataclass(frozen=True)
class Outcome:
    skipped: str | None


def broken(error: BaseException) -> Outcome:
    raise error


@pytest.fixture
def run() -> Reporting:
    return Reporting(RunReport(flow="nightly", flow_run="1"))


def test_a_step_that_ran_and_one_that_was_skipped(run: Reporting) -> None:
    assert run.step("data", Outcome, "up to date") == Outcome("up to date")
    run.step("train", Outcome, None)
    assert [(s.name, s.skipped, s.error) for s in run.report.steps] == [
        ("data", "up to date", None),
        ("train", None, None),
    ]
    assert [step.note for step in run.report.steps] == ["skipped: up to date", ""]


@pytest.mark.parametrize(
    ("error", "text"),
    [(ValueError("two\nlines"), "two lines"), (KeyboardInterrupt(), "KeyboardInterrupt")],
)
def test_a_step_that_did_not_finish_is_the_last_one_with_its_error(
    run: Reporting, error: BaseException, text: str
) -> None:
    run.step("data", Outcome, None)
    with pytest.raises(type(error)):
        run.step("train", broken, error)
    assert [(s.name, s.error) for s in run.report.steps] == [("data", None), ("train", text)]
    assert RunReport.model_validate_json(run.report.model_dump_json()) == run.report


def test_people_see_which_step_did_not_finish() -> None:
    step = StepReport(name="train", seconds=3.14, error="a | b")
    report = RunReport(flow="nightly", flow_run="1", state="Failed", error="a | b", steps=[step])
    assert "| train | 3.1 | did not finish |" in markdown(report)
    assert ("step train", "   3.1 s  did not finish") in summary_rows(report)


def test_the_links_stand_under_the_headline_before_all_that_is_long() -> None:
    links, pictures = {"MLflow run": "http://m/1"}, {"learning curves": "http://m/2"}
    report = RunReport(flow="nightly", flow_run="1", links=links, pictures=pictures)
    headline, under = markdown(report).split("\n\n")[:2]
    assert (headline, under) == ("# nightly: Running", "[MLflow run](http://m/1)")


def test_a_warning_is_printed_as_it_is() -> None:
    console = Console(record=True, width=200, file=io.StringIO())
    print_summary(RunReport(flow="f", flow_run="1", warnings=["ConnectError ([Errno 1])"]), console)
    assert "! ConnectError ([Errno 1])" in console.export_text()


def test_a_report_of_an_older_version_can_be_read() -> None:
    assert StepReport.model_validate({"name": "data", "seconds": 1, "skipped": None}).error is None


def test_every_table_has_its_title() -> None:
    tables = {"suite": [{"task": "ner"}], "ner: entities": [{"metric": "f1"}]}
    text = markdown(RunReport(flow="evaluate", flow_run="1", tables=tables))
    for title, rows in tables.items():
        assert f"### {title}\n\n| {next(iter(rows[0]))} |" in text


def test_a_report_that_cannot_be_written_does_not_hide_what_ended_the_run(tmp_path: Path) -> None:
    (no_folder := tmp_path / "reports").write_text("")
    said: list[str] = []
    shown: list[RunReport] = []

    def end(report: RunReport) -> None:
        last = [partial(write_report, no_folder, report), partial(shown.append, report)]
        conclude(report, last, said.append)

    failed = RunReport(flow="nightly", flow_run="1", state="Failed", error="no space")
    end(failed)
    assert shown == [failed]
    assert said == failed.warnings
    assert "reports" in said[0]
    with pytest.raises(FileExistsError):
        end(RunReport(flow="nightly", flow_run="2", state="Completed"))
    assert len(shown) == 2
