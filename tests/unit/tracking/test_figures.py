from __future__ import annotations

import io

import numpy as np
import pytest
from matplotlib.figure import Figure

from components.tracking.figures import (
    WORST,
    confusion_figure,
    learning_curves,
    worst_mistakes,
)
from components.training.reporting import EpochMetrics


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for axis in figure.axes for text in axis.texts]


def titles(figure: Figure) -> list[str]:
    return [axis.get_title() for axis in figure.axes if axis.get_title()]


def history(n: int) -> list[EpochMetrics]:
    return [
        EpochMetrics(k, 1 / k, 0.5, 2 / k, 0.25 * k, 0.1, 1.0, 10.0, 2.0, 90.0)
        for k in range(1, n + 1)
    ]


@pytest.mark.parametrize("epochs", [1, 4])
def test_learning_curves_show_both_parts_by_epoch(epochs: int) -> None:
    figure = learning_curves(history(epochs))
    assert titles(figure) == ["loss", "accuracy"]
    train, validation = figure.axes[0].lines
    assert list(train.get_xdata()) == list(range(1, epochs + 1))
    assert list(validation.get_ydata()) == [2 / k for k in range(1, epochs + 1)]


def test_the_confusion_matrix_shows_the_counts(make_report) -> None:
    figure = confusion_figure(make_report([0, 0, 1, 2], [0, 1, 1, 2]))
    assert texts(figure) == ["1", "1", "0", "0", "1", "0", "0", "0", "1"]
    assert "n = 4" in titles(figure)[0]


@pytest.mark.parametrize("channels", [1, 3])
def test_the_worst_mistakes_come_first_with_both_names(make_report, channels: int) -> None:
    report = make_report([0, 1, 2, 0], [0, 2, 0, 1])
    on_truth = np.array([0.9, 0.4, 0.1, 0.3], np.float32)
    probabilities = np.tile(on_truth[:, None], (1, 3))
    images = np.zeros((4, channels, 5, 5), np.uint8)
    figure = worst_mistakes(report, probabilities, images)
    assert titles(figure) == ["c\nnot a", "a\nnot b", "b\nnot c"]
    assert "3 mistakes in 4" in figure.get_suptitle()


def test_at_most_so_many_mistakes_are_shown(make_report) -> None:
    report = make_report([0] * 40, [1] * 40)
    figure = worst_mistakes(
        report, np.zeros((40, 3), np.float32), np.zeros((40, 1, 2, 2), np.uint8)
    )
    assert len(titles(figure)) == WORST


def test_a_model_without_mistakes_has_an_empty_picture(make_report) -> None:
    report = make_report([0, 1], [0, 1])
    figure = worst_mistakes(report, np.ones((2, 3), np.float32), np.zeros((2, 1, 2, 2), np.uint8))
    assert titles(figure) == []
    figure.savefig(io.BytesIO())
