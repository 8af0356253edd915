"""What an evaluation found, as plain values, so that the gate needs no PyTorch."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

CALIBRATION_BINS = 15


class Report(BaseModel, ABC):
    """One model on one test split, whatever it learned.

    A metric that could not be measured is None, and the gate refuses it: absent is not zero.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")

    model: str = Field(description="Which model: a run id or name and version")
    dataset: str
    dataset_version: str
    latency_ms: float | None = Field(description="Median milliseconds for one example")
    latency_quartiles_ms: tuple[float, float] | None = Field(
        None, description="First and third quartile of the same"
    )
    size_bytes: int | None = Field(description="Bytes of all weights and buffers")

    @property
    @abstractmethod
    def n(self) -> int:
        """Number of test examples."""

    @abstractmethod
    def scalars(self) -> Iterator[tuple[str, float | None]]:
        """Every number under the name it has in MLflow; None where it was not measured."""

    @abstractmethod
    def same_test(self, other: Report) -> bool:
        """Whether both models were measured in the same way on the same examples."""

    def unusable(self) -> list[str]:
        """Names of the metrics that are missing or not finite."""
        return [name for name, value in self.scalars() if value is None or not math.isfinite(value)]


class EvaluationReport(Report):
    """A classifier on one test split."""

    kind: Literal["classification"] = "classification"
    class_names: tuple[str, ...]
    labels: tuple[int, ...] = Field(description="True class of each test image, in stored order")
    predictions: tuple[int, ...] = Field(description="Predicted class of each, in the same order")
    accuracy: float | None = Field(description="Share classified correctly, in [0, 1]")
    loss: float | None = Field(description="Mean cross-entropy in nats")
    precision: tuple[float, ...] = Field(description="Per class, in [0, 1]; 0 if never predicted")
    recall: tuple[float, ...] = Field(description="Per class, in [0, 1]")
    calibration_error: float | None = Field(
        description="Expected calibration error in [0, 1]: mean of |confidence - accuracy|"
    )

    @property
    def n(self) -> int:
        """Number of test images."""
        return len(self.labels)

    @property
    def f1(self) -> tuple[float, ...]:
        """Harmonic mean of precision and recall, per class; 0 where both are."""
        pairs = zip(self.precision, self.recall, strict=True)
        return tuple(2 * p * r / (p + r) if p + r else 0.0 for p, r in pairs)

    def correct(self) -> npt.NDArray[np.bool_]:
        """(n,) bool: which images were classified correctly."""
        return np.equal(self.labels, self.predictions)

    def same_test(self, other: Report) -> bool:
        """See `Report`: the same images in the same order."""
        return (
            isinstance(other, EvaluationReport)
            and self.dataset_version == other.dataset_version
            and self.labels == other.labels
        )

    def scalars(self) -> Iterator[tuple[str, float | None]]:
        """See `Report`."""
        yield "test_accuracy", self.accuracy
        yield "test_loss", self.loss
        yield "calibration_error", self.calibration_error
        yield "latency_ms", self.latency_ms
        yield "size_bytes", self.size_bytes
        for kind in ("precision", "recall", "f1"):
            for name, value in zip(self.class_names, getattr(self, kind), strict=True):
                yield f"test_{kind}/{name}", value


class GenerationReport(Report):
    """A generator, measured by the kernel distance of its samples from held-out real ones.

    All kernels are times 1000, like the distance. Its squared distance (Gretton et al., 2012,
    eq. 3) is mean(within) - 2 mean(towards), and a part that depends on the real examples alone.
    """

    kind: Literal["generation"] = "generation"
    kernel_distance: float | None = Field(
        description="Kernel inception distance times 1000: mean of estimates from subsets"
    )
    kernel_deviation: float | None = Field(description="Standard deviation of these estimates")
    subset: int = Field(description="Samples of each side in an estimate")
    within: tuple[float, ...] = Field(description="Mean kernel of each sample to the others")
    towards: tuple[float, ...] = Field(description="Mean kernel of each sample to the real ones")
    real: tuple[float, ...] = Field(description="Mean kernel of each real one to the samples")

    @property
    def n(self) -> int:
        """Number of held-out real examples."""
        return len(self.real)

    def same_test(self, other: Report) -> bool:
        """See `Report`: as many samples against the same real examples."""
        return (
            isinstance(other, GenerationReport)
            and self.dataset_version == other.dataset_version
            and (self.n, self.subset, len(self.within))
            == (other.n, other.subset, len(other.within))
        )

    def scalars(self) -> Iterator[tuple[str, float | None]]:
        """See `Report`."""
        yield "test_kernel_distance", self.kernel_distance
        yield "test_kernel_deviation", self.kernel_deviation
        yield "latency_ms", self.latency_ms
        yield "size_bytes", self.size_bytes


