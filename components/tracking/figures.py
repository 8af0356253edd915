"""Pictures for people, drawn without a display and without global state."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from components.datasets.base import Split, UInt8Array
from components.datasets.prepared import PreparedDataset
from components.evaluation.report import (
    EvaluationReport,
    GenerationReport,
    Reliability,
    confusion_matrix,
)
from components.training.reporting import EpochMetrics, GanMetrics

TRAIN_COLOUR, VALIDATION_COLOUR = "#9aa5b1", "#1f6feb"
WORST = 24
COLUMNS = 8
SHEET_CLASSES = 10


def learning_curves(history: Sequence[EpochMetrics]) -> Figure:
    """Loss, and accuracy where there is one, against the epoch, training and validation."""
    names = ["loss", "accuracy"] if history[0].validation_accuracy is not None else ["loss"]
    figure = Figure(figsize=(4.5 * len(names), 3.4), layout="constrained")
    epochs = [metrics.epoch for metrics in history]
    for axis, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        for part, colour in (("train", TRAIN_COLOUR), ("validation", VALIDATION_COLOUR)):
            values = [getattr(metrics, f"{part}_{name}") for metrics in history]
            axis.plot(epochs, values, color=colour, marker="o", markersize=3, label=part)
        _dress(axis, name)
    return figure


def gan_curves(history: Sequence[GanMetrics]) -> Figure:
    """Losses, what the discriminator says, and the distance of the samples, by epoch."""
    figure = Figure(figsize=(13, 3.4), layout="constrained")
    epochs = [metrics.epoch for metrics in history]
    panels = {
        "loss": ("discriminator_loss", "generator_loss"),
        "discriminator's answer": ("d_real", "d_fake"),
        "kernel distance": ("kernel_distance",),
    }
    for axis, (title, names) in zip(figure.subplots(1, 3), panels.items(), strict=True):
        for name, colour in zip(names, (VALIDATION_COLOUR, TRAIN_COLOUR), strict=False):
            values = [getattr(metrics, name) for metrics in history]
            label = name.replace("_", " ")
            axis.plot(epochs, values, color=colour, marker="o", markersize=3, label=label)
        _dress(axis, title)
    return figure


def samples_figure(samples: UInt8Array, report: GenerationReport) -> Figure:
    """Samples (N, H, W, C) of a generator, with their distance from held-out real ones."""
    figure = Figure(figsize=(8, 8.4), layout="constrained")
    axis = figure.subplots()
    axis.imshow(grid(samples).squeeze(), cmap="gray", vmin=0, vmax=255)
    axis.set_axis_off()
    axis.set_title(f"kernel distance {report.kernel_distance:.4g} from {report.n:,} real examples")
    return figure


def _dress(axis: Axes, title: str) -> None:
    axis.set_xlabel("epoch")
    axis.set_title(title)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False)


def grid(pictures: UInt8Array) -> UInt8Array:
    """Pictures (N, H, W, C) side by side in rows of COLUMNS, as one picture (H', W', C)."""
    count, height, width, channels = pictures.shape
    rows = -(-count // COLUMNS)
    sheet = np.full((rows * COLUMNS, height, width, channels), 255, dtype=np.uint8)
    sheet[:count] = pictures
    sheet = sheet.reshape(rows, COLUMNS, height, width, channels).swapaxes(1, 2)
    return sheet.reshape(rows * height, COLUMNS * width, channels)


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


def reliability_diagram(curve: Reliability) -> Figure:
    """Accuracy against confidence; on the diagonal a model is as sure as it is right."""
    figure = Figure(figsize=(4.6, 4.6), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    edges = (np.arange(len(curve.counts)) + 0.5) / len(curve.counts)
    upper.plot([0, 1], [0, 1], color=TRAIN_COLOUR, linewidth=1)
    upper.plot(curve.confidence, curve.accuracy, color=VALIDATION_COLOUR, marker="o", markersize=4)
    upper.set_ylabel("accuracy")
    upper.set_title(f"expected calibration error {curve.error:.4f}")
    lower.bar(edges, curve.counts, width=0.9 / len(curve.counts), color=TRAIN_COLOUR)
    lower.set_xlabel("confidence")
    lower.set_ylabel("images")
    for axis in (upper, lower):
        axis.spines[["top", "right"]].set_visible(False)
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
