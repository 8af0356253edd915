"""The classifier loop: resident data, one synchronisation an epoch, resumable at each."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import torch
import torch.nn.functional as F  # noqa: N812
from pydantic import BaseModel, ConfigDict, Field
from torch import nn

from components.allocator import keep_freed_memory
from components.datasets.device_loader import DeviceSplit
from components.datasets.stream import StreamedSplit
from components.errors import CheckpointError, NonFiniteLossError
from components.training.checkpoint import BEST, LAST, State, load_checkpoint, save_checkpoint
from components.training.optim import OptimizerName, ScheduleName, make_optimizer, make_schedule
from components.training.precision import synchronise
from components.training.reporting import EpochMetrics, Reporter

EVALUATION_BATCH = 1000
TrainingSplit = DeviceSplit | StreamedSplit


class TrainConfig(BaseModel):
    """How a classifier is trained (params.yaml: training)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: Annotated[int, Field(ge=1, le=1000, description="Passes over the training images")] = 10
    batch_size: Annotated[int, Field(ge=1, le=65536, description="Images per step")] = 128
    optimizer: Annotated[OptimizerName, Field(description="Update rule")] = "sgd"
    lr: Annotated[float, Field(gt=0, le=100, description="Peak learning rate")] = 0.1
    momentum: Annotated[
        float, Field(ge=0, lt=1, description="SGD momentum; first beta of Adam if not 0")
    ] = 0.9
    weight_decay: Annotated[
        float, Field(ge=0, le=10, description="On weights, not on biases and norms")
    ] = 0.0
    lr_schedule: Annotated[ScheduleName, Field(description="Course of the learning rate")] = (
        "one_cycle"
    )
    warmup: Annotated[
        float, Field(ge=0, lt=1, description="Share of the steps in which the rate rises")
    ] = 0.2
    label_smoothing: Annotated[
        float, Field(ge=0, lt=1, description="Probability spread over the other classes")
    ] = 0.0
    resident_gib: Annotated[
        float,
        Field(
            gt=0,
            le=1024,
            description="Splits up to this many GiB of pixels are held on the device; larger ones "
            "are streamed in shuffled blocks",
        ),
    ] = 8.0
    seed: Annotated[
        int,
        Field(
            ge=0, le=2**31 - 1, description="Same seed and inputs: the same weights, bit for bit"
        ),
    ] = 0


@dataclass(frozen=True)
class TrainResult:
    """A finished training run.

    Attributes:
        history: One entry per epoch, including those of earlier attempts.
        resumed_from: Epochs that an earlier attempt had already finished.
        best_epoch: The epoch whose weights the model now has.
    """

    history: Sequence[EpochMetrics]
    resumed_from: int
    best_epoch: int


def train_classifier(
    model: nn.Module,
    train: TrainingSplit,
    validation: TrainingSplit,
    config: TrainConfig,
    folder: Path | None,
    reporter: Reporter,
) -> TrainResult:
    """Train `model` in place; it ends with the weights of the best validation accuracy.

    Args:
        model: On the same device as the data; initialised from `config.seed` by the caller.
        train: Images to learn from.
        validation: Images to choose the epoch by.
        config: All tunable numbers.
        folder: Keeps the checkpoints; a run found there goes on. None keeps nothing.
        reporter: Told of every epoch; after a resume, of the earlier ones again.

    Raises:
        NonFiniteLossError: If the loss of an epoch is not finite; the last good epoch's
            checkpoint stays.
        CheckpointError: If a checkpoint cannot be written or read.
    """
    device = train.device
    if device.type == "cpu":
        keep_freed_memory()
    model.to(memory_format=torch.channels_last)
    steps = config.epochs * math.ceil(len(train) / config.batch_size)
    optimizer = make_optimizer(
        model,
        config.optimizer,
        lr=config.lr,
        momentum=config.momentum,
        weight_decay=config.weight_decay,
    )
    schedule = make_schedule(optimizer, config.lr_schedule, total_steps=steps, warmup=config.warmup)
    parts = {"model": model, "optimizer": optimizer, "schedule": schedule}
    history, best = _resume(folder, parts, device)
    for metrics in history:
        reporter.on_epoch(metrics, config.epochs)
    resumed_from = len(history)
    for epoch in range(resumed_from + 1, config.epochs + 1):
        metrics = _run_epoch(model, train, validation, config, optimizer, schedule, epoch)
        history.append(metrics)
        improved = best is None or metrics.validation_accuracy > best["accuracy"]
        if improved:
            weights = {name: value.clone() for name, value in model.state_dict().items()}
            best = {"accuracy": metrics.validation_accuracy, "epoch": epoch, "model": weights}
        if folder:
            _save(folder, parts, history, best if improved else None)
        reporter.on_epoch(metrics, config.epochs)
    assert best is not None
    model.load_state_dict(best["model"])
    return TrainResult(history, resumed_from, best["epoch"])


