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
    one_hot = np.eye(len(names))
    true, predicted = (one_hot[[place[one] for one in each]] for each in (truth, said))
    rows = np.concatenate([true * predicted, predicted, true], 1)
    hits = [float(t == s) for t, s in zip(truth, said, strict=True)]
    metrics = [
        Metric.average("accuracy", hits),
        Metric("precision", rows, lambda sums: _mean(_shares(sums, 1))),
        Metric("recall", rows, lambda sums: _mean(_shares(sums, 2))),
        Metric("f1", rows, lambda sums: _mean(_f1(sums))),
    ]
    counted = Counter(zip(truth, said, strict=True))
    confusion = {t: {s: counted[t, s] for s in names} for t in names}
    # The worst is the surest mistake.
    each = [chance if hit else -chance for hit, chance in zip(hits, chances, strict=True)]
    return Scores(metrics, each, truth, confusion)


def _parts(sums: Float64Array) -> list[Float64Array]:
    """Hits, predicted and true (..., classes) from (..., 3 classes)."""
    return np.split(sums, 3, axis=-1)


def _shares(sums: Float64Array, of: int) -> Float64Array:
    """Hits of the predicted (1), precision, or of the true (2), recall; see `_f1` for NaN."""
    parts = _parts(sums)
    return _here(parts, parts[0] / np.maximum(parts[of], 1e-12))


def _f1(sums: Float64Array) -> Float64Array:
    parts = _parts(sums)
    hits, predicted, true = parts
    return _here(parts, 2 * hits / np.maximum(predicted + true, 1e-12))


def _here(parts: list[Float64Array], values: Float64Array) -> Float64Array:
    """NaN for classes that a resample has neither as truth nor as a prediction."""
    return np.where(parts[1] + parts[2] > 0, values, np.nan)


def _mean(values: Float64Array) -> Float64Array:
    found: Float64Array = np.nanmean(values, -1)
    return found
