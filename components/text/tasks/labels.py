"""Scores of predicted labels, for every task that has some."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from components.evaluation.resampling import Float64Array, Metric
from components.text.tasks.base import Scores


def label_scores(truth: Sequence[str], said: Sequence[str], chances: Sequence[float]) -> Scores:
    """Accuracy; precision, recall and F1 as means over the classes; and who was taken for whom.

    Args:
        truth: True label of each example.
        said: Predicted ones.
        chances: Their probabilities, which order the table.
    """
    names = sorted({*truth, *said})
    place = {name: number for number, name in enumerate(names)}
    pairs = [place[t] * len(names) + place[s] for t, s in zip(truth, said, strict=True)]
    rows = np.eye(len(names) ** 2)[pairs]
    hits = [float(t == s) for t, s in zip(truth, said, strict=True)]
    metrics = [
        Metric.average("accuracy", hits),
        Metric("precision", rows, lambda sums: _per_class(sums)[0].mean(-1)),
        Metric("recall", rows, lambda sums: _per_class(sums)[1].mean(-1)),
        Metric("f1", rows, lambda sums: _f1(*_per_class(sums)).mean(-1)),
    ]
    counted = Counter(zip(truth, said, strict=True))
    confusion = {t: {s: counted[t, s] for s in names} for t in names}
    # The worst is the surest mistake.
    each = [chance if hit else -chance for hit, chance in zip(hits, chances, strict=True)]
    return Scores(metrics, each, truth, confusion)


def _per_class(sums: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Precision and recall (..., classes) from counts (..., classes squared)."""
    classes = round(sums.shape[-1] ** 0.5)
    table = sums.reshape(*sums.shape[:-1], classes, classes)
    right = np.diagonal(table, axis1=-2, axis2=-1)
    return right / np.maximum(table.sum(-2), 1e-12), right / np.maximum(table.sum(-1), 1e-12)


def _f1(precision: Float64Array, recall: Float64Array) -> Float64Array:
    return 2 * precision * recall / np.maximum(precision + recall, 1e-12)
