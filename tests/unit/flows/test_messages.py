"""What people are told of a run depends on what this run did, and reads well on a phone."""

from __future__ import annotations

import pytest

from flows.messages import SUBJECT_LENGTH, body_of, events_of, subject_of
from flows.reports import DecisionReport, ModelReport, RunReport, StepReport

NAME = "nightly lenet on fashion_mnist"
LINKS = {"Prefect run": "http://p/1", "data card": "http://d/1", "MLflow run": "http://m/1"}


def report(*, promoted: bool | None = None, new: bool = True, **values: object) -> RunReport:
    """A run's report; `promoted` says what the gate decided, if it was asked."""
    if promoted is not None:
        values["decision"] = DecisionReport(
            promoted=promoted, reasons=("better by 0.012", "p = 0.00001"), evidence=(), new=new
        )
        values["model"] = ModelReport(
            name="fashion_mnist-classifier",
            version=4,
            alias="champion" if promoted else None,
            champion=4 if promoted else 3,
        )
    told = {"state": "Completed", "links": LINKS, "metrics": {"test_accuracy": 0.9234}}
    return RunReport.model_validate(
        {"flow": "nightly", "flow_run": "1", "name": NAME} | told | values
    )


SKIPPED = [StepReport(name="train", seconds=0, skipped="trained before")]
STORIES = {
    "promotion": (
        report(promoted=True),
        {"success", "promotion"},
        f"Promoted: fashion_mnist-classifier version 4 ({NAME})",
    ),
    "refusal": (
        report(promoted=False),
        {"success", "refusal"},
        f"Refused: fashion_mnist-classifier version 4 ({NAME})",
    ),
    "nothing to do": (
        report(promoted=True, new=False, steps=SKIPPED),
        {"success"},
        f"Completed: {NAME}, nothing changed",
    ),
    "no gate": (
        report(flow="data", name="data sprites"),
        {"success"},
        "Completed: data sprites",
    ),
    "failure": (
        report(state="Failed", error="port 4200: got taken"),
        {"failure"},
        f"Failed: {NAME}: port 4200: got taken",
    ),
    "failure after a promotion": (
        report(promoted=True, state="Failed", error="oh"),
        {"failure", "promotion"},
        f"Failed: {NAME}: oh",
    ),
    "death": (
        report(state="Crashed", error="its process was gone"),
        {"failure"},
        f"Crashed: {NAME}: its process was gone",
    ),
    "cancelled by a person": (report(state="Cancelled"), set(), None),
    "going on": (report(state="Running"), set(), None),
}


@pytest.mark.parametrize(("ended", "events", "subject"), STORIES.values(), ids=STORIES.keys())
def test_a_run_is_told_by_what_it_did(
    ended: RunReport, events: set[str], subject: str | None
) -> None:
    assert events_of(ended) == events
    assert subject is None or subject_of(ended) == subject


def test_a_decision_that_somebody_overtook_is_no_promotion() -> None:
    overtaken = report(promoted=True)
    overtaken.model = ModelReport(name="a", version=4, alias=None, champion=5)
    assert events_of(overtaken) == {"success", "refusal"}
    assert "Champion: version 5" in body_of(overtaken)


def test_a_subject_is_one_short_line() -> None:
    subject = subject_of(report(state="Failed", error="a long\nstory, " * 40))
    assert len(subject) <= SUBJECT_LENGTH
    assert "\n" not in subject
    assert subject.startswith(f"Failed: {NAME}: a long story")


def test_the_body_has_verdict_reasons_numbers_and_links() -> None:
    assert body_of(report(promoted=False, warnings=["BUNDLED SAMPLE"])) == (
        "Warning: BUNDLED SAMPLE\n\n"
        "Refused: fashion_mnist-classifier version 4\n"
        "- better by 0.012\n"
        "- p = 0.00001\n"
        "Champion: version 3\n"
        "test accuracy: 0.9234\n\n"
        "Prefect run: http://p/1\n"
        "MLflow run: http://m/1\n"
    )


def test_the_body_of_a_failure_has_the_whole_error() -> None:
    error = "port 4200: got taken, wanted a free port. " * 5
    assert body_of(report(state="Failed", error=error)).startswith(f"Error: {error}\n\n")


def test_an_old_decision_is_not_told_again() -> None:
    assert "version 4" not in body_of(report(promoted=True, new=False))
