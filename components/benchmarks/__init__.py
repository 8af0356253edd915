"""Benchmarks: each measures ours against a reference in the same run, on the same machine."""

from __future__ import annotations

from collections.abc import Callable

from pydantic import BaseModel

from components.catalog import Catalog

Say = Callable[[str], None]

BENCHMARKS: Catalog[Callable[[Say], BaseModel]] = Catalog(
    "benchmark",
    {
        "data": "components.benchmarks.data:data",
        "lenet-cpu": "components.benchmarks.lenet:lenet_cpu",
        "dcgan-cpu": "components.benchmarks.dcgan:dcgan_cpu",
        "sweep": "components.benchmarks.sweep:sweep",
        "sweep-replay": "components.benchmarks.sweep_replay:sweep_replay",
        "sweep-rivals": "components.benchmarks.sweep_rivals:sweep_rivals",
        "gate": "components.benchmarks.gate:gate",
        "gate-pairs": "components.benchmarks.gate_pairs:gate_pairs",
        "capacity": "components.benchmarks.capacity:capacity",
        "overhead": "components.benchmarks.overhead:overhead",
        "serve": "components.benchmarks.serve:serve",
        "text-cpu": "components.benchmarks.text:text_cpu",
        "chaos": "components.benchmarks.chaos:chaos",
        "lenet-gpu": "components.benchmarks.lenet:lenet_gpu",
        "dcgan-gpu": "components.benchmarks.dcgan:dcgan_gpu",
        "resnet-gpu": "components.benchmarks.resnet:resnet_gpu",
    },
)
