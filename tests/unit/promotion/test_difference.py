"""How far two models are apart, for a person."""

from __future__ import annotations

import math

import numpy as np
import pytest

from components.evaluation.report import ErrorReport, EvaluationReport, GenerationReport, Report
from components.promotion.difference import difference

COMMON = {"model": "m", "dataset": "d", "dataset_version": "v", "latency_ms": 1, "size_bytes": 1}


def classifier(wrong: int) -> EvaluationReport:
    labels = (0, 1) * 100
    said = tuple(1 - label if at < wrong else label for at, label in enumerate(labels))
    return EvaluationReport(
        **COMMON,
        class_names=("a", "b"),
        labels=labels,
        predictions=said,
        accuracy=1 - wrong / 200,
        loss=0.1,
        precision=(1, 1),
        recall=(1, 1),
        calibration_error=0,
    )


def generator(off: float) -> GenerationReport:
    rng = np.random.default_rng(0)
    parts = {key: tuple(rng.normal(1, 0.1, 50)) for key in ("within", "real")}
    towards = tuple(rng.normal(1 - off, 0.1, 50))
    return GenerationReport(
        **COMMON, kernel_distance=off, kernel_deviation=1, subset=9, towards=towards, **parts
    )


def regressor(off: float) -> ErrorReport:
    errors = tuple(off + np.random.default_rng(0).normal(0, 0.1, 50))
    return ErrorReport(**COMMON, metric="squared error", errors=errors)


@pytest.mark.parametrize(
    ("better", "worse", "value"),
    [
        (classifier(10), classifier(30), 0.1),
        (generator(0.1), generator(0.3), 0.4),
        (regressor(0.1), regressor(0.3), 0.2),
    ],
    ids=["classifier", "generator", "regressor"],
)
def test_the_better_one_is_ahead_by_as_much_as_the_worse_one_is_behind(
    better: Report, worse: Report, value: float
) -> None:
    ahead, behind = difference(better, worse), difference(worse, better)
    assert ahead is not None
    assert behind is not None
    assert ahead.value == pytest.approx(value)
    assert behind.value == pytest.approx(-value)
    assert ahead.low <= ahead.value <= ahead.high


@pytest.mark.parametrize(
    "other",
    [
        regressor(math.nan),
        regressor(0.3).model_copy(update={"latency_ms": None}),
        regressor(0.3).model_copy(update={"dataset_version": "w"}),
        classifier(1),
    ],
    ids=["not a number", "missing", "other data", "other kind"],
)
def test_what_cannot_be_compared_has_no_difference(other: Report) -> None:
    assert difference(regressor(0.1), other) is None
    assert difference(other, regressor(0.1)) is None
