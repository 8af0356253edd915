"""Evaluating models whose error is a mean over examples: regressors, and text models."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from components.datasets.base import Int64Array
from components.datasets.device_loader import TensorSplit, TokenSplit
from components.evaluation.classification import Subject
from components.evaluation.cost import latency, size_bytes
from components.evaluation.report import ErrorReport
from components.training.classifier import EVALUATION_BATCH
from components.training.objective import sequence_hits

SEQUENCE_BATCH = 64  # scores of whole vocabularies are large


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
    return _report(model, test.features[:1], torch.cat(errors), "squared error", subject)


@torch.inference_mode()
def evaluate_sequences(
    model: nn.Module, test: TokenSplit, owners: Int64Array, subject: Subject
) -> ErrorReport:
    """Share of the positions of each example, of those asked about, that are wrong.

    Args:
        model: From ids (B, L) to scores (B, P, choices).
        test: The held-out split; its labels are (N, P).
        owners: (N,) the example of each row; one of several rows has the mean of their errors.
        subject: Names for the report.
    """
    batches = zip(
        test.deployed(SEQUENCE_BATCH), torch.split(test.labels, SEQUENCE_BATCH), strict=True
    )
    errors = [1 - sequence_hits(model(ids), targets) for ids, targets in batches]
    rows = torch.cat(errors).cpu().numpy()
    means = torch.from_numpy(np.bincount(owners, rows) / np.bincount(owners))
    return _report(model, test.ids[:1], means, "share of wrong positions", subject)


def _report(
    model: nn.Module, example: torch.Tensor, errors: torch.Tensor, metric: str, subject: Subject
) -> ErrorReport:
    speed = latency(model, example)
    return ErrorReport(
        model=subject.model,
        dataset=subject.dataset,
        dataset_version=subject.dataset_version,
        metric=metric,
        errors=tuple(errors.tolist()),
        latency_ms=speed.median,
        latency_quartiles_ms=speed.quartiles,
        size_bytes=size_bytes(model),
    )
