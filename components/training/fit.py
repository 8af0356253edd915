"""From prepared data to a trained network: one process, or one of several that torchrun started.

torchrun --nproc-per-node 2 -m components.training.fit REQUEST.json
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict
from torch import nn

from components.datasets.base import Split
from components.datasets.device_loader import tensors_to_device
from components.datasets.prepared import PreparedDataset, PreparedTensors, load
from components.datasets.stream import open_split
from components.errors import ConfigError, CorruptDataError, NightforgeError
from components.models import MODELS
from components.models.network import NetworkConfig
from components.models.spec import ModelKind, ModelSpec
from components.training.classifier import (
    TrainConfig,
    TrainingSplit,
    TrainResult,
    train_classifier,
)
from components.training.distributed import SOLO, Group, joined_group
from components.training.loop import LoopConfig
from components.training.objective import CLASSIFICATION, REGRESSION
from components.training.precision import pick_device
from components.training.reporting import Epoch, Reporter, SilentReporter, UInt8Images

EPOCH_LINE, ERROR_LINE = "epoch: ", "error: "
GIB = 1 << 30


class FitRequest(BaseModel):
    """Everything a training process must know.

    Attributes:
        directory: Prepared data.
        model: A classifier or regressor of the catalog.
        folder: Keeps the checkpoints; None keeps nothing.
        until: Pause after so many epochs; None trains to the end.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    directory: Path
    model: str
    network: NetworkConfig = NetworkConfig()
    training: TrainConfig = TrainConfig()
    folder: Path | None = None
    until: int | None = None


@dataclass(frozen=True)
class Fitted:
    """A trained network with the data it was trained on."""

    net: nn.Module
    prepared: PreparedDataset | PreparedTensors
    result: TrainResult


@dataclass(frozen=True)
class OpenData:
    """Prepared data with the two splits that training needs, on the device."""

    prepared: PreparedDataset | PreparedTensors
    train: TrainingSplit
    validation: TrainingSplit


def open_data(request: FitRequest) -> OpenData:
    """Open what the request names.

    Raises:
        ConfigError: If the model cannot learn from such data.
        DataError: If the data are damaged or fewer than a batch.
    """
    spec, prepared, device = MODELS.get(request.model), load(request.directory), pick_device()
    refuse_mismatch(request.model, spec, prepared)
    refuse_small(prepared, request.training)
    train, validation = (
        _open(prepared, split, device, request.training)
        for split in (Split.TRAIN, Split.VALIDATION)
    )
    return OpenData(prepared, train, validation)


def fit(
    request: FitRequest,
    reporter: Reporter,
    group: Group = SOLO,
    data: OpenData | None = None,
) -> Fitted:
    """Open the data unless they are given, build the network from the seed, train it.

    Raises:
        ConfigError: If the model cannot learn from such data.
        DataError: If the data are damaged or fewer than a batch.
        TrainingError: If training cannot go on.
    """
    spec, config = MODELS.get(request.model), request.training
    data = data or open_data(request)
    prepared = data.prepared
    torch.manual_seed(config.seed)
    if isinstance(prepared, PreparedTensors):
        sizes: tuple[object, ...] = (prepared.card.feature_width, prepared.card.target_width)
    else:
        sizes = (prepared.card.image_shape, len(prepared.card.class_names))
    net: nn.Module = request.network.build(spec, *sizes).to(data.train.device)
    objective = REGRESSION if spec.kind is ModelKind.REGRESSOR else CLASSIFICATION
    result = train_classifier(
        net,
        data.train,
        data.validation,
        config,
        request.folder,
        reporter,
        objective,
        group,
        request.until,
    )
    return Fitted(net, prepared, result)


def _open(
    prepared: PreparedDataset | PreparedTensors,
    split: Split,
    device: torch.device,
    config: LoopConfig,
) -> TrainingSplit:
    if isinstance(prepared, PreparedTensors):
        return tensors_to_device(prepared.splits[split], device)
    card, resident = prepared.card, int(config.resident_gib * GIB)
    return open_split(prepared.splits[split], card.mean, card.std, device, resident)


def refuse_mismatch(
    model: str, spec: ModelSpec, prepared: PreparedDataset | PreparedTensors
) -> None:
    """Refuse data that a model cannot learn from.

    Raises:
        ConfigError: Naming model, dataset and what fits.
    """
    images = isinstance(prepared, PreparedDataset)
    targets = prepared.card.target_width if isinstance(prepared, PreparedTensors) else 1
    wanted = {
        ModelKind.CLASSIFIER: "images with class labels",
        ModelKind.IMAGE_GAN: "images",
        ModelKind.REGRESSOR: "features and targets, as linear and high_dimensional have",
        ModelKind.POINT_GAN: "points, as gaussian_2d has",
    }[spec.kind]
    if images != spec.kind.images or (spec.kind is ModelKind.REGRESSOR and not targets):
        raise ConfigError(
            f"model {model} on dataset {prepared.card.name}",
            got="images" if images else "tensors of a generated problem",
            wanted=wanted,
            remedy="Choose another dataset, or another model.",
        )


def refuse_small(prepared: PreparedDataset | PreparedTensors, config: LoopConfig) -> None:
    """Refuse a training split that does not fill one batch.

    Raises:
        CorruptDataError: With the two numbers.
    """
    count = prepared.card.counts[Split.TRAIN]
    if count < config.batch_size:
        raise CorruptDataError(
            f"dataset {prepared.card.name}",
            got=f"{count} training examples",
            wanted=f"at least one batch of {config.batch_size}",
            remedy="Add examples, or lower the batch size.",
        )


class _PrintingReporter:
    """Tells the process that started torchrun of each epoch, on standard output."""

    def on_epoch(self, metrics: Epoch, epochs: int) -> None:
        values = {"epoch": metrics.epoch, **metrics.metrics()}
        _tell(EPOCH_LINE + json.dumps([values, epochs]))

    def on_samples(self, epoch: int, samples: UInt8Images) -> None:
        """Classifiers show none."""


def _tell(line: str) -> None:
    """Write a line that the other processes, on the same pipe, can neither split nor continue.

    One write of at most PIPE_BUF bytes is atomic (POSIX); print writes the line's end by itself
    where Python does not buffer.
    """
    os.write(sys.stdout.fileno(), f"\n{line}\n".encode())


def main(path: Path) -> None:
    """Train as one process of a group; an error of ours is told on standard output, too."""
    request = FitRequest.model_validate_json(path.read_text(encoding="utf-8"))
    with joined_group() as group:
        try:
            fit(request, SilentReporter() if group.rank else _PrintingReporter(), group)
        except NightforgeError as error:
            _tell(ERROR_LINE + json.dumps(error.words))
            raise


if __name__ == "__main__":
    main(Path(sys.argv[1]))
