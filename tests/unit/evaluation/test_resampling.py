"""Metrics from sums over examples, their intervals, and differences over seeds."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sacrebleu.metrics.bleu import BLEU
from sklearn.metrics import f1_score

from components.datasets.base import Text
from components.evaluation.resampling import Metric, f_measure, measure
from components.evaluation.seeds import paired_difference
from components.text.tasks.base import Prediction, trimmed
from components.text.tasks.feature_extraction import FeatureExtraction
from components.text.tasks.feature_extraction import score as ranked
from components.text.tasks.labels import label_scores
from components.text.tasks.sequence_to_sequence import bleu
from components.text.tasks.text_generation import score as generated


def test_a_mean_lies_in_its_interval_as_wide_as_theory_says() -> None:
    values = np.random.default_rng(0).normal(3, 2, 400)
    found = measure(Metric.average("x", values))
    assert found.value == pytest.approx(values.mean())
    width = 2 * 1.96 * values.std() / 20
    assert found.high - found.low == pytest.approx(width, rel=0.15)
    assert found == measure(Metric.average("x", values))


def test_f1_is_of_the_sums_not_a_mean_of_f1s() -> None:
    rows = np.array([[1.0, 1, 1], [0, 3, 1], [2, 2, 4]])  # hits, predicted, true
    assert measure(Metric("f1", rows, f_measure)).value == pytest.approx(2 * 3 / (6 + 6))


def test_macro_f1_agrees_with_scikit_learn() -> None:
    chance = np.random.default_rng(1)
    truth = [str(one) for one in chance.integers(0, 4, 200)]
    said = [t if chance.random() < 0.6 else str(chance.integers(0, 4)) for t in truth]
    scores = label_scores(truth, said, [0.5] * 200)
    found = {metric.name: measure(metric).value for metric in scores.metrics}
    assert found["f1"] == pytest.approx(f1_score(truth, said, average="macro"))


def test_a_rare_class_does_not_pull_an_interval_down() -> None:
    truth = ["a"] * 10 + ["b"] * 10 + ["c"]
    found = {m.name: measure(m) for m in label_scores(truth, truth, [1.0] * 21).metrics}
    assert all((one.low, one.value, one.high) == (1, 1, 1) for one in found.values())


@pytest.mark.parametrize("vectors", ["same", "nan"])
def test_a_broken_encoder_finds_nothing(vectors: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = torch.full((6, 4), math.nan if vectors == "nan" else 0.5)
    monkeypatch.setattr(FeatureExtraction, "__init__", lambda self: None)
    monkeypatch.setattr(FeatureExtraction, "vectors", lambda self, texts: made)
    texts = [Text(f"q{n}", second=f"a{n}") for n in range(3)]
    said = FeatureExtraction().predict(texts)  # type: ignore[call-arg]
    found = {m.name: measure(m).value for m in ranked(texts, said, ()).metrics}
    assert found["recall_at_1"] == 0


def test_bleu_is_that_of_the_corpus() -> None:
    said = ["the cat sat on the mat today", "a dog ran", "nothing like it at all"]
    truth = ["the cat sat on a mat today", "a dog ran away fast", "something else was meant here"]
    texts = [Text("x", second=one) for one in truth]
    scores = bleu(texts, [Prediction(one) for one in said], ())
    said[0] = "the cat sat here"  # without a word of four in common, smoothing counts
    scores = bleu(texts[:1], [Prediction(said[0])], ())
    expected = BLEU(effective_order=False).corpus_score(said[:1], [truth[:1]]).score
    assert measure(scores.metrics[0]).value == pytest.approx(expected) != 0
    said[0] = "the cat sat on the mat today"
    scores = bleu(texts, [Prediction(one) for one in said], ())
    expected = BLEU(effective_order=False).corpus_score(said, [truth]).score
    assert measure(scores.metrics[0]).value == pytest.approx(expected)


def test_perplexity_and_distinct_words() -> None:
    said = [
        Prediction("", choices=("a b a b",), numbers=(2.0, 4.0)),
        Prediction("", choices=("c d",), numbers=(4.0, 2.0)),
    ]
    scores = generated([Text("x"), Text("y")], said, ())
    found = {metric.name: measure(metric) for metric in scores.metrics}
    assert found["perplexity"].value == pytest.approx(math.exp(6 / 6))
    assert found["distinct_1"].value == pytest.approx((2 / 4 + 1) / 2)
    assert found["distinct_2"].value == pytest.approx((2 / 3 + 1) / 2)
    assert found["perplexity"].clears(3)
    assert not found["perplexity"].clears(2)
    assert list(scores.each) == [-0.5, -2.0]


def test_spaces_around_a_span_do_not_belong_to_it() -> None:
    assert trimmed("in Paris now", 2, 9) == (3, 8)
    assert trimmed("in Paris now", 3, 8) == (3, 8)


def test_what_is_not_a_number_clears_no_floor() -> None:
    found = measure(Metric.average("x", [math.nan, 1.0]))
    assert not found.clears(0.0)


def test_differences_are_taken_seed_by_seed() -> None:
    ours, theirs = [0.80, 0.70, 0.90, 0.85], [0.70, 0.61, 0.79, 0.75]
    found = paired_difference(ours, theirs)
    assert found.mean == pytest.approx(0.10)
    assert 0.08 < found.low < 0.10 < found.high < 0.12
    assert found.n == 4
