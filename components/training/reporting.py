"""What a training loop tells the outside, epoch by epoch."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Protocol


@dataclass(frozen=True)
class EpochMetrics:
    """One finished epoch.

    Attributes:
        epoch: 1 for the first.
        train_loss: Mean loss over the training images, in training mode.
        train_accuracy: Share of them classified correctly on the way, in [0, 1].
        validation_loss: Mean cross-entropy over the validation images.
        validation_accuracy: In [0, 1].
        lr: Learning rate of the last step.
        seconds: Wall-clock time of the epoch, validation included.
        images_per_second: Training images over the training part of that time.
    """

    epoch: int
    train_loss: float
    train_accuracy: float
    validation_loss: float
    validation_accuracy: float
    lr: float
    seconds: float
    images_per_second: float

    def metrics(self) -> dict[str, float]:
        """All but the epoch number, under the names used in MLflow."""
        values = asdict(self)
        del values["epoch"]
        return values


class Reporter(Protocol):
    """Receives the epochs of one run, each exactly once, in order."""

    def on_epoch(self, metrics: EpochMetrics, epochs: int) -> None:
        """Called after the epoch's checkpoint is safe; `epochs` is the planned total."""


class SilentReporter:
    """Drops everything; for benchmarks and tests."""

    def on_epoch(self, metrics: EpochMetrics, epochs: int) -> None:
        """Ignore the epoch."""
