"""Evaluating suites: each entry by itself, with tables of what was predicted."""

from __future__ import annotations

import hashlib
import re
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from uuid import uuid4

from components.datasets.base import Split, Text
from components.errors import ConfigError, NightforgeError, TrackingUnavailableError
from components.evaluation.resampling import Measured, Metric, measure
from components.jobs.context import JobContext
from components.jobs.references import resolve
from components.jobs.suite_data import SuiteData, open_data
from components.jobs.suite_entries import REGISTERED, TRAINED, SuiteEntry
from components.jobs.train import closed_if_it_fails
from components.text.tasks import EVALUATION_TASKS
from components.tracking.base import (
    PACKAGE,
    SUITES_EXPERIMENT,
    DatasetInput,
    RunSpec,
    RunStatus,
    Tag,
    TrackedRun,
)
from components.versioning.versions import DatasetVersion

if TYPE_CHECKING:
    from components.text.tasks.base import EvaluationTask, ModelFiles, Prediction, Predictor, Scores

SINGLE = 10  # examples predicted one by one, for the latency


@dataclass(frozen=True)
class Evaluated:
    """What became of one entry.

    Attributes:
        measured: All metrics of the task; empty if it could not be evaluated.
        missed: What is under its floor, for a person.
        error: Why it could not be evaluated.
        latency_ms: Median for one example at a time.
        throughput: Examples a second, in batches.
        place: Where the suite's MLflow run has what belongs to it.
    """

    entry: SuiteEntry
    place: str
    measured: Sequence[Measured] = ()
    missed: Sequence[str] = ()
    error: str | None = None
    examples: int = 0
    latency_ms: float = 0.0
    throughput: float = 0.0

    @property
    def verdict(self) -> str:
        """Passed, failed or not evaluated."""
        if self.error:
            return "not evaluated"
        return "failed" if self.missed else "passed"


@dataclass(frozen=True)
class SuiteOutcome:
    """A whole suite; its MLflow run has the tables of predictions."""

    run: TrackedRun
    evaluated: Sequence[Evaluated]
    skipped: str | None = None

    @property
    def verdict(self) -> str:
        """Passed or failed; not evaluated where nothing was."""
        if self.failures:
            return "failed"
        return "passed" if any(one.measured for one in self.evaluated) else "not evaluated"

    @property
    def failures(self) -> list[str]:
        """Why the suite has not passed; empty if it has."""
        return [
            line
            for one in self.evaluated
            for line in ([one.error] if one.error and one.entry.required else one.missed)
        ]


@dataclass
class _Bench:
    """Loads models and predicts, each model and each (model, task, data) once."""

    context: JobContext
    data: Mapping[str, DatasetVersion]
    trained: Mapping[str, TrackedRun]
    scratch: Path
    files: dict[str, ModelFiles] = field(default_factory=dict)
    predicted: dict[tuple[str, ...], tuple[SuiteData, Sequence[Prediction], float, float]] = field(
        default_factory=dict
    )

    def predict(
        self, entry: SuiteEntry, task: EvaluationTask
    ) -> tuple[SuiteData, Sequence[Prediction], float, float]:
        """Examples, predictions, seconds, and milliseconds for one example by itself."""
        read = (entry.limit, entry.labels, sorted(entry.columns.items()))
        key = (entry.task, entry.model, entry.data, str(read))
        if key not in self.predicted:
            data = open_data(entry.task, entry.data, entry.columns, entry.labels, task, self.data)
            data = data.first(entry.limit)
            predictor = task.open(self.model(entry.model), data.class_names)
            milliseconds = _latency(predictor, data.examples)
            start = time.perf_counter()
            said = predictor.predict(data.examples)
            self.predicted[key] = data, said, time.perf_counter() - start, milliseconds
        return self.predicted[key]

    def model(self, name: str) -> ModelFiles:
        """The files of a model, fetched if need be."""
        from components.text.sources import Source, open_source
        from components.text.tasks.base import ModelFiles

        if name not in self.files:
            if name.startswith(TRAINED):
                source = Source(name, self._fetched(self.trained[name].run_id, name))
            elif name.startswith(REGISTERED):
                version = resolve(self.context.registry, _reference(name))
                source = Source(name, self._fetched(version.run_id, name))
            else:
                source = open_source(name)
            self.files[name] = ModelFiles(source)
        return self.files[name]

    def _fetched(self, run_id: str, name: str) -> Path:
        try:
            return self.context.tracker.fetch_folder(run_id, PACKAGE, self.scratch / run_id)
        except TrackingUnavailableError:
            raise
        except NightforgeError as error:
            raise ConfigError(
                f"model {name}",
                got=f"no folder {PACKAGE} in its training run",
                wanted="a text model that transformers can load",
                remedy="Train an encoder, token_classifier, span_extractor, masked_lm, causal_lm "
                "or seq2seq; with network.encoder.train=prefix they have no such form.",
            ) from error


