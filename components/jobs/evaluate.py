"""Candidate and champion side by side on the held-out test split, in one go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from components.datasets.prepared import ImageCard
from components.errors import MissingMetricError, PromotionError, TrackingUnavailableError
from components.evaluation.report import AnyReport, parse_report
from components.jobs.context import JobContext, kind_of, registered_model
from components.jobs.records import anchor_of, evidence_path, standing_decision
from components.models.spec import SEQUENCE_KINDS, ModelKind
from components.tracking.base import CHAMPION, ModelVersion, Tag, TrackedRun
from components.versioning.versions import DatasetVersion

if TYPE_CHECKING:  # PyTorch takes its time, and not every run needs it
    from components.jobs.examiners import Examined, Examiner

CANDIDATE_REPORT = "evaluation/candidate.json"
CHAMPION_REPORT = "evaluation/champion.json"
ANCHOR_REPORT = "evaluation/anchor.json"

# What a summary shows of a run.
_HEADLINES = {
    ModelKind.CLASSIFIER: ("test_accuracy", "test_loss", "best_validation_accuracy"),
    ModelKind.TEXT_CLASSIFIER: ("test_accuracy", "test_loss", "best_validation_accuracy"),
    ModelKind.REGRESSOR: ("test_error", "best_validation_loss"),
    **dict.fromkeys(SEQUENCE_KINDS, ("test_error", "best_validation_accuracy")),
    ModelKind.IMAGE_GAN: ("test_kernel_distance", "best_kernel_distance"),
    ModelKind.POINT_GAN: ("test_kernel_distance", "best_kernel_distance"),
}


@dataclass(frozen=True)
class EvaluationOutcome:
    """Where the reports are; `champion` is the version the candidate was compared with."""

    run: TrackedRun
    champion: ModelVersion | None
    skipped: str | None


def evaluate(context: JobContext, run: TrackedRun, data: DatasetVersion) -> EvaluationOutcome:
    """Evaluate a run's model and the present champion; store the reports with the run.

    Under the goal "cheaper" the anchor is evaluated, too.

    Raises:
        PromotionError: If the champion cannot be loaded or evaluated.
        TrackingError: If the candidate cannot be loaded, or the server does not answer.
    """
    kind = kind_of(run)
    name = registered_model(data.name, kind)
    policy, champion = context.policy(name), context.registry.by_alias(name, CHAMPION)
    version = context.registry.version_of_run(name, run.run_id)
    if version and standing_decision(version, data.version, policy):
        reason = f"version {version.version} was evaluated on this data before"
        return EvaluationOutcome(run, champion, reason)
    from components.jobs.examiners import examiner_of

    examiner, tracker = examiner_of(kind, data), context.tracker
    examined = examine_candidate(context, run, data, examiner)
    scalars = {k: v for k, v in examined.report.scalars() if v is not None}
    tracker.log_metrics(run.run_id, scalars, step=0)
    for path, figure in examined.draw().items():
        tracker.log_figure(run.run_id, path, figure)
    reports = {CANDIDATE_REPORT: examined.report}
    if champion:
        for path, incumbent in incumbents(context, champion, policy.goal).items():
            reports[path] = examine_champion(context, incumbent, data, examiner)
    for path, report in reports.items():
        path = evidence_path(run, data.version, path)
        tracker.log_text(run.run_id, path, report.model_dump_json())
    return EvaluationOutcome(tracker.get(run.run_id), champion, None)


def incumbents(
    context: JobContext, champion: ModelVersion, goal: str
) -> Mapping[str, ModelVersion]:
    """Whom a candidate is compared with, by the artifact that holds the report."""
    found = {CHAMPION_REPORT: champion}
    if goal == "cheaper":
        found[ANCHOR_REPORT] = anchor_of(context.registry, champion)
    return found


def examine_candidate(
    context: JobContext, run: TrackedRun, data: DatasetVersion, examiner: Examiner
) -> Examined:
    """Examine the model of a run, which may have been trained on earlier data.

    Raises:
        TrackingError: If it cannot be loaded.
    """
    model = context.registry.load_run(run.run_id)
    card = _trained_on(context, run.tags, data)
    return examiner.examine(model, f"run {run.run_id}", run.tags, card)


def examine_champion(
    context: JobContext, version: ModelVersion, data: DatasetVersion, examiner: Examiner
) -> AnyReport:
    """Examine a version that a candidate is compared with.

    Raises:
        PromotionError: If it cannot be loaded or evaluated.
        TrackingUnavailableError: If the server does not answer.
    """
    label = f"{version.name} version {version.version}"
    try:
        model, card = context.registry.load(version), _trained_on(context, version.tags, data)
        return examiner.examine(model, label, version.tags, card).report
    except TrackingUnavailableError:  # says nothing about the champion; worth another attempt
        raise
    except Exception as error:
        raise PromotionError(
            f"champion {label}",
            got=f"{type(error).__name__}: {' '.join(str(error).split())[:200]}",
            wanted="a champion that loads and can be evaluated",
            remedy="Nothing is promoted until it does. `nightforge registry "
            f"{version.name}` lists the versions, `nightforge rollback` makes another champion.",
        ) from error


def _trained_on(
    context: JobContext, tags: Mapping[str, str], data: DatasetVersion
) -> ImageCard | None:
    """The card of the images that a run or version was trained on, if they are known."""
    trained_on = tags.get(Tag.DATASET_VERSION)
    cards = {r.version: r.card for r in context.workspace.ledger.records(data.name)}
    card = cards.get(str(trained_on))
    return card if isinstance(card, ImageCard) else None


def read_report(context: JobContext, run_id: str, path: str) -> AnyReport:
    """Read an evaluation report back from the run that owns it.

    Raises:
        TrackingError: If there is none.
    """
    return parse_report(context.tracker.read_text(run_id, path))


def headline(run: TrackedRun) -> dict[str, float]:
    """The few metrics that a summary shows.

    Raises:
        MissingMetricError: If the run lacks one of them.
    """
    names = (*_HEADLINES[kind_of(run)], "training_seconds", "best_epoch", "epochs")
    for name in names:
        if name not in run.metrics:
            raise MissingMetricError(
                f"metric {name} of run {run.name}",
                got="nothing",
                wanted="a value logged by an earlier step",
                remedy="Run the flow again with --set force=true.",
            )
    return {name: run.metrics[name] for name in names}
