"""The loop for classifiers and regressors: resident data, one synchronisation an epoch."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from components.datasets.device_loader import DeviceSplit, TensorSplit, TokenSplit
from components.datasets.stream import StreamedSplit
from components.models.spec import Staged
from components.training.accelerate import Forward, accelerated
from components.training.augment import AUGMENTATIONS
from components.training.config import TrainConfig
from components.training.distributed import SOLO, Group
from components.training.loop import Progress, Session, not_finite, refuse_not_finite
from components.training.memory import explained
from components.training.objective import CLASSIFICATION, Objective
from components.training.optim import make_optimizer, make_schedule
from components.training.precision import mixed, peak_memory_mib, synchronise, tuned
from components.training.reporting import EpochMetrics, Reporter

EVALUATION_BATCH = 1000
TrainingSplit = DeviceSplit | StreamedSplit | TensorSplit | TokenSplit


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
    objective: Objective = CLASSIFICATION,
    group: Group = SOLO,
    until: int | None = None,
) -> TrainResult:
    """Train `model` in place; it ends with the weights of the best validation epoch.

    Args:
        model: On the same device as the data; initialised from `config.seed` by the caller.
        train: Examples to learn from.
        validation: Examples to choose the epoch by: accuracy, or loss where there is none.
        config: All tunable numbers.
        folder: Keeps the checkpoints; a run found there goes on. None keeps nothing.
        reporter: Told of every epoch; after a resume, of the earlier ones again.
        objective: Loss and hits; `objective.REGRESSION` makes it a regressor.
        group: Processes that share every batch.
        until: Pause after so many epochs; the same call with more goes on from there.

    Raises:
        NonFiniteLossError: If a loss is not finite; the last good epoch's checkpoint stays.
        CheckpointError: If a checkpoint cannot be written or read.
        OutOfMemoryError: If a step does not fit; names the batch size that does.
    """
    device = train.device
    model.to(memory_format=torch.channels_last)
    steps = math.ceil(len(train) / config.batch_size)
    optimizer = make_optimizer(
        model,
        config.optimizer,
        lr=config.lr,
        momentum=config.momentum,
        weight_decay=config.weight_decay,
    )
    schedule = make_schedule(
        optimizer, config.lr_schedule, total_steps=steps * config.epochs, warmup=config.warmup
    )
    parts: dict[str, Any] = {"model": model, "optimizer": optimizer, "schedule": schedule}
    session = Session(folder, parts, EpochMetrics, device, group)
    loop = _Loop(model, config, objective, optimizer, schedule, group, session)

    def work() -> None:
        for epoch in session.epochs(config, reporter, until):
            with explained(config.batch_size, lambda size: loop.attempt(train, size)):
                metrics = loop.run(epoch, train, validation, steps)
            accuracy = metrics.validation_accuracy
            score = -metrics.validation_loss if accuracy is None else accuracy
            session.finish(metrics, score, model.state_dict)

    with tuned(device, deterministic=config.deterministic):
        session.run(work)
    model.load_state_dict(session.best_weights)
    return TrainResult(session.history, session.resumed_from, session.best_epoch)


@dataclass
class _Loop:
    model: nn.Module
    config: TrainConfig
    objective: Objective
    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    group: Group
    session: Session[EpochMetrics]
    forward: Forward | None = None

    def run(
        self, epoch: int, train: TrainingSplit, validation: TrainingSplit, steps: int
    ) -> EpochMetrics:
        """One epoch: every training example once, then validation."""
        config, start = self.config, time.perf_counter()
        progress = self.session.begin(epoch, config.seed, steps, columns=3)
        first = progress.step
        self.model.train()
        if isinstance(self.model, Staged):
            self.model.begin_epoch(epoch, config.epochs)
        batches = train.shuffled(config.batch_size, progress.generator)
        for examples, targets in self.session.batches(progress, batches):
            self._step(examples, targets, progress)
        synchronise(train.device)
        trained = time.perf_counter() - start
        lr, loss, accuracy = self._training_means(progress, len(train))
        validation_loss, validation_accuracy = validate(self.model, validation, self.objective)
        if not math.isfinite(validation_loss):
            raise not_finite(f"validation loss of epoch {epoch}", validation_loss, lr)
        done = max(1, progress.step - first)
        return EpochMetrics(
            epoch=epoch,
            train_loss=loss,
            train_accuracy=accuracy,
            validation_loss=validation_loss,
            validation_accuracy=validation_accuracy,
            lr=lr,
            seconds=time.perf_counter() - start,
            images_per_second=len(train) * done / progress.step / trained,
            step_milliseconds=1000 * trained / done,
            peak_memory_mib=peak_memory_mib(train.device),
        )

    def _step(self, examples: torch.Tensor, targets: torch.Tensor, progress: Progress) -> None:
        config, count = self.config, len(targets)
        examples = AUGMENTATIONS[config.augment](self.group.share(examples))
        targets = self.group.share(targets)
        scores, loss = self._loss(examples, targets)
        self.optimizer.zero_grad(set_to_none=True)
        # DistributedDataParallel averages over the processes, whose shares may differ by one.
        (loss * (self.group.size / count)).backward()  # type: ignore[no-untyped-call]
        if config.clip_norm:
            nn.utils.clip_grad_norm_(self.model.parameters(), config.clip_norm)
        lr = float(self.optimizer.param_groups[0]["lr"])
        self.optimizer.step()
        self.schedule.step()
        with torch.no_grad():
            row = progress.table[progress.step]
            row[0], row[2] = loss, lr
            if self.objective.hits:
                row[1] = self.objective.hits(scores, targets)

    def _loss(
        self, examples: torch.Tensor, targets: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        config = self.config
        if self.forward is None:
            self.forward = accelerated(
                self.model,
                examples,
                self.group,
                precision=config.precision,
                compiled=config.compile,
                cuda_graphs=config.cuda_graphs,
            )
        with mixed(config.precision, examples.device):
            scores = self.forward(examples)
        return scores, self.objective.loss(scores, targets, config.label_smoothing)

    def _training_means(self, progress: Progress, count: int) -> tuple[float, float, float | None]:
        """The last step's learning rate, mean loss and share of hits."""
        table = progress.table[: progress.step]
        rates = table[:, 2].tolist()
        sums = self.group.total(table[:, :2].contiguous()).cpu()
        refuse_not_finite(sums[:, 0].tolist(), rates, progress.epoch)
        loss, hits = (sums.sum(0) / count).tolist()
        return rates[-1], loss, hits if self.objective.hits else None

    def attempt(self, train: TrainingSplit, size: int) -> None:
        """One forward and backward pass over `size` examples that changes no weight."""
        batch = next(iter(train.shuffled(size, torch.Generator().manual_seed(0))))
        self.optimizer.zero_grad(set_to_none=True)
        with mixed(self.config.precision, train.device):
            scores = self.model(batch[0])
        self.objective.loss(scores, batch[1], 0.0).backward()  # type: ignore[no-untyped-call]
        self.optimizer.zero_grad(set_to_none=True)


@torch.inference_mode()
def validate(
    model: nn.Module, split: TrainingSplit, objective: Objective = CLASSIFICATION
) -> tuple[float, float | None]:
    """Mean loss, and share of hits in [0, 1], of `model` on `split`, in evaluation mode, fp32."""
    model.eval()
    table = torch.zeros(2, device=split.device)
    for examples, targets in split.in_order(EVALUATION_BATCH):
        scores = model(examples)
        table[0] += objective.loss(scores, targets, 0.0)
        if objective.hits:
            table[1] += objective.hits(scores, targets)
    loss, hits = table.tolist()
    return loss / len(split), hits / len(split) if objective.hits else None
