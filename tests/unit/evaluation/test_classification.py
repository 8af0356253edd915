from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn import metrics
from torch import nn

from components.datasets.base import Arrays
from components.datasets.device_loader import DeviceSplit, to_device
from components.evaluation import classification
from components.evaluation.classification import Subject, evaluate_classifier
from components.evaluation.report import EvaluationReport

NAMES = ("a", "b", "c", "d")
SUBJECT = Subject("run 7", "toy", "v1", NAMES)


class FromPixels(nn.Module):
    """Scores are the first pixels of the image, so that a test decides what is predicted."""

    def __init__(self, outputs: int = 4) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor([4.0]))
        self.outputs = outputs

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.flatten(1)[:, : self.outputs] * self.scale


def split(n: int, labels: list[int] | None = None, seed: int = 0) -> DeviceSplit:
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (n, 1, 3, 3)).astype(np.uint8)
    drawn = np.array(labels) if labels else rng.integers(0, 4, n)
    return to_device(Arrays(images, drawn.astype(np.int64)), (0.5,), (0.25,), torch.device("cpu"))


@pytest.fixture
def evaluated(monkeypatch: pytest.MonkeyPatch) -> tuple[EvaluationReport, np.ndarray, DeviceSplit]:
    monkeypatch.setattr(classification, "EVALUATION_BATCH", 64)
    test = split(500)
    return *evaluate_classifier(FromPixels(), test, SUBJECT), test


def test_the_numbers_are_those_of_scikit_learn(evaluated) -> None:
    report, probabilities, test = evaluated
    true = test.labels.numpy()
    said = test.images.flatten(1)[:, :4].numpy().argmax(1)
    assert list(report.labels) == true.tolist()
    assert list(report.predictions) == said.tolist()
    assert report.accuracy == metrics.accuracy_score(true, said)
    assert report.loss == pytest.approx(metrics.log_loss(true, probabilities), rel=1e-5)
    for name in ("precision", "recall", "f1"):
        score = getattr(metrics, f"{name}_score")
        assert getattr(report, name) == pytest.approx(score(true, said, average=None))


def test_probabilities_are_those_of_a_softmax(evaluated) -> None:
    _, probabilities, test = evaluated
    scores = test.images.flatten(1)[:, :4].float() / 255 * 4
    assert probabilities.shape == (500, 4)
    assert np.allclose(probabilities, scores.softmax(1).numpy(), atol=1e-6)


def test_the_report_names_its_subject_and_measures_cost(evaluated) -> None:
    report = evaluated[0]
    assert (report.model, report.dataset, report.dataset_version) == ("run 7", "toy", "v1")
    assert report.class_names == NAMES
    assert report.n == 500
    assert report.size_bytes == 4
    assert report.latency_ms is not None
    assert report.latency_ms > 0
    assert report.unusable() == []


@pytest.mark.parametrize("hits", [83, 57, 1, 99])
def test_accuracy_is_exact_so_that_a_floor_can_be_reached_exactly(hits: int) -> None:
    test = split(100)
    said = test.images.flatten(1)[:, :4].argmax(1)
    wrong = (said + 1) % 4
    labels = torch.where(torch.arange(100) < hits, said, wrong)
    exact = DeviceSplit(test.images, labels, test.mean, test.std)
    assert evaluate_classifier(FromPixels(), exact, SUBJECT)[0].accuracy == hits / 100


def test_a_class_that_is_never_seen_or_never_predicted_counts_zero() -> None:
    test = split(50, labels=[0] * 50)
    report, _ = evaluate_classifier(FromPixels(outputs=4), test, SUBJECT)
    assert report.precision[1:] == (0, 0, 0)
    assert report.recall[1:] == (0, 0, 0)
    assert report.f1[1:] == (0, 0, 0)
    assert all(math.isfinite(value) for value in (*report.precision, *report.recall))


def test_scores_that_are_not_finite_make_the_report_unusable() -> None:
    model = FromPixels()
    with torch.no_grad():
        model.scale.fill_(float("nan"))
    report, _ = evaluate_classifier(model, split(20), SUBJECT)
    assert report.unusable() == ["test_loss"]


def test_a_model_with_more_outputs_than_classes_is_not_silently_miscounted() -> None:
    with pytest.raises(ValueError):
        evaluate_classifier(FromPixels(outputs=9), split(200), SUBJECT)
