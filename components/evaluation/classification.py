"""Evaluating a classifier on a test split that is resident on a device."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from components.datasets.device_loader import DeviceSplit, TokenSplit
from components.evaluation.cost import latency, size_bytes
from components.evaluation.report import EvaluationReport, confusion_matrix, reliability
from components.training.classifier import EVALUATION_BATCH


@dataclass(frozen=True)
class Subject:
    """What is evaluated on what: names that end up in the report."""

    model: str
    dataset: str
    dataset_version: str
    class_names: tuple[str, ...] = ()


@torch.inference_mode()
def evaluate_classifier(
    model: nn.Module, test: DeviceSplit | TokenSplit, subject: Subject
) -> tuple[EvaluationReport, npt.NDArray[np.float32]]:
    """Evaluate `model` on every example of `test`.

    Args:
        model: From (B, C, H, W) float32 in [0, 1], or (B, L) int64 token ids, to (B, classes)
            scores.
        test: The held-out split.
        subject: Names for the report.

    Returns:
        The report, and the (N, classes) predicted probabilities.
    """
    scores = torch.cat([model(images) for images in test.deployed(EVALUATION_BATCH)])
    predictions = scores.argmax(1)
    classes = len(subject.class_names)
    counts = confusion_matrix(test.labels.cpu(), predictions.cpu(), classes)
    hits = counts.diagonal()
    probabilities: npt.NDArray[np.float32] = scores.softmax(1).cpu().numpy()
    speed = latency(model, next(test.deployed(1)))
    report = EvaluationReport(
        model=subject.model,
        dataset=subject.dataset,
        dataset_version=subject.dataset_version,
        class_names=subject.class_names,
        labels=tuple(test.labels.tolist()),
        predictions=tuple(predictions.tolist()),
        accuracy=int((predictions == test.labels).sum()) / len(test),
        loss=float(nn.functional.cross_entropy(scores, test.labels)),
        precision=tuple((hits / np.maximum(counts.sum(0), 1)).tolist()),
        recall=tuple((hits / np.maximum(counts.sum(1), 1)).tolist()),
        calibration_error=reliability(probabilities, test.labels.cpu().numpy()).error,
        latency_ms=speed.median,
        latency_quartiles_ms=speed.quartiles,
        size_bytes=size_bytes(model),
    )
    return report, probabilities
