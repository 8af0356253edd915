"""Suites over small models: floors, tables, models by name, and data that cannot be used."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file, save_file

from components.datasets.base import Text, TextTask
from components.errors import (
    ConfigError,
    DataError,
    NightforgeError,
    TrackingUnavailableError,
)
from components.jobs.context import JobContext
from components.jobs.suite_data import open_data
from components.jobs.suite_entries import SuiteEntry, suite
from components.jobs.suites import SuiteOutcome, evaluate_suite
from components.settings import Settings
from components.text.sources import open_source
from components.text.tasks import EVALUATION_TASKS
from components.text.tasks.base import ModelFiles
from components.tracking.base import PACKAGE, RunStatus, Tag, TrackedRun
from components.tracking.memory import MemoryRegistry, MemoryTracker
from tests.texts import EXAMPLES
from tests.tiny_models import save_for

SENTIMENT = "sentiment-analysis"


@pytest.fixture
def context(tmp_path: Path) -> JobContext:
    open_source.cache_clear()
    tracker = MemoryTracker()
    return JobContext(Settings(home=tmp_path / "home"), tracker, MemoryRegistry(tracker))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return save_for(SENTIMENT, tmp_path / "model")


Write = Callable[..., Path]


@pytest.fixture
def lines(tmp_path: Path) -> Write:
    def write(*rows: object, name: str = "data.jsonl") -> Path:
        path = tmp_path / name
        text = "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows)
        path.write_text(text, encoding="utf-8")
        return path

    return write


def rows(task: TextTask = TextTask.CLASSIFICATION) -> list[dict[str, Any]]:
    return [{k: v for k, v in vars(text).items() if v} for text in EXAMPLES[task]]


def entry(model: object, data: object, task: str = SENTIMENT, **changes: Any) -> SuiteEntry:
    changes.setdefault("floors", {"accuracy": 0.0})
    return SuiteEntry(task=task, model=str(model), data=str(data), **changes)


def run(context: JobContext, *entries: SuiteEntry, **trained: TrackedRun) -> SuiteOutcome:
    return evaluate_suite(context, "mine", entries, {}, trained, lambda text: None)


def test_a_floor_decides_and_the_tables_say_why(
    context: JobContext, model: Path, lines: Write
) -> None:
    data = lines(*rows())
    fine, strict = entry(model, data), entry(model, data, floors={"accuracy": 0.99, "f1": 0.99})
    outcome = run(context, fine, strict)
    assert [one.verdict for one in outcome.evaluated] == ["passed", "failed"]
    assert len(outcome.failures) == 2
    assert "accuracy is 0." in outcome.failures[0]
    assert "wanted at least 0.99" in outcome.failures[0]
    tracker = context.tracker
    assert isinstance(tracker, MemoryTracker)
    kept = tracker.get(outcome.run.run_id)
    assert kept.status is RunStatus.FINISHED
    assert kept.tags[Tag.VERDICT] == "failed"
    place = f"{SENTIMENT}/data"
    accuracy = outcome.evaluated[0].measured[0]
    assert kept.metrics[f"{place}/accuracy"] == accuracy.value
    assert accuracy.low <= accuracy.value <= accuracy.high
    table = json.loads(tracker.read_text(kept.run_id, f"{place}/predictions.json"))
    assert [float(row["score"]) for row in table] == sorted(float(row["score"]) for row in table)
    assert {row["text"] for row in table} == {
        text.text for text in EXAMPLES[TextTask.CLASSIFICATION]
    }
    confusion = json.loads(tracker.read_text(kept.run_id, f"{place}/confusion.json"))
    assert sum(int(row[name]) for row in confusion for name in ("bad", "good")) == 4
    assert kept.metrics[f"{place}/throughput"] > 0 < kept.metrics[f"{place}/latency_ms"]


def test_a_broken_model_fails_the_floor_that_it_cleared(
    context: JobContext, model: Path, lines: Write
) -> None:
    said = "good" if _always(context, model, lines) == "good" else "bad"
    data = lines(
        *({"text": f"text {n}", "label": said} for n in range(10)),
        {"text": "x", "label": "bad"},
        {"text": "y", "label": "good"},
    )
    floors = {"accuracy": 0.9}
    assert not run(context, entry(model, data, floors=floors)).failures
    weights = load_file(model / "model.safetensors")
    for name in ("classifier.weight", "classifier.bias"):
        weights[name] = -weights[name]
    save_file(weights, model / "model.safetensors", metadata={"format": "pt"})
    open_source.cache_clear()
    [failure] = run(context, entry(model, data, floors=floors)).failures
    assert "accuracy is 0." in failure


def _always(context: JobContext, model: Path, lines: Write) -> str:
    """The label that a small model of random weights gives to everything, by a sure bias."""
    weights = load_file(model / "model.safetensors")
    weights["classifier.bias"] = torch.tensor([0.0, 5.0])
    save_file(weights, model / "model.safetensors", metadata={"format": "pt"})
    return "good"


def test_a_metric_that_the_task_has_not_is_named(
    context: JobContext, model: Path, lines: Write
) -> None:
    [one] = run(context, entry(model, lines(*rows()), floors={"bleu": 1})).evaluated
    assert one.verdict == "not evaluated"
    assert "accuracy, precision, recall, f1" in str(one.error)


def test_what_cannot_be_evaluated_fails_only_if_it_is_required(
    context: JobContext, lines: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    data = lines(*rows())
    needed, wished = entry("some/model@abc", data), entry("some/model@abc", data, required=False)
    outcome = run(context, wished)
    assert outcome.evaluated[0].verdict == "not evaluated"
    assert outcome.failures == []
    assert outcome.verdict == "not evaluated"
    [failure] = run(context, needed).failures
    assert "hf download some/model --revision abc" in failure
    hub = entry(save_for(SENTIMENT, tmp_path / "m"), "hub://some/data@abc/test.jsonl")
    [failure] = run(context, hub).failures
    assert "hf download some/data test.jsonl --repo-type dataset --revision abc" in failure


def test_what_was_published_is_compared(context: JobContext, model: Path, lines: Write) -> None:
    data = lines(*rows()[:2])
    predictor = EVALUATION_TASKS.get(SENTIMENT).open(
        ModelFiles(open_source(str(model))), ("bad", "good")
    )
    said = predictor.predict([Text(row["text"]) for row in rows()[:2]])
    right = [{"text": one.text, "score": round(one.score, 4)} for one in said]
    wrong = [right[0], right[1] | {"score": 0.0123}]
    floors = {"as_published": 1}
    fine, other = (entry(model, data, published=one, floors=floors) for one in (right, wrong))
    outcome = run(context, fine, other)
    assert [one.verdict for one in outcome.evaluated] == ["passed", "failed"]
    assert [one.place for one in outcome.evaluated] == [f"{SENTIMENT}/data", f"{SENTIMENT}/data-2"]
    [failure] = run(context, entry(model, data, published=right[:1])).failures
    assert "one for each of its 2 examples" in failure


def test_a_library_that_fails_ends_one_entry_only(
    context: JobContext, model: Path, lines: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    from components.text.tasks.sentiment_analysis import SentimentAnalysis

    def broken(self: SentimentAnalysis, examples: object) -> object:
        raise IndexError("index out of range in self")

    monkeypatch.setattr(SentimentAnalysis, "predict", broken)
    [failure] = run(context, entry(model, lines(*rows()))).failures
    assert failure == f"{SENTIMENT}: IndexError: index out of range in self"


def test_a_run_that_is_broken_off_is_closed(
    context: JobContext, model: Path, lines: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracker = context.tracker
    assert isinstance(tracker, MemoryTracker)

    def unreachable(*arguments: object, **options: object) -> None:
        raise TrackingUnavailableError("MLflow", got="nothing", wanted="an answer", remedy="Wait.")

    monkeypatch.setattr(tracker, "log_table", unreachable)
    with pytest.raises(TrackingUnavailableError):
        run(context, entry(model, lines(*rows(), name="a (1).jsonl")))
    assert tracker.running() == []


def test_entries_that_read_a_file_in_other_ways_are_evaluated_each(
    context: JobContext, model: Path, lines: Write
) -> None:
    data = lines({"text": "a", "other": "much longer", "label": "bad"})
    one, two = (entry(model, data, columns={"text": name}) for name in ("text", "other"))
    assert isinstance(context.tracker, MemoryTracker)
    outcome = run(context, one, two)
    tables = [
        json.loads(context.tracker.read_text(outcome.run.run_id, f"{each.place}/predictions.json"))
        for each in outcome.evaluated
    ]
    assert [table[0]["text"] for table in tables] == ["a", "much longer"]


def test_one_pass_serves_all_entries_of_a_model_and_data(
    context: JobContext, model: Path, lines: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    from components.text.tasks.sentiment_analysis import SentimentAnalysis

    passes: list[int] = []
    whole = SentimentAnalysis.predict

    def counted(self: SentimentAnalysis, examples: Any) -> Any:
        passes.append(len(examples))
        return whole(self, examples)

    monkeypatch.setattr(SentimentAnalysis, "predict", counted)
    data = lines(*rows())
    run(context, entry(model, data), entry(model, data, floors={"f1": 0.1}))
    assert passes.count(4) == 1


def test_models_by_training_run_and_by_alias(
    context: JobContext, model: Path, lines: Write, make_run: Callable[[], TrackedRun]
) -> None:
    trained = make_run()
    context.tracker.log_folder(trained.run_id, PACKAGE, model)
    context.tracker.log_model(trained.run_id, torch.nn.Identity(), torch.zeros(2, 3).numpy())
    version = context.registry.register("mine-classifier", trained.run_id, {})
    context.registry.set_alias("mine-classifier", "champion", version.version)
    data, folder = lines(*rows()), model
    names = ["train://toy/encoder", "models:/mine-classifier@champion", "models:/mine-classifier/1"]
    outcome = run(
        context,
        *(entry(name, data) for name in [*names, folder]),
        **{"train://toy/encoder": trained},
    )
    values = [[one.value for one in each.measured] for each in outcome.evaluated]
    assert values[0]
    assert all(value == values[0] for value in values)
    bare = make_run()
    [failure] = run(context, entry(names[0], data), **{names[0]: bare}).failures
    assert "no folder transformers in its training run" in failure


@pytest.fixture
def make_run(context: JobContext) -> Callable[[], TrackedRun]:
    from components.tracking.base import DatasetInput, RunSpec

    def make() -> TrackedRun:
        data = DatasetInput("toy", "0", "here", {})
        return context.tracker.start(RunSpec("toy", "toy", "f" * 32, {}, {}, data))

    return make


NER, QA, MASK = "ner", "question-answering", "fill-mask"
BAD: list[tuple[str, object, str]] = [
    (SENTIMENT, {"text": "", "label": "good"}, "line 2 of data.jsonl: got an empty text"),
    (SENTIMENT, {"text": "a" * 100_000, "label": "good"}, "line 2 .* 100,000 characters"),
    (
        SENTIMENT,
        {"text": "x", "label": "great"},
        "line 2 .* unknown label 'great'; known are bad, good",
    ),
    (SENTIMENT, {"text": "x", "lable": "good"}, "line 2 .*'lable'"),
    (SENTIMENT, {"text": 3, "label": "good"}, "line 2 .* strings under text"),
    (SENTIMENT, "{not json", "line 2 .* one JSON object"),
    (SENTIMENT, "[1, 2]", "line 2 .* a JSON object"),
    (NER, {"text": "Ada", "spans": [[0, 9, "PER"]]}, "line 2 .* outside the text"),
    (NER, {"text": "Ada", "spans": [[0, 2]]}, "line 2 .* spans such as"),
    (QA, {"text": "who?"}, "line 2 .* no second text"),
]


@pytest.mark.parametrize(("task", "bad", "words"), BAD, ids=lambda value: str(value)[:30])
def test_an_unusable_example_is_named(task: str, bad: object, words: str, lines: Write) -> None:
    spec = EVALUATION_TASKS.get(task)
    good = next(iter(rows(spec.data[0])))
    labels = ("bad", "good") if task == SENTIMENT else ()
    with pytest.raises(DataError, match=words):
        open_data(task, str(lines(good, bad)), {}, labels, spec, {})


def test_bytes_that_are_no_text_are_named(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    path.write_bytes(b'{"text": "x", "label": "a"}\n{"text": "caf\xe9", "label": "a"}\n')
    with pytest.raises(DataError, match=r"line 2 of data\.jsonl.*0xe9 at byte 13.*UTF-8"):
        open_data(SENTIMENT, str(path), {}, (), EVALUATION_TASKS.get(SENTIMENT), {})


def test_a_text_without_a_mask_is_named(context: JobContext, tmp_path: Path, lines: Write) -> None:
    model, data = save_for(MASK, tmp_path / "masked"), lines({"text": "no mask", "label": "x"})
    [failure] = run(context, entry(model, data, MASK, floors={"hit_at_1": 0})).failures
    assert "example 1" in failure
    assert "0 places to fill in 'no mask'" in failure
    fine = lines({"text": "one [MASK] here", "label": "x"})
    assert not run(context, entry(model, fine, MASK, floors={"hit_at_1": 0})).failures


def test_a_table_of_the_hub_may_name_its_columns(tmp_path: Path) -> None:
    path = tmp_path / "test.parquet"
    table = {"sentence": ["fine", "dull"], "label": [1, 0], "idx": [0, 1]}
    pq.write_table(pa.table(table), path)
    spec = EVALUATION_TASKS.get(SENTIMENT)
    found = open_data(SENTIMENT, str(path), {"text": "sentence"}, ("bad", "good"), spec, {})
    assert list(found.examples) == [Text("fine", "good"), Text("dull", "bad")]


def damaged(model: Path) -> None:
    file = model / "model.safetensors"
    file.write_bytes(file.read_bytes()[:500])


def pickled(model: Path) -> None:
    (model / "model.safetensors").rename(model / "pytorch_model.bin")


def without_tokeniser(model: Path) -> None:
    for file in model.glob("token*"):
        file.unlink()


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (damaged, "unreadable weights in .*model.safetensors"),
        (pickled, "only pytorch_model.bin"),
        (without_tokeniser, "no tokeniser"),
    ],
)
def test_an_unusable_model_is_named(
    context: JobContext, model: Path, lines: Write, harm: Callable[[Path], None], words: str
) -> None:
    harm(model)
    outcome = run(context, entry(model, lines(*rows())))
    with pytest.raises(AssertionError, match=words):
        raise AssertionError(outcome.failures)


def test_other_labels_and_other_tasks_are_refused(
    context: JobContext, model: Path, lines: Write, tmp_path: Path
) -> None:
    other = lines({"text": "x", "label": "sport"}, name="other.jsonl")
    [failure] = run(context, entry(model, other)).failures
    assert "wanted one for sport" in failure
    ner = lines(*rows(TextTask.TOKENS), name="ner.jsonl")
    [failure] = run(context, entry(model, ner, NER, floors={"f1": 0})).failures
    assert "a model trained for AutoModelForTokenClassification" in failure
    zero = entry(model, lines(*rows()), "zero-shot-classification")
    [failure] = run(context, zero).failures
    assert "an entailment model" in failure


def test_suites_of_params_yaml_are_checked(tmp_path: Path) -> None:
    def written(text: str) -> Settings:
        (tmp_path / "params.yaml").write_text(text, encoding="utf-8")
        return Settings(home=tmp_path, params_file=tmp_path / "params.yaml")

    one = "{task: ner, model: minilm, data: x.jsonl, floors: {f1: 1}}"
    assert suite(written(f"suites: {{mine: [{one}]}}"), "mine")[0].task == "ner"
    for text, name, words in (
        (f"suites: {{mine: [{one}]}}", "yours", "mine"),
        ("suites: {mine: [{task: nre, model: a, data: b, floors: {f1: 1}}]}", "mine", "ner"),
        (
            "suites: {mine: [{task: ner, model: 'train://x', data: b, floors: {f1: 1}}]}",
            "mine",
            "DATASET/MODEL",
        ),
        ("suites: {mine: [{task: ner, model: a, data: b, floors: {}}]}", "mine", "floors"),
        ("suites: {mine: [{task: ner, model: a, data: b}]}", "mine", "floors"),
    ):
        with pytest.raises((ConfigError, NightforgeError), match=words):
            suite(written(text), name)


def test_the_suites_of_the_project_are_usable() -> None:
    entries = suite(Settings(), "offline")
    assert {one.task for one in entries} == set(EVALUATION_TASKS)
    for one in suite(Settings(), "course"):
        assert not one.required
        spec = EVALUATION_TASKS.get(one.task)
        data = open_data(one.task, one.data, one.columns, one.labels, spec, {})
        assert len(data.examples) == len(one.published)
