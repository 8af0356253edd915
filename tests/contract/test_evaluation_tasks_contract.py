"""What every evaluation task of the catalog must do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from components.datasets.base import Text
from components.errors import ConfigError
from components.evaluation.resampling import measure
from components.text.sources import Source
from components.text.tasks import EVALUATION_TASKS
from components.text.tasks.base import EvaluationTask, ModelFiles, Prediction, Predictor
from tests.texts import CLASS_NAMES, EXAMPLES
from tests.tiny_encoder import save
from tests.tiny_models import save_for


class Case:
    """A task with a small model and examples."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.folder = name, save_for(name, folder)
        self.task: EvaluationTask = EVALUATION_TASKS.get(name)
        kind = self.task.data[0]
        self.examples: Sequence[Text] = EXAMPLES[kind]
        self.class_names = CLASS_NAMES.get(kind, ())
        files = ModelFiles(Source(name, self.folder))
        self.predictor: Predictor = self.task.open(files, self.class_names)


@pytest.fixture(scope="module", params=list(EVALUATION_TASKS))
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    return Case(request.param, tmp_path_factory.mktemp("model"))


def said(predictions: Sequence[Prediction]) -> list[tuple[object, ...]]:
    return [(one.text, one.spans, one.choices) for one in predictions]


def test_each_example_has_its_own_prediction_in_whatever_order(case: Case) -> None:
    straight = case.predictor.predict(case.examples)
    assert len(straight) == len(case.examples)
    if case.name == "text-generation":  # which draws at random, one text after the other
        assert said(case.predictor.predict(case.examples)) == said(straight)
        return
    backwards = case.predictor.predict(case.examples[::-1])
    if case.name != "feature-extraction":
        assert said(backwards) == said(straight)[::-1]
    for one, other in zip(straight, reversed(backwards), strict=True):
        assert one.score == pytest.approx(other.score, abs=1e-4)


@pytest.mark.slow
def test_batches_say_what_examples_by_themselves_say(case: Case) -> None:
    if case.name in ("text-generation", "feature-extraction"):
        return  # they depend on the other examples by their nature
    alone = [case.predictor.predict([text])[0] for text in case.examples]
    assert said(alone) == said(case.predictor.predict(case.examples))


def test_scores_have_intervals_and_an_order(case: Case) -> None:
    predictions = case.predictor.predict(case.examples)
    scores = case.task.score(case.examples, predictions, case.class_names)
    assert len(scores.each) == len(scores.expected) == len(case.examples)
    names = [metric.name for metric in scores.metrics]
    assert len(names) == len(set(names)) >= 2
    for metric in scores.metrics:
        found = measure(metric)
        assert found.low <= found.high
        assert found.low - 1e-9 <= found.value <= found.high + 1e-9 or metric.name != "accuracy"


def test_a_model_for_something_else_is_refused(case: Case, tmp_path: Path) -> None:
    """Instead of predictions of a head of random weights."""
    if case.name == "feature-extraction":
        return  # every model has features
    other = save(tmp_path)
    with pytest.raises(ConfigError, match="model other"):
        case.task.open(ModelFiles(Source("other", other)), case.class_names)


PERFECT = {
    "sentiment-analysis": lambda text: Prediction(text.label, 1),
    "zero-shot-classification": lambda text: Prediction(text.label, 1),
    "ner": lambda text: Prediction("", 1, text.spans),
    "question-answering": lambda text: Prediction(
        text.second[slice(*text.spans[0][:2])] if text.spans else "", 1, text.spans
    ),
    "fill-mask": lambda text: Prediction("", 1, choices=(text.text[slice(*text.spans[0][:2])],)),
    "feature-extraction": lambda text: Prediction(text.second, 1, numbers=(1.0,)),
    "text-generation": lambda text: Prediction("", choices=(text.text,), numbers=(0.0, 5.0)),
    "summarization": lambda text: Prediction(text.second),
    "translation": lambda text: Prediction(text.second),
}
BEST = {"perplexity": 1, "bleu": 100, "chrf": 100}
DIVERSITY = ("distinct_1", "distinct_2")


def test_perfect_answers_have_perfect_scores(case: Case) -> None:
    answers = [PERFECT[case.name](text) for text in case.examples]
    scores = case.task.score(case.examples, answers, case.class_names)
    for metric in scores.metrics:
        if metric.name not in DIVERSITY:
            assert measure(metric).value == pytest.approx(BEST.get(metric.name, 1)), metric.name
