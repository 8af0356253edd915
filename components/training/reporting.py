"""What a training loop tells the outside, epoch by epoch."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

UInt8Images = npt.NDArray[np.uint8]


class Epoch(Protocol):
    """One finished epoch of any loop."""

    @property
    def epoch(self) -> int:
        """1 for the first."""

    @property
    def seconds(self) -> float:
        """Wall-clock time of the epoch, validation included."""

    def metrics(self) -> dict[str, float]:
        """Everything measured, under the names used in MLflow."""

    def headline(self) -> str:
        """The few numbers a person follows."""


@dataclass(frozen=True)
class _Measured:
    def metrics(self) -> dict[str, float]:
        """All but the epoch number, under the names used in MLflow; what is None is left out."""
        values = asdict(self)
        del values["epoch"]
        return {name: value for name, value in values.items() if value is not None}


@dataclass(frozen=True)
class EpochMetrics(_Measured):
    """One finished epoch of a classifier or regressor.

    Attributes:
        epoch: 1 for the first.
        train_loss: Mean loss over the training examples, in training mode.
        train_accuracy: Share of them classified correctly on the way, in [0, 1]; None for a
            regressor.
        validation_loss: Mean loss over the validation examples.
        validation_accuracy: In [0, 1]; None for a regressor.
        lr: Learning rate of the last step.
        seconds: Wall-clock time of the epoch, validation included.
        images_per_second: Training examples over the training part of that time.
        step_milliseconds: Mean time of a step.
        peak_memory_mib: Largest memory so far; see `precision.peak_memory_mib`.
    """

    epoch: int
    train_loss: float
    train_accuracy: float | None
    validation_loss: float
    validation_accuracy: float | None
    lr: float
    seconds: float
    images_per_second: float
    step_milliseconds: float
    peak_memory_mib: float

    def headline(self) -> str:
        """The few numbers a person follows."""
        loss = f"validation loss {self.validation_loss:.4f}"
        if self.validation_accuracy is None:
            return loss
        return f"validation accuracy {self.validation_accuracy:.4f}, {loss}"


@dataclass(frozen=True)
class GanMetrics(_Measured):
    """One finished epoch of a GAN.

    Attributes:
        epoch: 1 for the first.
        discriminator_loss: Mean over the steps of the mean of its losses on real and on fake.
        generator_loss: Mean over the steps of -log D(fake).
        d_real: Mean of D on real samples, in [0, 1].
        d_fake: Mean of D on fake samples, in [0, 1].
        kernel_distance: Of the averaged generator's samples from validation samples; smaller is
            better.
        seconds: Wall-clock time of the epoch, measuring included.
        images_per_second: Real samples over the training part of that time.
        step_milliseconds: Mean time of a step, both networks.
        peak_memory_mib: Largest memory so far; see `precision.peak_memory_mib`.
    """

    epoch: int
    discriminator_loss: float
    generator_loss: float
    d_real: float
    d_fake: float
    kernel_distance: float
    seconds: float
    images_per_second: float
    step_milliseconds: float
    peak_memory_mib: float

    def headline(self) -> str:
        """The few numbers a person follows."""
        return (
            f"kernel distance {self.kernel_distance:.3f}, losses D {self.discriminator_loss:.3f} "
            f"G {self.generator_loss:.3f}"
        )


class Reporter(Protocol):
    """Receives the epochs of one run, each exactly once, in order."""

    def on_epoch(self, metrics: Epoch, epochs: int) -> None:
        """Called after the epoch's checkpoint is safe; `epochs` is the planned total."""

    def on_samples(self, epoch: int, samples: UInt8Images) -> None:
        """Pictures (N, H, W, C) drawn from the same latents after every epoch of a GAN."""


class SilentReporter:
    """Drops everything; for benchmarks and tests."""

    def on_epoch(self, metrics: Epoch, epochs: int) -> None:
        """Ignore the epoch."""

    def on_samples(self, epoch: int, samples: UInt8Images) -> None:
        """Ignore the pictures."""
