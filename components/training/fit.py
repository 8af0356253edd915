"""From prepared data to a trained network: one process, or one of several that torchrun started.

torchrun --nproc-per-node 2 -m components.training.fit REQUEST.json
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict
from torch import nn

from components.datasets.base import Arrays, Int64Array, Split, Tensors, Text
from components.datasets.device_loader import TokenSplit, tensors_to_device, tokens_to_device
from components.datasets.prepared import (
    WHAT,
    Prepared,
    PreparedDataset,
    PreparedTensors,
    PreparedTexts,
    load,
)
from components.datasets.stream import open_split
from components.errors import ConfigError, CorruptDataError, NightforgeError
from components.models import MODELS
from components.models.network import NetworkConfig
from components.models.spec import ModelKind, ModelSpec, Tokeniser
from components.training.classifier import TrainingSplit, TrainResult, train_classifier
from components.training.config import LoopConfig, TrainConfig
from components.training.distributed import SOLO, Group, joined_group
from components.training.objective import CLASSIFICATION, REGRESSION, SEQUENCE
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
    prepared: Prepared
    result: TrainResult
    tokeniser: Tokeniser | None


@dataclass(frozen=True)
class OpenData:
    """Prepared data with the two splits that training needs, on the device.

    Attributes:
        tokeniser: What turned texts into ids.
    """

    prepared: Prepared
    train: TrainingSplit
    validation: TrainingSplit
    tokeniser: Tokeniser | None = None


def open_data(request: FitRequest) -> OpenData:
    """Open what the request names.

    Raises:
        ConfigError: If the model cannot learn from such data.
        DataError: If the data are damaged or fewer than a batch.
    """
    spec, prepared, device = MODELS.get(request.model), load(request.directory), pick_device()
    refuse_mismatch(request.model, spec, prepared)
    refuse_small(prepared, request.training)
    _refuse_options(request, prepared)
    if isinstance(prepared, PreparedTexts):
        return _open_texts(request, spec, prepared, device)
    train, validation = (
        _open(prepared, split, device, request.training)
        for split in (Split.TRAIN, Split.VALIDATION)
    )
    return OpenData(prepared, train, validation)


def reading(request: FitRequest) -> tuple[object, ...]:
    """What of a request decides how its data are opened; equal for requests that can share them."""
    training, spec = request.training, MODELS.get(request.model)
    drawn = (training.examples, training.seed) if training.examples else None
    return drawn, spec.tokeniser, request.network.of(request.model) if spec.tokeniser else None


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
    elif isinstance(prepared, PreparedTexts):
        assert data.tokeniser
        sizes = (data.tokeniser.vocabulary, len(prepared.card.class_names))
    else:
        sizes = (prepared.card.image_shape, len(prepared.card.class_names))
    net: nn.Module = request.network.build(spec, *sizes).to(data.train.device)
    objective = REGRESSION if spec.kind is ModelKind.REGRESSOR else CLASSIFICATION
    if spec.targets:
        objective = SEQUENCE
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
    return Fitted(net, prepared, result, data.tokeniser)


def _open_texts(
    request: FitRequest, spec: ModelSpec, prepared: PreparedTexts, device: torch.device
) -> OpenData:
    chosen = _drawn(prepared, Split.TRAIN, request.training)
    rows = _rows(prepared.splits[Split.TRAIN], chosen)
    texts = [(text.text, text.second) for text in rows]
    tokeniser = request.network.tokeniser(spec, texts)
    train, validation = (
        tokenised(
            spec, prepared, split, tokeniser, device, _drawn(prepared, split, request.training)
        )
        for split in (Split.TRAIN, Split.VALIDATION)
    )
    return OpenData(prepared, train, validation, tokeniser)


def _drawn(prepared: Prepared, split: Split, config: TrainConfig) -> Int64Array | None:
    """Rows of a split that are used; None for all."""
    count = prepared.card.counts[split]
    if split is not Split.TRAIN or not 0 < config.examples < count:
        return None
    return np.sort(np.random.default_rng(config.seed).permutation(count)[: config.examples])


def _rows(texts: Sequence[Text], chosen: Int64Array | None) -> Sequence[Text]:
    return texts if chosen is None else [texts[row] for row in chosen]


def tokenised(
    spec: ModelSpec,
    prepared: PreparedTexts,
    split: Split,
    tokeniser: Tokeniser,
    device: torch.device,
    chosen: Int64Array | None = None,
) -> TokenSplit:
    """A split, or the chosen rows of it, as ids on a device."""
    texts = _rows(prepared.splits[split], chosen)
    if spec.targets:
        ids, targets = spec.targets(tokeniser, texts, prepared.card.class_names)
        aligned = spec.kind not in (ModelKind.SPAN_EXTRACTOR, ModelKind.MASKED_LM)
        return tokens_to_device(ids, targets, tokeniser.padding, device, aligned=aligned)
    ids = tokeniser.encode([(text.text, text.second) for text in texts])
    place = {name: label for label, name in enumerate(prepared.card.class_names)}
    labels = np.array([place[text.label] for text in texts], np.int64)
    return tokens_to_device(ids, labels, tokeniser.padding, device)


def _open(
    prepared: PreparedDataset | PreparedTensors,
    split: Split,
    device: torch.device,
    config: TrainConfig,
) -> TrainingSplit:
    chosen = _drawn(prepared, split, config)
    if isinstance(prepared, PreparedTensors):
        tensors = prepared.splits[split]
        if chosen is not None:
            tensors = Tensors(tensors.features[chosen], tensors.targets[chosen])
        return tensors_to_device(tensors, device)
    card, resident = prepared.card, int(config.resident_gib * GIB)
    arrays = prepared.splits[split]
    if chosen is not None:
        arrays = Arrays(arrays.images[chosen], arrays.labels[chosen])
    return open_split(arrays, card.mean, card.std, device, resident)


def refuse_mismatch(model: str, spec: ModelSpec, prepared: Prepared) -> None:
    """Refuse data that a model cannot learn from.

    Raises:
        ConfigError: Naming model, dataset and what fits.
    """
    targets = prepared.card.target_width if isinstance(prepared, PreparedTensors) else 1
    wanted = {
        ModelKind.CLASSIFIER: "images with class labels",
        ModelKind.IMAGE_GAN: "images",
        ModelKind.REGRESSOR: "features and targets, as linear and high_dimensional have",
        ModelKind.POINT_GAN: "points, as gaussian_2d has",
        ModelKind.TEXT_CLASSIFIER: "labelled texts, as reviews has",
        ModelKind.TOKEN_CLASSIFIER: "texts with marked entities, as entities has",
        ModelKind.SPAN_EXTRACTOR: "questions with passages, as passages has",
        ModelKind.MASKED_LM: "texts",
        ModelKind.CAUSAL_LM: "texts",
        ModelKind.SEQ2SEQ: "texts with what is to be written for them, as phrases has",
    }[spec.kind]
    kind, got = prepared.card.kind, WHAT[type(prepared)]
    task = prepared.card.task if isinstance(prepared, PreparedTexts) else None
    wrong = kind != spec.kind.data or (task is not None and task not in spec.kind.tasks)
    if wrong or (spec.kind is ModelKind.REGRESSOR and not targets):
        raise ConfigError(
            f"model {model} on dataset {prepared.card.name}",
            got=f"{got} for {task}" if task else got,
            wanted=wanted,
            remedy="Choose another dataset, or another model.",
        )


def _refuse_options(request: FitRequest, prepared: Prepared) -> None:
    """Refuse what only other data, or one process, can have."""
    training, texts = request.training, isinstance(prepared, PreparedTexts)
    if training.augment != "none" and not isinstance(prepared, PreparedDataset):
        raise ConfigError(
            f"training.augment on dataset {prepared.card.name}",
            got=training.augment,
            wanted=f"none: these are {WHAT[type(prepared)]}",
            remedy="Set training.augment=none.",
        )
    gradual = texts and request.network.encoder.train == "gradual"
    if gradual and training.processes > 1:
        raise ConfigError(
            "training.processes",
            got=f"{training.processes} with network.encoder.train=gradual",
            wanted="1: processes must agree from the start on what learns",
            remedy="Set training.processes=1, or train all layers.",
        )


def refuse_small(prepared: Prepared, config: LoopConfig) -> None:
    """Refuse a training split that does not fill one batch.

    Raises:
        CorruptDataError: With the two numbers.
    """
    count = prepared.card.counts[Split.TRAIN]
    if isinstance(config, TrainConfig) and config.examples:
        count = min(count, config.examples)
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
