"""Fills a run report from the outcomes of the jobs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from components.datasets.base import Split
from components.jobs.context import kind_of
from components.jobs.data import DataOutcome
from components.jobs.evaluate import headline
from components.jobs.gate import GateOutcome
from components.jobs.promote import PromoteOutcome
from components.jobs.self_check import SelfCheck
from components.jobs.sweep import StudyOutcome
from components.models.spec import ModelKind
from components.tracking.base import (
    CHAMPION,
    CONFUSION_MATRIX,
    INCUMBENT,
    LEARNING_CURVES,
    STUDY_PAGE,
    TEST_SAMPLES,
    TRIAL_CURVES,
    WORST_MISTAKES,
    TrackedRun,
    Tracker,
)
from components.tuning.space import short
from components.tuning.study import Study
from components.tuning.trial import Trial, TrialStatus
from flows.reports import DatasetReport, DecisionReport, ModelReport, PartReport

# Not every kind of model has all of them.
FINAL = (
    "best_validation_accuracy",
    "best_validation_loss",
    "best_kernel_distance",
    "generalisation_gap",
    "best_epoch",
    "epochs",
    "training_seconds",
)


# Of a candidate on the test split.
PICTURES: dict[ModelKind, dict[str, str]] = {
    ModelKind.CLASSIFIER: {"confusion matrix": CONFUSION_MATRIX, "worst mistakes": WORST_MISTAKES},
    ModelKind.IMAGE_GAN: {"samples": TEST_SAMPLES},
    ModelKind.POINT_GAN: {},
    ModelKind.REGRESSOR: {},
}


def describe_self_check(report: PartReport, check: SelfCheck) -> None:
    """What was computed; the limits stand beside the values."""
    report.metrics = {
        f"{finding.what} (at most {finding.limit:g})": finding.value for finding in check.findings
    }


def describe_data(report: PartReport, outcome: DataOutcome) -> None:
    """Which data, from where, and whether they are only a sample."""
    data = outcome.dataset
    report.dataset = DatasetReport(
        name=data.name,
        version=data.version,
        source=data.source,
        sample=data.sample,
        train=data.counts[Split.TRAIN],
        validation=data.counts[Split.VALIDATION],
        test=data.counts[Split.TEST],
        change=str(data.change) if data.change else None,
    )
    report.links["data card"] = outcome.card_url
    report.warnings.extend(outcome.warnings)


def describe_training(report: PartReport, run: TrackedRun, tracker: Tracker) -> None:
    """Where to see the run, how it learned, and its final numbers."""
    _show_run(report, run, tracker)
    report.metrics |= {name: run.metrics[name] for name in FINAL if name in run.metrics}


def _show_run(report: PartReport, run: TrackedRun, tracker: Tracker) -> None:
    report.links["MLflow run"] = run.url
    report.pictures["learning curves"] = tracker.artifact_url(run.run_id, LEARNING_CURVES)


def describe_candidate(report: PartReport, run: TrackedRun, tracker: Tracker) -> None:
    """The headline metrics, pictures, and where to see the rest."""
    _show_run(report, run, tracker)
    for what, path in PICTURES[kind_of(run)].items():
        report.pictures[what] = tracker.artifact_url(run.run_id, path)
    report.metrics |= headline(run)


def describe_study(report: PartReport, outcome: StudyOutcome, tracker: Tracker) -> None:
    """What the study found, its pictures, and where every trial can be seen."""
    report.links["MLflow study"] = outcome.run.url
    report.links["every trial"] = tracker.artifact_page(outcome.run, STUDY_PAGE)
    report.metrics |= study_numbers(outcome)
    report.pictures["best so far"] = tracker.artifact_url(outcome.run.run_id, INCUMBENT)
    report.pictures["every trial"] = tracker.artifact_url(outcome.run.run_id, TRIAL_CURVES)


def study_numbers(outcome: StudyOutcome) -> dict[str, float]:
    """Best value, and what it cost."""
    trials = outcome.trials
    return {
        f"best_{outcome.study.metric}": outcome.study.best_value(outcome.best),
        "best_trial": outcome.best.number,
        "trials": len(trials),
        "failed_trials": sum(trial.status is TrialStatus.FAILED for trial in trials),
        "epochs": sum(len(trial.curve) for trial in trials),
        "study_seconds": max(max(trial.times, default=0.0) for trial in trials),
    }


def trial_rows(study: Study, trials: Sequence[Trial]) -> list[dict[str, Any]]:
    """A row for each trial, the best first, those without a result last."""

    def rank(trial: Trial) -> float:
        return -study.best_score(trial) if trial.curve else math.inf

    return [
        {
            "trial": trial.number,
            "status": str(trial.status),
            "epochs": len(trial.curve),
            f"best {study.metric}": f"{study.best_value(trial):.4f}" if trial.curve else "",
            **{name: short(value) for name, value in sorted(trial.config.items())},
            "reason": trial.reason or "",
        }
        for trial in sorted(trials, key=rank)
    ]


def describe_decision(report: PartReport, gated: GateOutcome, promoted: PromoteOutcome) -> None:
    """The decision, its evidence, and who is champion now."""
    decision, version, champion = gated.decision, gated.version, promoted.champion
    is_champion = champion is not None and champion.version == version.version
    report.decision = DecisionReport(
        promoted=decision.promoted,
        reasons=decision.reasons,
        evidence=decision.evidence,
        new=gated.skipped is None or promoted.skipped is None,
    )
    report.model = ModelReport(
        name=version.name,
        version=version.version,
        alias=CHAMPION if is_champion else None,
        champion=champion.version if champion else None,
    )
    report.links["MLflow model"] = version.url
