"""A training process that asks at every step whether it may go on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import torch

from components.datasets.base import Arrays
from components.datasets.device_loader import DeviceSplit, to_device
from components.models.lenet import lenet_modern
from components.training.classifier import train_classifier
from components.training.config import TrainConfig
from components.training.reporting import SilentReporter

CONFIG = TrainConfig(epochs=8, batch_size=16, lr=0.05, weight_decay=1e-3, lr_schedule="cosine")


def split(n: int, seed: int) -> DeviceSplit:
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (n, 1, 12, 12)).astype(np.uint8)
    labels = rng.integers(0, 4, n)
    return to_device(Arrays(images, labels), (0.5,), (0.25,), torch.device("cpu"))


class AskingSplit(DeviceSplit):
    """Asks before every batch."""

    ask: Connection

    def shuffled(
        self, batch_size: int, generator: torch.Generator
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        for batch in super().shuffled(batch_size, generator):
            may_go_on(ASK, "batch?")
            yield batch


ASK: Connection | None = None


def may_go_on(connection: Connection | None, what: str = "?") -> None:
    if connection is not None:
        connection.send(what)
        connection.recv()


def train(folder: Path, result: Path, connection: Connection | None) -> None:
    """Train in `folder`, leave the weights in `result`; wait for an answer at every step."""
    global ASK
    ASK = connection
    torch.set_num_threads(1)
    for name in ("fsync", "replace"):
        setattr(os, name, _asking(getattr(os, name)))
    torch.manual_seed(CONFIG.seed)
    model = lenet_modern((1, 12, 12), 4)
    plain = split(64, 1)
    data = AskingSplit(plain.images, plain.labels, plain.mean, plain.std)
    train_classifier(model, data, split(40, 2), CONFIG, folder, SilentReporter())
    torch.save(model.state_dict(), result)
    if connection is not None:
        connection.send("done")


def _asking(call):
    def asking(*args):
        may_go_on(ASK)
        return call(*args)

    return asking
