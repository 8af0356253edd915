"""Points of a two-dimensional Gaussian, as in Dive into Deep Learning 20.1: X A + b."""

from __future__ import annotations

import numpy as np

from components.datasets.base import (
    DataKind,
    DatasetSpec,
    PrepareConfig,
    RawTensors,
    ReadRequest,
    Split,
    Tensors,
)
from components.datasets.linear import drawn_here

MATRIX = np.array([[1, 2], [-0.1, 0.5]])
OFFSET = np.array([1, 2])
SIZES = {Split.TRAIN: 1000, Split.VALIDATION: 1000, Split.TEST: 1000}


def _read(request: ReadRequest[PrepareConfig]) -> RawTensors:
    """Points (N, 2) with mean b and covariance A^T A; there is nothing to predict."""
    rng = np.random.default_rng(request.config.seed)
    splits = {
        split: Tensors(
            (rng.standard_normal((count, 2)) @ MATRIX + OFFSET).astype(np.float32),
            np.empty((count, 0), np.float32),
        )
        for split, count in SIZES.items()
    }
    truth = {
        "A": MATRIX.tolist(),
        "b": OFFSET.tolist(),
        "covariance": (MATRIX.T @ MATRIX).tolist(),
    }
    return RawTensors(splits, truth)


SPEC = DatasetSpec(
    name="gaussian_2d",
    title="Points of a two-dimensional Gaussian",
    licence="Apache-2.0",
    homepage="https://d2l.ai/chapter_generative-adversarial-networks/gan.html",
    fetch=drawn_here,
    read=_read,
    kind=DataKind.TENSORS,
)