class ErrorReport(Report):
    """A model whose error is a mean over examples, such as a regression's squared error."""

    kind: Literal["error"] = "error"
    metric: str = Field(description="What the errors are, such as squared error")
    errors: tuple[float, ...] = Field(description="Of each test example, in stored order")

    @property
    def n(self) -> int:
        """Number of test examples."""
        return len(self.errors)

    @property
    def error(self) -> float | None:
        """Mean error; None without examples."""
        return float(np.mean(self.errors)) if self.errors else None

    def same_test(self, other: Report) -> bool:
        """See `Report`: as many examples of the same data, by the same metric."""
        return (
            isinstance(other, ErrorReport)
            and self.dataset_version == other.dataset_version
            and (self.n, self.metric) == (other.n, other.metric)
        )

    def scalars(self) -> Iterator[tuple[str, float | None]]:
        """See `Report`."""
        yield "test_error", self.error
        yield "latency_ms", self.latency_ms
        yield "size_bytes", self.size_bytes


AnyReport = EvaluationReport | GenerationReport | ErrorReport
_REPORT: TypeAdapter[AnyReport] = TypeAdapter(Annotated[AnyReport, Field(discriminator="kind")])


def parse_report(text: str) -> AnyReport:
    """A report from its JSON.

    Raises:
        ValueError: If it is none.
    """
    return _REPORT.validate_json(text)


@dataclass(frozen=True)
class Reliability:
    """Predictions by confidence, in bins of equal width.

    Attributes:
        confidence: (bins,) mean probability of the predicted class; NaN for an empty bin.
        accuracy: (bins,) share of correct predictions; NaN for an empty bin.
        counts: (bins,) predictions.
    """

    confidence: npt.NDArray[np.float64]
    accuracy: npt.NDArray[np.float64]
    counts: npt.NDArray[np.int64]

    @property
    def error(self) -> float:
        """Expected calibration error (Guo et al., 2017, eq. 3), in [0, 1]."""
        gaps = np.nan_to_num(np.abs(self.confidence - self.accuracy))
        return float((gaps * self.counts).sum() / self.counts.sum())


def reliability(
    probabilities: npt.NDArray[np.float32], labels: npt.ArrayLike, bins: int = CALIBRATION_BINS
) -> Reliability:
    """Sort predictions into bins by their confidence.

    Args:
        probabilities: (N, classes) predicted; one that is not a number counts as 0.
        labels: (N,) true classes.
        bins: Number of bins between 0 and 1.
    """
    confidence = np.nan_to_num(probabilities.max(1).astype(np.float64))
    correct = probabilities.argmax(1) == np.asarray(labels)
    place = np.clip((confidence * bins).astype(np.int64), 0, bins - 1)
    counts = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):
        means = [np.bincount(place, of, minlength=bins) / counts for of in (confidence, correct)]
    return Reliability(means[0], means[1], counts)


def confusion_matrix(
    labels: npt.ArrayLike, predictions: npt.ArrayLike, classes: int
) -> npt.NDArray[np.int64]:
    """(classes, classes) counts; row: true class, column: predicted class.

    Raises:
        ValueError: If a class is not in [0, classes).
    """
    for values in (labels, predictions):
        found = np.asarray(values)
        if found.size and not (found.min() >= 0 and found.max() < classes):
            raise ValueError(f"classes must be in 0..{classes - 1}")
    flat = np.asarray(labels) * classes + np.asarray(predictions)
    return np.bincount(flat, minlength=classes * classes).reshape(classes, classes)
