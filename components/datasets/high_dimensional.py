"""More weights than rows, as in Dive into Deep Learning 3.7: d = 200 and 20 training rows."""

from __future__ import annotations

from functools import partial

import numpy as np

from components.datasets.base import DataKind, DatasetSpec, Split
from components.datasets.linear import drawn_here, read_linear

SPEC = DatasetSpec(
    name="high_dimensional",
    title="More weights than rows",
    licence="Apache-2.0",
    homepage="https://d2l.ai/chapter_linear-regression/weight-decay.html",
    fetch=drawn_here,
    read=partial(
        read_linear,
        weights=np.full(200, 0.01),
        bias=0.05,
        sizes={Split.TRAIN: 20, Split.VALIDATION: 100, Split.TEST: 100},
    ),
    kind=DataKind.TENSORS,
)
