"""Several processes that train one model together (torchrun, DistributedDataParallel)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import distributed, nn


@dataclass(frozen=True)
class Group:
    """The processes of one run, each with its share of every batch.

    Attributes:
        rank: Number of this process, from 0.
        size: How many there are.
    """

    rank: int = 0
    size: int = 1

    def share(self, examples: torch.Tensor) -> torch.Tensor:
        """This process's part of a batch."""
        return examples if self.size == 1 else examples[self.rank :: self.size]

    def total(self, values: torch.Tensor) -> torch.Tensor:
        """The sum over all processes, everywhere."""
        if self.size > 1:
            distributed.all_reduce(values)
        return values

    def wrap(self, model: nn.Module) -> nn.Module:
        """The model with its gradients averaged over the processes; parameters stay shared."""
        return nn.parallel.DistributedDataParallel(model) if self.size > 1 else model

    def agreed(self, value: bool) -> bool:
        """What the first process says; clocks differ from process to process."""
        if self.size == 1:
            return value
        said = [value]
        distributed.broadcast_object_list(said, src=0)
        return said[0]

    def wait(self) -> None:
        """Until every process is here."""
        if self.size > 1:
            distributed.barrier()


SOLO = Group()


@contextmanager
def joined_group() -> Iterator[Group]:
    """The group that torchrun started this process in; alone where it did not."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield SOLO
        return
    gpu = torch.cuda.is_available()
    if gpu:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    distributed.init_process_group("nccl" if gpu else "gloo")
    try:
        yield Group(distributed.get_rank(), distributed.get_world_size())
    finally:
        distributed.destroy_process_group()