def _reference(name: str) -> str:
    """MLflow's models:/NAME@alias and models:/NAME/3 as this project writes them."""
    plain = name.removeprefix(REGISTERED)
    head, slash, number = plain.rpartition("/")
    return f"{head}:{number}" if slash else plain


def _latency(predictor: Predictor, examples: Sequence[Text]) -> float:
    """Median milliseconds of an example by itself, after one to warm up."""
    times = []
    for text in [examples[0], *examples[:SINGLE]]:
        start = time.perf_counter()
        predictor.predict([text])
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times[1:])


def evaluate_suite(
    context: JobContext,
    name: str,
    entries: Sequence[SuiteEntry],
    data: Mapping[str, DatasetVersion],
    trained: Mapping[str, TrackedRun],
    progress: Callable[[str], None],
) -> SuiteOutcome:
    """Evaluate all entries of a suite; one that cannot be evaluated does not stop the others.

    Args:
        context: Tracker and registry.
        name: Of the suite.
        entries: What is evaluated.
        data: Dataset name to its version.
        trained: Model, as the entries name it, to the run that trained it.
        progress: Told of each entry.

    Raises:
        TrackingUnavailableError: If the server does not answer.
    """
    run = context.tracker.start(_spec(context, name, entries, data, trained))
    with closed_if_it_fails(context.tracker, run), TemporaryDirectory() as scratch:
        bench = _Bench(context, data, trained, Path(scratch))
        found = []
        for entry, place in zip(entries, _places(entries), strict=True):
            one = _evaluate(bench, run.run_id, entry, place)
            progress(f"{entry.task}: {one.verdict}")
            found.append(one)
    outcome = SuiteOutcome(context.tracker.get(run.run_id), found)
    context.tracker.set_tags(run.run_id, {Tag.SUITE: name, Tag.VERDICT: outcome.verdict})
    context.tracker.finish(run.run_id, RunStatus.FINISHED)
    return outcome


def _evaluate(bench: _Bench, run_id: str, entry: SuiteEntry, place: str) -> Evaluated:
    task = EVALUATION_TASKS.get(entry.task)
    try:
        data, said, seconds, milliseconds = bench.predict(entry, task)
        scores = task.score(data.examples, said, data.class_names)
        metrics = [*scores.metrics, *_published(entry, said)]
        measured = [measure(metric) for metric in metrics]
        missed = _missed(entry, measured)
    except TrackingUnavailableError:
        raise
    except NightforgeError as error:
        return Evaluated(entry, place, error=f"{entry.task}: {error}")
    except Exception as error:  # what a strange model does to a library ends its own entry only
        said_ = " ".join(str(error).split())[:200]
        return Evaluated(entry, place, error=f"{entry.task}: {type(error).__name__}: {said_}")
    tracker = bench.context.tracker
    values = {f"{place}/{one.name}": one.value for one in measured}
    values |= {f"{place}/latency_ms": milliseconds, f"{place}/throughput": len(said) / seconds}
    tracker.log_metrics(run_id, values, step=0)
    tracker.set_tags(run_id, {f"{Tag.DATASET_VERSION}.{place}": data.version})
    rows = _table(data.examples, said, scores)
    tracker.log_table(run_id, f"{place}/predictions.json", rows)
    if scores.confusion:
        tracker.log_table(run_id, f"{place}/confusion.json", _confusion(scores.confusion))
    throughput = len(said) / seconds
    return Evaluated(entry, place, measured, missed, None, len(said), milliseconds, throughput)


