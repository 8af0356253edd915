"""A candidate beside today's champion for a person to look at; nothing is decided by it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from components.evaluation.report import AnyReport
from components.jobs.context import JobContext, kind_of, registered_model
from components.jobs.evaluate import examine_candidate, examine_champion
from components.promotion.difference import difference
from components.promotion.statistics import Difference
from components.tracking.base import CHAMPION, ModelVersion, TrackedRun
from components.versioning.versions import DatasetVersion


@dataclass(frozen=True)
class ComparisonOutcome:
    """What was found.

    Attributes:
        run: The candidate's, which owns the pictures.
        champion: None if there is none yet.
        examples: Of the test split.
        metrics: The candidate's, without those of single classes.
        champion_metrics: The same of the champion; empty without one, or if it is the candidate.
        difference: Between the two; None where there is nothing to compare.
        pictures: Name of a picture to where it lies in the run.
    """

    run: TrackedRun
    champion: ModelVersion | None
    examples: int
    metrics: Mapping[str, float]
    champion_metrics: Mapping[str, float] = field(default_factory=dict)
    difference: Difference | None = None
    pictures: Mapping[str, str] = field(default_factory=dict)
    skipped: str | None = None

    @property
    def is_champion(self) -> bool:
        """Whether the candidate is the champion itself."""
        return self.champion is not None and self.champion.run_id == self.run.run_id


def compare(context: JobContext, run: TrackedRun, data: DatasetVersion) -> ComparisonOutcome:
    """Examine a run's model and the present champion on the test split.

    Reports and pictures go into a folder of their own in the candidate's run: what a decision of
    the gate rests on, and what it will rest on, stays as it is.

    Raises:
        PromotionError: If the champion cannot be loaded or evaluated.
        TrackingError: If the candidate cannot be loaded, or the server does not answer.
    """
    from components.jobs.examiners import examiner_of

    kind = kind_of(run)
    champion = context.registry.by_alias(registered_model(data.name, kind), CHAMPION)
    folder = f"comparison/{data.version}-{champion.version if champion else 'none'}"
    examiner, tracker = examiner_of(kind, data), context.tracker
    examined = examine_candidate(context, run, data, examiner)
    reports, found = {"candidate": examined.report}, None
    if champion and champion.run_id != run.run_id:
        reports["champion"] = examine_champion(context, champion, data, examiner)
        found = difference(reports["candidate"], reports["champion"])
    drawn = examined.draw()
    for path, figure in drawn.items():
        tracker.log_figure(run.run_id, f"{folder}/{path}", figure)
    for who, report in reports.items():
        tracker.log_text(run.run_id, f"{folder}/{who}.json", report.model_dump_json())
    numbers = {who: _numbers(report) for who, report in reports.items()}
    return ComparisonOutcome(
        run,
        champion,
        examined.report.n,
        numbers["candidate"],
        numbers.get("champion", {}),
        found,
        {path: f"{folder}/{path}" for path in drawn},
    )


def _numbers(report: AnyReport) -> dict[str, float]:
    return {k: v for k, v in report.scalars() if v is not None and "/" not in k}
