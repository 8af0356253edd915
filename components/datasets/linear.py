"""A line with noise, as in Dive into Deep Learning 3.3: y = X w + b + noise."""

from __future__ import annotations

from functools import partial

import numpy as np

from components.datasets.base import (
    DataKind,
    DatasetSpec,
    FetchConfig,
    FetchRequest,
    Float32Array,
    PrepareConfig,
    RawTensors,
    ReadRequest,
    Split,
    Tensors,
)

BOOK = "https://d2l.ai/chapter_linear-regression/synthetic-regression-data.html"
WEIGHTS = np.array([2, -3.4])
BIAS = 4.2
NOISE = 0.01
SIZES = {Split.TRAIN: 1000, Split.VALIDATION: 1000, Split.TEST: 1000}


def drawn_here(request: FetchRequest[FetchConfig]) -> str:
    """There is nothing to fetch: the prepare stage draws the data from its seed."""
    return f"drawn by components/datasets/{request.name}.py"


def read_linear(
    request: ReadRequest[PrepareConfig],
    weights: Float32Array,
    bias: float,
    sizes: dict[Split, int],
) -> RawTensors:
    """Draw X ~ N(0, 1) and y = X w + b + N(0, 0.01^2).

    Args:
        request: Its configuration holds the seed.
        weights: (d,).
        bias: The offset.
        sizes: Rows of each split.
    """
    rng = np.random.default_rng(request.config.seed)
    splits = {}
    for split, count in sizes.items():
        features = rng.standard_normal((count, len(weights)))
        noise = NOISE * rng.standard_normal((count, 1))
        targets = features @ weights[:, None] + bias + noise
        splits[split] = Tensors(features.astype(np.float32), targets.astype(np.float32))
    return RawTensors(splits, {"w": weights.tolist(), "b": bias, "noise": NOISE})


SPEC = DatasetSpec(
    name="linear",
    title="A line with noise",
    licence="Apache-2.0",
    homepage=BOOK,
    fetch=drawn_here,
    read=partial(read_linear, weights=WEIGHTS, bias=BIAS, sizes=SIZES),
    kind=DataKind.TENSORS,
)
