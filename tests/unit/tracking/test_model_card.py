"""What a person reads about a registered model."""

from __future__ import annotations

import numpy as np
import pytest

from components.evaluation.report import ErrorReport, GenerationReport, reliability
from components.tracking.base import RunStatus, Tag, TrackedRun
from components.tracking.figures import grid, reliability_diagram
from components.tracking.model_card import markdown

LINKS = {"data card": "http://there"}


@pytest.fixture
def run() -> TrackedRun:
    tags = {
        Tag.MODEL: "lenet",
        Tag.KIND: "classifier",
        Tag.SEED: "3",
        Tag.DEVICE: "cpu, 2 threads",
        Tag.SOURCE: "a folder",
        Tag.SAMPLE: "false",
        Tag.FINGERPRINT: "f" * 32,
        Tag.GIT_COMMIT: "c" * 40,
    }
    params = {"training.lr": "0.1", "network.mlp.dropout": "0.2", "dataset": "toy"}
    return TrackedRun("1", "lenet-ffff", RunStatus.FINISHED, "http://here", tags, params)


def test_a_card_states_data_metrics_limits_use_and_configuration(make_report, run) -> None:
    text = markdown("toy-classifier", run, make_report([0, 0, 1, 2], [0, 1, 1, 2]), LINKS)
    for words in (
        "# toy-classifier: lenet",
        "[run lenet-ffff](http://here), seed 3, on cpu, 2 threads",
        "dataset `toy`, version `v1`",
        "3 classes, 4 test examples",
        "| test accuracy | 0.7500 | 0.3006 to 0.9544 |",
        "| expected calibration error | 0.02 |",
        "| a | 0.500 | 0.095 to 0.905 | 1.000 |",
        'load_model("models:/toy-classifier@champion")',
        "Scores in this order: a, b, c.",
        "lr 0.1",
        "mlp.dropout 0.2",
        f"commit `{'c' * 40}`",
        f"fingerprint: `{'f' * 32}`",
        "[data card](http://there)",
    ):
        assert words in text, text
    assert text.index("| a | 0.500") < text.index("| b | 1.000")
    assert "sample" not in text


def test_what_was_not_measured_is_said(make_report, run) -> None:
    report = make_report([0, 1], [0, 1], latency_ms=None)
    text = markdown("toy-classifier", run, report, {})
    assert "| milliseconds for one image | not measured |" in text
    assert "| c | 0.000 | no test image | 0.000 |" in text


def test_generators_and_regressors_have_cards_of_their_own(run) -> None:
    names = {"model": "m", "dataset": "toy", "dataset_version": "v1"}
    cost = {"latency_ms": 1.0, "size_bytes": 10}
    generation = GenerationReport(
        kernel_distance=12.5,
        kernel_deviation=2.0,
        subset=2,
        within=(1.0, 2.0),
        towards=(1.0, 2.0),
        real=(1.0, 2.0, 3.0),
        **names,
        **cost,
    )
    text = markdown("toy-generator", run, generation, LINKS)
    assert "kernel distance x 1000 from 3 held-out examples: 12.5" in text
    assert "models:/toy-generator@champion" in text
    error = ErrorReport(metric="squared error", errors=(0.1, 0.3), **names, **cost)
    text = markdown("toy-regressor", run, error, LINKS)
    assert "mean squared error on the test split: 0.2" in text
    assert "[data card](http://there)" in text


def test_calibration_is_the_mean_gap_between_confidence_and_accuracy() -> None:
    sure = np.array([[0.9, 0.1]] * 10, dtype=np.float32)
    curve = reliability(sure, [0] * 6 + [1] * 4)
    assert curve.error == pytest.approx(0.3, abs=1e-6)
    assert reliability(sure, [0] * 9 + [1]).error == pytest.approx(0.0, abs=1e-6)
    both = np.array([[0.9, 0.1], [0.6, 0.4]], dtype=np.float32)
    assert reliability(both, [0, 1]).error == pytest.approx((0.1 + 0.6) / 2, abs=1e-6)
    assert reliability_diagram(curve).axes[0].get_title() == "expected calibration error 0.3000"


def test_pictures_stand_in_rows_and_the_rest_is_white() -> None:
    pictures = np.zeros((9, 2, 3, 1), dtype=np.uint8)
    sheet = grid(pictures)
    assert sheet.shape == (4, 24, 1)
    assert sheet[:2].max() == 0
    assert sheet[2:, 3:].min() == 255
    assert sheet[2:, :3].max() == 0
