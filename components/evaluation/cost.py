"""What a model costs: time for one example, bytes of weights."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass

import torch
from torch import nn

from components.training.precision import synchronise

LATENCY_RUNS = 50
LATENCY_WARMUP = 10


@dataclass(frozen=True)
class Latency:
    """Milliseconds for one example.

    Attributes:
        median: Over LATENCY_RUNS.
        quartiles: First and third, which say how much of a difference is noise.
    """

    median: float
    quartiles: tuple[float, float]


@torch.inference_mode()
def latency(model: nn.Module, example: torch.Tensor) -> Latency:
    """Time one example again and again.

    Args:
        model: In evaluation mode.
        example: A batch of one, on the model's device.
    """
    times = []
    for run in range(LATENCY_WARMUP + LATENCY_RUNS):
        start = time.perf_counter()
        model(example)
        synchronise(example.device)
        if run >= LATENCY_WARMUP:
            times.append(1000 * (time.perf_counter() - start))
    first, median, third = statistics.quantiles(times, n=4)
    return Latency(median, (first, third))


def size_bytes(model: nn.Module) -> int:
    """Bytes of all weights and buffers."""
    tensors = [*model.parameters(), *model.buffers()]
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
