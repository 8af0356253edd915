"""Datasets: one file and one line here for each (see base.DatasetSpec)."""

from __future__ import annotations

from components.catalog import Catalog
from components.datasets.base import DatasetSpec

DATASETS: Catalog[DatasetSpec] = Catalog(
    "dataset",
    {
        "fashion_mnist": "components.datasets.fashion_mnist:SPEC",
        "fashion_mnist_sample": "components.datasets.fashion_mnist:SAMPLE",
    },
)
