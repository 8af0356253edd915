"""Fills a run report from the outcomes of the jobs."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from components.datasets.base import Split
from components.evaluation.resampling import Measured
from components.evaluation.seeds import paired_difference
from components.jobs.compare import ComparisonOutcome
from components.jobs.context import kind_of
from components.jobs.data import DataOutcome
from components.jobs.evaluate import headline
from components.jobs.gate import GateOutcome
from components.jobs.promote import PromoteOutcome
from components.jobs.suites import Evaluated, SuiteOutcome
from components.jobs.sweep import StudyOutcome
from components.models.spec import SEQUENCE_KINDS, ModelKind
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

if TYPE_CHECKING:  # PyTorch takes its time, and not every run needs it
    from components.jobs.self_check import SelfCheck

# Not every kind of model has all of them.
FINAL = (
    "best_validation_accuracy",
    "best_validation_loss",
    "best_kernel_distance",
    "generalisation_gap",
    "best_epoch",
    "epochs",
    "trainable_parameters",
    "training_seconds",
)


SCRATCH = "scratch"  # a way of finetune: the encoder without its weights

# Of a candidate on the test split.
PICTURES: dict[ModelKind, dict[str, str]] = {
    ModelKind.CLASSIFIER: {"confusion matrix": CONFUSION_MATRIX, "worst mistakes": WORST_MISTAKES},
    ModelKind.TEXT_CLASSIFIER: {"confusion matrix": CONFUSION_MATRIX},
    **{kind: {} for kind in SEQUENCE_KINDS},
    ModelKind.IMAGE_GAN: {"samples": TEST_SAMPLES},
    ModelKind.POINT_GAN: {},
    ModelKind.REGRESSOR: {},
}


# What the difference of two models is of; positive where the candidate is better.
DIFFERENCES: dict[ModelKind, str] = {
    ModelKind.CLASSIFIER: "Accuracy above the champion's",
    ModelKind.TEXT_CLASSIFIER: "Accuracy above the champion's",
    **dict.fromkeys(SEQUENCE_KINDS, "Share of wrong positions below the champion's"),
    ModelKind.IMAGE_GAN: "Squared kernel distance below the champion's",
    ModelKind.POINT_GAN: "Squared kernel distance below the champion's",
    ModelKind.REGRESSOR: "Test error below the champion's",
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


def describe_ways(report: PartReport, found: Mapping[str, Sequence[TrackedRun]]) -> None:
    """What each way of training came to: the mean over its seeds, and how far they differ."""
    report.tables["ways"] = [
        {
            "way": way,
            "validation accuracy": _spread(runs, "best_validation_accuracy"),
            "trainable parameters": f"{runs[0].metrics['trainable_parameters']:,.0f}",
            "seconds": _spread(runs, "training_seconds", digits=1),
            "seeds": str(len(runs)),
        }
        for way, runs in found.items()
    ]
    scratch = found.get(SCRATCH, ())
    if len(scratch) > 1:
        report.tables["above scratch"] = [
            _above(way, runs, scratch) for way, runs in found.items() if way != SCRATCH
        ]


def _above(way: str, runs: Sequence[TrackedRun], scratch: Sequence[TrackedRun]) -> dict[str, str]:
    """How much better than the same network without its weights, seed by seed."""
    ours, theirs = (
        [run.metrics["best_validation_accuracy"] for run in each] for each in (runs, scratch)
    )
    found = paired_difference(ours, theirs)
    return {
        "way": way,
        "validation accuracy above": f"{found.mean:+.4f}",
        "95 % interval": f"{found.low:+.4f} to {found.high:+.4f}",
        "seeds": str(found.n),
    }


def describe_suite(report: PartReport, outcome: SuiteOutcome, tracker: Tracker) -> None:
    """What became of each entry, a table for each, and where its predictions are."""
    report.links["MLflow run"] = outcome.run.url
    report.tables["suite"] = [
        {
            "task": one.entry.task,
            "model": one.entry.model,
            "data": one.entry.data,
            "verdict": one.verdict,
            "examples": f"{one.examples:,}",
            "ms each": f"{one.latency_ms:.1f}",
            "examples/s": f"{one.throughput:.1f}",
        }
        for one in outcome.evaluated
    ]
    for one in outcome.evaluated:
        title = f"{one.entry.task}: {one.place.partition('/')[2]}"
        if one.error:
            report.warnings.append(f"not evaluated: {one.error}")
            continue
        report.tables[title] = [
            {
                "metric": metric.name,
                "value": f"{metric.value:.4g}",
                "95 % interval": f"{metric.low:.4g} to {metric.high:.4g}",
                "floor": _floor(one.entry.floors.get(metric.name), least=metric.least),
                "cleared": _cleared(one, metric),
            }
            for metric in one.measured
        ]
        path = f"{one.place}/predictions.json"
        report.links[f"predictions of {title}"] = tracker.artifact_page(outcome.run, path)


def _floor(floor: float | None, *, least: bool) -> str:
    return "" if floor is None else f"{'at most' if least else 'at least'} {floor:g}"


def _cleared(one: Evaluated, metric: Measured) -> str:
    floor = one.entry.floors.get(metric.name)
    return "" if floor is None else "yes" if metric.clears(floor) else "NO"


def _spread(runs: Sequence[TrackedRun], metric: str, digits: int = 4) -> str:
    """Mean, and standard deviation where there are several."""
    values = [run.metrics[metric] for run in runs]
    mean = f"{statistics.fmean(values):.{digits}f}"
    return f"{mean} ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else mean


def describe_candidate(report: PartReport, run: TrackedRun, tracker: Tracker) -> None:
    """The headline metrics, pictures, and where to see the rest."""
    _show_run(report, run, tracker)
    for what, path in PICTURES[kind_of(run)].items():
        report.pictures[what] = tracker.artifact_url(run.run_id, path)
    report.metrics |= headline(run)


def describe_comparison(report: PartReport, found: ComparisonOutcome, tracker: Tracker) -> None:
    """The candidate's numbers beside the champion's, the pictures, and where to see the rest."""
    _show_run(report, found.run, tracker)
    for what, path in PICTURES[kind_of(found.run)].items():
        report.pictures[what] = tracker.artifact_url(found.run.run_id, found.pictures[path])
    report.metrics |= found.metrics
    report.metrics |= {f"champion_{name}": value for name, value in found.champion_metrics.items()}
    report.notes += _verdict(found)
    if found.champion:
        report.links["MLflow champion"] = found.champion.url


def _verdict(found: ComparisonOutcome) -> list[str]:
    if found.champion is None:
        return ["There is no champion yet to compare with."]
    champion = f"version {found.champion.version}, the champion"
    if found.is_champion:
        return [f"The candidate is {champion}."]
    lines = [f"Compared with {champion}, on {found.examples:,} test examples; nothing was decided."]
    if found.difference is None:
        return [*lines, "A metric is missing or not finite, so there is no difference to state."]
    what = DIFFERENCES[kind_of(found.run)]
    value, low, high = found.difference.value, found.difference.low, found.difference.high
    return [*lines, f"{what}: {value:+.4g} (95 % interval {low:+.4g} to {high:+.4g})."]


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
