"""Benchmarks: each measures ours against a reference in the same run, on the same machine."""

from __future__ import annotations

from collections.abc import Callable

from components.benchmarks.base import BenchmarkResult
from components.catalog import Catalog

Say = Callable[[str], None]

BENCHMARKS: Catalog[Callable[[Say], BenchmarkResult]] = Catalog(
    "benchmark", {"lenet-cpu": "components.benchmarks.lenet:lenet_cpu"}
)
