"""Evaluating a regressor on a test split that is resident on a device."""

from __future__ import annotations

import torch
from torch import nn

from components.datasets.device_loader import TensorSplit
from components.evaluation.classification import Subject
from components.evaluation.cost import latency, size_bytes
from components.evaluation.report import ErrorReport
from components.training.classifier import EVALUATION_BATCH


@torch.inference_mode()
def evaluate_regressor(model: nn.Module, test: TensorSplit, subject: Subject) -> ErrorReport:
    """Squared errors, summed over the targets of an example.

    Args:
        model: From (B, features) to (B, targets).
        test: The held-out split.
        subject: Names for the report.
    """
    errors = [
        (model(features) - targets).square().sum(1)
        for features, targets in test.in_order(EVALUATION_BATCH)
    ]
    speed = latency(model, test.features[:1])
    return ErrorReport(
        model=subject.model,
        dataset=subject.dataset,
        dataset_version=subject.dataset_version,
        metric="squared error",
        errors=tuple(torch.cat(errors).tolist()),
        latency_ms=speed.median,
        latency_quartiles_ms=speed.quartiles,
        size_bytes=size_bytes(model),
    )
