from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from sklearn import metrics

from components.evaluation.report import EvaluationReport, confusion_matrix

PAIRS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=60)


@given(PAIRS)
def test_the_confusion_matrix_is_that_of_scikit_learn(pairs) -> None:
    labels, predictions = zip(*pairs, strict=True)
    expected = metrics.confusion_matrix(labels, predictions, labels=range(4))
    assert np.array_equal(confusion_matrix(labels, predictions, 4), expected)


@pytest.mark.parametrize(("labels", "predictions"), [([0], [2]), ([2], [0]), ([0], [-1])])
def test_a_class_out_of_range_is_refused_and_not_counted_elsewhere(labels, predictions) -> None:
    with pytest.raises(ValueError):
        confusion_matrix(labels, predictions, 2)


def test_f1_is_the_harmonic_mean_and_zero_where_both_are(make_report) -> None:
    report = make_report([0, 1], [0, 1], precision=(0.5, 1.0, 0.0), recall=(1.0, 1.0, 0.0))
    assert report.f1 == pytest.approx((2 / 3, 1.0, 0.0))


def test_correct_marks_the_right_predictions(make_report) -> None:
    assert make_report([0, 1, 2], [0, 2, 2]).correct().tolist() == [True, False, True]


def test_every_number_has_a_name(make_report) -> None:
    names = [name for name, _ in make_report([0, 1, 2], [0, 1, 2]).scalars()]
    first = ["test_accuracy", "test_loss", "calibration_error", "latency_ms", "size_bytes"]
    assert names[:5] == first
    assert names[5:] == [f"test_{k}/{c}" for k in ("precision", "recall", "f1") for c in "abc"]


def test_missing_and_infinite_numbers_are_listed_and_zero_is_not(make_report) -> None:
    report = make_report(
        [0, 1, 2],
        [0, 1, 2],
        accuracy=None,
        loss=math.nan,
        latency_ms=math.inf,
        recall=(1.0, 0.0, math.nan),
    )
    missing = ["test_accuracy", "test_loss", "latency_ms", "test_recall/c", "test_f1/c"]
    assert report.unusable() == missing
    assert make_report([0, 1, 2], [0, 1, 2], loss=0.0).unusable() == []


@pytest.mark.parametrize("loss", [0.25, None])
def test_a_report_survives_being_stored(make_report, loss) -> None:
    report = make_report([0, 1, 2], [0, 1, 1], loss=loss)
    assert EvaluationReport.model_validate_json(report.model_dump_json()) == report


def test_a_number_that_is_not_finite_stays_unusable_when_stored(make_report) -> None:
    report = make_report([0, 1, 2], [0, 1, 1], accuracy=math.nan, loss=math.inf)
    again = EvaluationReport.model_validate_json(report.model_dump_json())
    assert again.unusable() == report.unusable() == ["test_accuracy", "test_loss"]


def test_a_report_is_frozen_and_knows_its_fields(make_report) -> None:
    report = make_report([0], [0])
    with pytest.raises(ValidationError):
        report.accuracy = 1.0
    with pytest.raises(ValidationError):
        make_report([0], [0], acuracy=1.0)
