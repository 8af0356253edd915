"""Pictures for people, drawn without a display and without global state."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from components.datasets.base import Split, UInt8Array
from components.datasets.prepared import PreparedDataset
from components.evaluation.report import EvaluationReport, confusion_matrix
from components.training.reporting import EpochMetrics

TRAIN_COLOUR, VALIDATION_COLOUR = "#9aa5b1", "#1f6feb"
WORST = 24
COLUMNS = 8
SHEET_CLASSES = 10


def learning_curves(history: Sequence[EpochMetrics]) -> Figure:
    """Loss and accuracy against the epoch, training and validation."""
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    axes = figure.subplots(1, 2)
    epochs = [metrics.epoch for metrics in history]
    for axis, name in zip(axes, ("loss", "accuracy"), strict=True):
        for part, colour in (("train", TRAIN_COLOUR), ("validation", VALIDATION_COLOUR)):
            values = [getattr(metrics, f"{part}_{name}") for metrics in history]
            axis.plot(epochs, values, color=colour, marker="o", markersize=3, label=part)
        axis.set_xlabel("epoch")
        axis.set_title(name)
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.spines[["top", "right"]].set_visible(False)
        axis.legend(frameon=False)
    return figure


def contact_sheet(prepared: PreparedDataset) -> Figure:
    """A row of training images for each of up to SHEET_CLASSES classes, evenly chosen."""
    names, train = prepared.card.class_names, prepared.splits[Split.TRAIN]
    chosen = np.unique(np.linspace(0, len(names) - 1, SHEET_CLASSES).round().astype(int))
    figure = Figure(figsize=(1.1 * COLUMNS + 1.6, 1.1 * len(chosen)), layout="constrained")
    grid = figure.subplots(len(chosen), COLUMNS, squeeze=False)
    for row, label in zip(grid, chosen, strict=True):
        row[0].text(-0.15, 0.5, names[label], transform=row[0].transAxes, ha="right", va="center")
        indices = np.flatnonzero(train.labels == label)[:COLUMNS]
        for axis, index in zip(row, indices, strict=False):
            picture = np.asarray(train.images[index]).transpose(1, 2, 0).squeeze()
            axis.imshow(picture, cmap="gray", vmin=0, vmax=255)
    for axis in figure.axes:
        axis.set_axis_off()
    return figure


def confusion_figure(report: EvaluationReport) -> Figure:
    """Counts by true class (rows) and predicted class (columns)."""
    names = report.class_names
    counts = confusion_matrix(report.labels, report.predictions, len(names))
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    side = 2.5 + 0.5 * len(names)
    figure = Figure(figsize=(side, side), layout="constrained")
    axis = figure.subplots()
    axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axis.set_xticks(range(len(names)), names, rotation=45, ha="right")
    axis.set_yticks(range(len(names)), names)
    axis.set_xlabel("predicted")
    axis.set_ylabel("true")
    axis.set_title(f"test accuracy {report.accuracy:.4f}, n = {report.n:,}")
    for (row, column), count in np.ndenumerate(counts):
        colour = "white" if shares[row, column] > 0.5 else "black"
        axis.text(column, row, str(count), ha="center", va="center", color=colour, fontsize=8)
    return figure


def worst_mistakes(
    report: EvaluationReport, probabilities: npt.NDArray[np.float32], images: UInt8Array
) -> Figure:
    """The wrongly classified test images with the least probability on the true class.

    Args:
        report: Of the model on these images.
        probabilities: (N, classes) predicted.
        images: (N, C, H, W) uint8 with C 1 or 3, in the order of the report.
    """
    labels = np.asarray(report.labels)
    on_truth = probabilities[np.arange(len(labels)), labels]
    wrong = np.flatnonzero(~report.correct())
    worst = wrong[np.argsort(on_truth[wrong])][:WORST]
    rows = max(1, -(-len(worst) // COLUMNS))
    figure = Figure(figsize=(1.35 * COLUMNS, 1.75 * rows + 0.3), layout="constrained")
    figure.suptitle(f"{len(wrong):,} mistakes in {report.n:,}; the {len(worst)} worst")
    for axis, index in zip(figure.subplots(rows, COLUMNS, squeeze=False).flat, worst, strict=False):
        axis.imshow(images[index].transpose(1, 2, 0).squeeze(), cmap="gray")
        true, said = report.labels[index], report.predictions[index]
        axis.set_title(f"{report.class_names[true]}\nnot {report.class_names[said]}", fontsize=8)
    for axis in figure.axes:
        axis.set_axis_off()
    return figure
