"""Optimisers and learning-rate schedules from a configuration."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from components.training.config import OptimizerName, ScheduleName


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Weights with decay, biases and normalisation parameters (one dimension) without."""
    decayed = [p for p in model.parameters() if p.requires_grad and p.ndim > 1]
    others = [p for p in model.parameters() if p.requires_grad and p.ndim <= 1]
    groups = [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def make_optimizer(
    model: nn.Module, name: OptimizerName, *, lr: float, momentum: float, weight_decay: float
) -> torch.optim.Optimizer:
    """Build the optimiser; `momentum` is SGD's momentum, and Adam's first beta when not 0."""
    groups = parameter_groups(model, weight_decay)
    if name == "sgd":
        return torch.optim.SGD(groups, lr=lr, momentum=momentum, fused=True)
    betas = (momentum or 0.9, 0.999)
    kind = torch.optim.Adam if name == "adam" else torch.optim.AdamW
    return kind(groups, lr=lr, betas=betas, fused=True)


def make_schedule(
    optimizer: torch.optim.Optimizer, name: ScheduleName, *, total_steps: int, warmup: float
) -> LambdaLR:
    """A learning-rate schedule stepped once per batch.

    Args:
        optimizer: Its lr is the peak.
        name: `constant`; `one_cycle`, linear up and linear down to 0 (Smith and Topin, 2018,
            without the final annihilation phase); `cosine`, linear warm-up and half a cosine
            down to 0 (Loshchilov and Hutter, 2017).
        total_steps: Number of batches in the whole run.
        warmup: Share of the steps spent rising, in [0, 1).
    """
    rise = max(1, round(total_steps * warmup)) if warmup else 0

    def factor(step: int) -> float:
        if name == "constant":
            return 1.0
        if step < rise:
            return (step + 1) / rise
        progress = min(1.0, (step - rise) / max(1, total_steps - rise))
        if name == "one_cycle":
            return 1.0 - progress
        return 0.5 * (1.0 + math.cos(math.pi * progress))

    return LambdaLR(optimizer, factor)
