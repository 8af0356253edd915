"""Datasets: one file NAME.py and one line here for each (see base.DatasetSpec)."""

from __future__ import annotations

from components.catalog import Catalog
from components.datasets.base import DatasetSpec

_NAMES = (
    "fashion_mnist",
    "fashion_mnist_sample",
    "sprites",
    "linear",
    "high_dimensional",
    "gaussian_2d",
    "pokemon",
    "cifar10",
    "reviews",
    "inference",
    "requests",
    "entities",
    "passages",
    "phrases",
    "notices",
    "stories",
    "topics",
    "subjects",
)

DATASETS: Catalog[DatasetSpec] = Catalog(
    "dataset", {name: f"components.datasets.{name}:SPEC" for name in _NAMES}
)
