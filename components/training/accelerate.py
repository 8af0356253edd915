"""Faster forward and backward passes of the same network."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from components.training.config import Precision
from components.training.distributed import Group
from components.training.precision import mixed

Forward = Callable[[torch.Tensor], torch.Tensor]


def accelerated(
    model: nn.Module,
    sample: torch.Tensor,
    group: Group,
    *,
    precision: Precision,
    compiled: bool,
    cuda_graphs: bool,
) -> Forward:
    """The forward pass for training; parameters stay those of `model`.

    Args:
        model: In training mode on the device of `sample`.
        sample: A full batch as it will be given, for the recording of CUDA graphs.
        group: Gradients are averaged over it.
        precision: Of the arithmetic.
        compiled: Whether torch.compile translates the network, once for each batch size.
        cuda_graphs: Whether a GPU replays the recorded kernels of a full batch; elsewhere, and
            for several processes, there is nothing to replay.
    """
    if compiled:
        model.compile()
    if cuda_graphs and sample.device.type == "cuda" and group.size == 1:
        return _recorded(model, sample, precision)
    return group.wrap(model)


def _recorded(model: nn.Module, sample: torch.Tensor, precision: Precision) -> Forward:
    """Full batches replay a graph (forward and backward); others run as usual."""
    eager = model.forward
    # Recording runs a few batches; statistics that they leave behind are taken back, in place.
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with mixed(precision, sample.device):
        torch.cuda.make_graphed_callables(model, (sample.clone(),))
    model.load_state_dict(before)

    def forward(images: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = (model if images.shape == sample.shape else eager)(images)
        return scores

    return forward