def _places(entries: Sequence[SuiteEntry]) -> list[str]:
    """Task and data of each entry, with a number where several have the same."""
    found: list[str] = []
    for entry in entries:
        # MLflow's names of metrics know few characters.
        name = f"{entry.task}/{re.sub(r'[^A-Za-z0-9_. -]', '_', Path(entry.data).stem)}"
        again = sum(place.partition("#")[0] == name for place in found)
        found.append(f"{name}#{again + 1}" if again else name)
    return [place.replace("#", "-") for place in found]


def _published(entry: SuiteEntry, said: Sequence[Prediction]) -> list[Metric]:
    """Share of the predictions that are as the model's authors print them."""
    if not entry.published:
        return []
    if len(entry.published) != len(said):
        raise ConfigError(
            f"published of {entry.task} on {entry.data}",
            got=f"{len(entry.published)} predictions",
            wanted=f"one for each of its {len(said)} examples",
            remedy="Correct suites in params.yaml.",
        )
    pairs = zip(entry.published, said, strict=True)
    return [Metric.average("as_published", [float(one.fits(p.text, p.score)) for one, p in pairs])]


def _missed(entry: SuiteEntry, measured: Sequence[Measured]) -> list[str]:
    by_name = {one.name: one for one in measured}
    lines = []
    for name, floor in entry.floors.items():
        if name not in by_name:
            raise ConfigError(
                f"floor of {entry.task} on {entry.data}",
                got=name,
                wanted=f"one of its metrics: {', '.join(by_name)}",
                remedy="Correct suites in params.yaml.",
            )
        one = by_name[name]
        if not one.clears(floor):
            wanted = f"at {'most' if one.least else 'least'} {floor:g}"
            lines.append(
                f"{entry.task} on {entry.data}: {name} is {one.value:.4g}, wanted {wanted}"
            )
    return lines


def _table(
    examples: Sequence[Text], said: Sequence[Prediction], scores: Scores
) -> list[dict[str, str]]:
    """A row for each example, the worst first."""
    order = sorted(range(len(said)), key=lambda place: (scores.each[place], place))
    return [
        {
            "score": f"{scores.each[place]:.4f}",
            "text": examples[place].text,
            "second": examples[place].second,
            "expected": scores.expected[place],
            "predicted": said[place].text,
        }
        for place in order
    ]


def _confusion(confusion: Mapping[str, Mapping[str, int]]) -> list[dict[str, str]]:
    return [
        {"true class": true, **{name: str(count) for name, count in row.items()}}
        for true, row in confusion.items()
    ]


def _spec(
    context: JobContext,
    name: str,
    entries: Sequence[SuiteEntry],
    data: Mapping[str, DatasetVersion],
    trained: Mapping[str, TrackedRun],
) -> RunSpec:
    versions = {one.name: one.version for one in data.values()}
    read = {entry.data for entry in entries} & set(data)
    # MLflow refuses names with two slashes in a row.
    runs = {model.removeprefix(TRAINED): run.run_id for model, run in trained.items()}
    return RunSpec(
        experiment=SUITES_EXPERIMENT,
        name=f"{name}-{uuid4().hex[:8]}",
        fingerprint=uuid4().hex,
        params={"suite": name, "models": runs},
        tags=context.tags(),
        dataset=DatasetInput(
            name,
            hashlib.sha256(repr(sorted(versions.items())).encode()).hexdigest()[:32],
            "params.yaml",
            {"test": sum(data[name].counts[Split.TEST] for name in read)},
        ),
    )