def _run_epoch(
    model: nn.Module,
    train: TrainingSplit,
    validation: TrainingSplit,
    config: TrainConfig,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    epoch: int,
) -> EpochMetrics:
    # Order and dropout of an epoch depend on (seed, epoch) alone: a resumed run repeats them
    # without any saved random state.
    generator = torch.Generator().manual_seed(config.seed * 1_000_003 + epoch)
    torch.manual_seed(int(torch.randint(2**62, (1,), generator=generator)))
    device, lr = train.device, config.lr
    loss_sum = torch.zeros((), device=device)
    correct = torch.zeros((), dtype=torch.int64, device=device)
    start = time.perf_counter()
    model.train()
    for images, labels in train.shuffled(config.batch_size, generator):
        scores = model(images)
        loss = F.cross_entropy(scores, labels, label_smoothing=config.label_smoothing)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        lr = float(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
        with torch.no_grad():
            loss_sum += loss * len(labels)
            correct += (scores.argmax(1) == labels).sum()
    synchronise(device)
    trained = time.perf_counter()
    train_loss = _finite(float(loss_sum) / len(train), "training", epoch, lr)
    validation_loss, accuracy = validate(model, validation)
    return EpochMetrics(
        epoch=epoch,
        train_loss=train_loss,
        train_accuracy=int(correct) / len(train),
        validation_loss=_finite(validation_loss, "validation", epoch, lr),
        validation_accuracy=accuracy,
        lr=lr,
        seconds=time.perf_counter() - start,
        images_per_second=len(train) / (trained - start),
    )


@torch.inference_mode()
def validate(model: nn.Module, split: TrainingSplit) -> tuple[float, float]:
    """Mean cross-entropy and accuracy in [0, 1] of `model` on `split`, in evaluation mode."""
    model.eval()
    loss = torch.zeros((), device=split.device)
    correct = torch.zeros((), dtype=torch.int64, device=split.device)
    for images, labels in split.in_order(EVALUATION_BATCH):
        scores = model(images)
        loss += F.cross_entropy(scores, labels, reduction="sum")
        correct += (scores.argmax(1) == labels).sum()
    return float(loss) / len(split), int(correct) / len(split)


def _finite(loss: float, which: str, epoch: int, lr: float) -> float:
    if math.isfinite(loss):
        return loss
    raise NonFiniteLossError(
        f"{which} loss of epoch {epoch}",
        got=str(loss),
        wanted="a finite number",
        remedy=f"Lower the learning rate (it was {lr:g}); the last good checkpoint is kept.",
    )


def _save(folder: Path, parts: State, history: list[EpochMetrics], best: State | None) -> None:
    if best is not None:
        save_checkpoint(folder / BEST, best)
    state: State = {name: part.state_dict() for name, part in parts.items()}
    state["history"] = [asdict(metrics) for metrics in history]
    save_checkpoint(folder / LAST, state)


def _resume(
    folder: Path | None, parts: State, device: torch.device
) -> tuple[list[EpochMetrics], State | None]:
    state = load_checkpoint(folder / LAST, device) if folder else None
    best = load_checkpoint(folder / BEST, device) if folder else None
    if state is None or best is None:
        return [], None
    try:
        for name, part in parts.items():
            part.load_state_dict(state[name])
        history = [EpochMetrics(**metrics) for metrics in state["history"]]
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise CheckpointError(
            f"checkpoint {folder}",
            got=f"the state of something else ({' '.join(str(error).split())[:200]})",
            wanted="the state of this model, optimiser and schedule",
            remedy="Delete the folder; the run then starts from the beginning.",
        ) from error
    # If a kill fell between the two writes, `best` is already that of the epoch that is now
    # repeated, with the same weights.
    return history, best
