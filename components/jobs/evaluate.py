"""Candidate and champion side by side on the held-out test split, in one go."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch import nn

from components.datasets.base import Split
from components.datasets.device_loader import DeviceSplit, to_device
from components.datasets.prepared import ImageCard, load_prepared
from components.errors import MissingMetricError, PromotionError, TrackingUnavailableError
from components.evaluation.classification import Subject, evaluate_classifier
from components.evaluation.report import EvaluationReport, reliability
from components.jobs.context import JobContext, registered_model
from components.jobs.records import standing_decision
from components.models.deployable import Reclassified
from components.tracking import figures
from components.tracking.base import (
    CALIBRATION,
    CHAMPION,
    CONFUSION_MATRIX,
    WORST_MISTAKES,
    ModelVersion,
    Tag,
    TrackedRun,
)
from components.training.precision import pick_device
from components.versioning.versions import DatasetVersion

CANDIDATE_REPORT = "evaluation/candidate.json"
CHAMPION_REPORT = "evaluation/champion.json"


@dataclass(frozen=True)
class EvaluationOutcome:
    """Where the reports are; `champion` is the version the candidate was compared with."""

    run: TrackedRun
    champion: ModelVersion | None
    skipped: str | None


def evaluate(context: JobContext, run: TrackedRun, data: DatasetVersion) -> EvaluationOutcome:
    """Evaluate a run's model and the present champion; store both reports with the run.

    Raises:
        PromotionError: If the champion cannot be loaded or evaluated.
        TrackingError: If the candidate cannot be loaded, or the server does not answer.
    """
    name = registered_model(data.name)
    champion = context.registry.by_alias(name, CHAMPION)
    version = context.registry.version_of_run(name, run.run_id)
    if version and standing_decision(version, data.version, context.policy(name)):
        reason = f"version {version.version} was evaluated on this data before"
        return EvaluationOutcome(run, champion, reason)
    prepared, device = load_prepared(data.directory), pick_device()
    card = prepared.card
    test = to_device(prepared.splits[Split.TEST], card.mean, card.std, device)
    subject = Subject(f"run {run.run_id}", data.name, data.version, card.class_names)
    model = context.registry.load_run(run.run_id).to(device)
    report, probabilities = evaluate_classifier(model, test, subject)
    _store(context, run, report, probabilities, test)
    if champion:
        incumbent = _evaluate_champion(context, champion, test, subject)
        context.tracker.log_text(run.run_id, CHAMPION_REPORT, incumbent.model_dump_json())
    return EvaluationOutcome(context.tracker.get(run.run_id), champion, None)


def _store(
    context: JobContext,
    run: TrackedRun,
    report: EvaluationReport,
    probabilities: npt.NDArray[np.float32],
    test: DeviceSplit,
) -> None:
    tracker, run_id = context.tracker, run.run_id
    tracker.log_metrics(run_id, {k: v for k, v in report.scalars() if v is not None}, step=0)
    tracker.log_figure(run_id, CONFUSION_MATRIX, figures.confusion_figure(report))
    curve = figures.reliability_diagram(reliability(probabilities, report.labels))
    tracker.log_figure(run_id, CALIBRATION, curve)
    images = test.images.cpu().numpy()
    mistakes = figures.worst_mistakes(report, probabilities, images)
    tracker.log_figure(run_id, WORST_MISTAKES, mistakes)
    tracker.log_text(run_id, CANDIDATE_REPORT, report.model_dump_json())


def _evaluate_champion(
    context: JobContext, champion: ModelVersion, test: DeviceSplit, subject: Subject
) -> EvaluationReport:
    label = f"{champion.name} version {champion.version}"
    try:
        model = context.registry.load(champion)
        model = _on_todays_data(context, champion, model, test, subject).to(test.images.device)
        named = Subject(label, subject.dataset, subject.dataset_version, subject.class_names)
        return evaluate_classifier(model, test, named)[0]
    except TrackingUnavailableError:  # says nothing about the champion; worth another attempt
        raise
    except Exception as error:
        raise PromotionError(
            f"champion {label}",
            got=f"{type(error).__name__}: {' '.join(str(error).split())[:200]}",
            wanted="a champion that loads and can be evaluated",
            remedy="Nothing is promoted until it does; point the alias at a version that loads.",
        ) from error


def _on_todays_data(
    context: JobContext,
    champion: ModelVersion,
    model: nn.Module,
    test: DeviceSplit,
    subject: Subject,
) -> nn.Module:
    """The champion as it is, or adapted if its data had other classes or another picture size."""
    trained_on = champion.tags.get(Tag.DATASET_VERSION)
    cards = {r.version: r.card for r in context.workspace.ledger.records(subject.dataset)}
    card = cards.get(str(trained_on))
    size = (test.images.shape[2], test.images.shape[3])
    if not isinstance(card, ImageCard):
        return model
    if card.class_names == subject.class_names and card.image_shape[1:] == size:
        return model
    return Reclassified(
        model, card.class_names, subject.class_names, (card.image_shape[1], card.image_shape[2])
    )


def read_report(context: JobContext, run: TrackedRun, path: str) -> EvaluationReport:
    """Read an evaluation report back from the run that owns it."""
    return EvaluationReport.model_validate_json(context.tracker.read_text(run.run_id, path))


def headline(run: TrackedRun) -> dict[str, float]:
    """The few metrics that a summary shows.

    Raises:
        MissingMetricError: If the run lacks one of them.
    """
    names = ("test_accuracy", "test_loss", "best_validation_accuracy", "training_seconds")
    for name in (*names, "best_epoch", "epochs"):
        if name not in run.metrics:
            raise MissingMetricError(
                f"metric {name} of run {run.name}",
                got="nothing",
                wanted="a value logged by an earlier step",
                remedy="Run the flow again with --set force=true.",
            )
    return {name: run.metrics[name] for name in (*names, "best_epoch", "epochs")}
