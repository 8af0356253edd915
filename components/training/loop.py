"""What all training loops share: their common numbers, and progress that survives a kill."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar, cast

import torch

from components.errors import CheckpointError, NonFiniteLossError
from components.fencing import Fence, fence_of
from components.training.checkpoint import BEST, LAST, State, load_checkpoint, save_checkpoint
from components.training.config import LoopConfig
from components.training.distributed import SOLO, Group
from components.training.reporting import Epoch, Reporter
from components.training.termination import StepDone, Termination

E = TypeVar("E", bound=Epoch)
T = TypeVar("T")
Weights = dict[str, torch.Tensor]


class Stateful(Protocol):
    """Anything whose state can be kept and restored."""

    def state_dict(self) -> dict[str, Any]:
        """The state as plain values and tensors."""

    def load_state_dict(self, state: Any) -> object:
        """Restore it."""


@dataclass
class Progress:
    """How far an epoch has come.

    Attributes:
        epoch: 1 for the first.
        step: Finished steps.
        table: (steps, columns) float32 on the device; a row for each finished step, so that one
            synchronisation at the end of the epoch tells everything.
        generator: Decides the order of the examples.
    """

    epoch: int
    step: int
    table: torch.Tensor
    generator: torch.Generator


class Session(Generic[E]):
    """A training run that goes on where a kill or a SIGTERM ended it.

    Checkpoints are written after every epoch: `last.pt` with everything the loop needs, and
    `best.pt` with the weights of the best epoch. A SIGTERM in the middle of an epoch waits for the
    step, which is finished and saved. An attempt that a newer one has fenced off writes none.

    Args:
        folder: Keeps the checkpoints; a run found there goes on. None keeps nothing.
        parts: What has a state: networks, optimisers, schedules.
        kind: Class of the epochs' metrics.
        device: Where the parts live.
        group: The processes that train together; only the first one writes.

    Attributes:
        history: The finished epochs, those of earlier attempts included.
        resumed_from: How many of them earlier attempts had finished.

    Raises:
        CheckpointError: If what is in the folder cannot be used.
    """

    def __init__(
        self,
        folder: Path | None,
        parts: Mapping[str, Stateful],
        kind: type[E],
        device: torch.device,
        group: Group = SOLO,
    ) -> None:
        self._folder, self._parts, self._device, self._group = folder, parts, device, group
        self._fence = Fence.standing(fence_of(folder)) if folder else None
        self._termination = Termination()
        self.history: list[E] = []
        self._best: State | None = None
        self._interrupted: State | None = None
        self._resume(kind)
        self.resumed_from = len(self.history)

    def run(self, work: Callable[[], T]) -> T:
        """Train; a SIGTERM or an interrupt from the keyboard waits for the end of the step."""
        if self._group.size > 1:  # processes that train together are ended together
            return work()
        return self._termination.run(work)

    @property
    def best_epoch(self) -> int:
        """The epoch with the highest score."""
        assert self._best is not None
        return int(self._best["epoch"])

    @property
    def best_weights(self) -> Weights:
        """The weights of that epoch."""
        assert self._best is not None
        weights: Weights = self._best["weights"]
        return weights

    def epochs(
        self, config: LoopConfig, reporter: Reporter, until: int | None = None
    ) -> Iterator[int]:
        """The numbers of the epochs that are still to be trained; the earlier ones are told.

        Args:
            config: Says when training is over.
            reporter: Told of each epoch.
            until: Pause after so many epochs, if training is not over before; the schedules are
                still those of the whole training.
        """
        for metrics in self.history:
            reporter.on_epoch(metrics, config.epochs)
        last = config.epochs if until is None else until
        while len(self.history) < last and not self._group.agreed(self._over(config)):
            yield len(self.history) + 1
            reporter.on_epoch(self.history[-1], config.epochs)

    def _over(self, config: LoopConfig) -> bool:
        """A function of the history alone, so that a resumed run ends where it would have."""
        if len(self.history) >= config.epochs:
            return True
        if self._best is None:
            return False
        if config.patience and len(self.history) - self.best_epoch >= config.patience:
            return True
        seconds = sum(metrics.seconds for metrics in self.history)
        return bool(config.max_minutes) and seconds > 60 * config.max_minutes

    def begin(self, epoch: int, seed: int, steps: int, columns: int) -> Progress:
        """Start an epoch, or take up an interrupted one.

        Order, dropout and augmentation of an epoch depend on (seed, epoch) alone: a resumed run
        repeats them without any random state saved between epochs.
        """
        generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
        noise = int(torch.randint(2**62, (1,), generator=generator))
        torch.manual_seed(noise + self._group.rank)
        table = torch.zeros(steps, columns, device=self._device)
        state, self._interrupted = self._interrupted, None
        if state is None or state["epoch"] != epoch:
            return Progress(epoch, 0, table, generator)
        torch.set_rng_state(state["random"].cpu())
        if self._device.type == "cuda":
            torch.cuda.set_rng_state(state["device_random"].cpu(), self._device)
        return Progress(epoch, int(state["step"]), state["table"].clone(), generator)

    def batches(self, progress: Progress, batches: Iterable[T]) -> Iterator[T]:
        """The batches that are not done yet; counts them, and obeys a SIGTERM after each."""
        for batch in islice(batches, progress.step, None):
            yield batch
            progress.step += 1
            if self._termination.requested:
                self._save_step(progress)
                raise StepDone

    def finish(self, metrics: E, score: float, weights: Callable[[], Weights]) -> None:
        """Keep a finished epoch, and its weights if no earlier score was as high."""
        self.history.append(metrics)
        if self._best is None or score > self._best["score"]:
            copied = {name: value.clone() for name, value in weights().items()}
            self._best = {"score": score, "epoch": metrics.epoch, "weights": copied}
            self._write(BEST, self._best)
        self._write(LAST, self._state())
        self._group.wait()
        if self._termination.requested:
            raise StepDone

    def _save_step(self, progress: Progress) -> None:
        if not progress.table[: progress.step].isfinite().all():
            return  # the last good checkpoint stays
        interrupted = {
            "epoch": progress.epoch,
            "step": progress.step,
            "table": progress.table,
            "random": torch.get_rng_state(),
        }
        if self._device.type == "cuda":
            interrupted["device_random"] = torch.cuda.get_rng_state(self._device)
        self._write(LAST, self._state() | {"interrupted": interrupted})

    def _state(self) -> State:
        state: State = {name: part.state_dict() for name, part in self._parts.items()}
        state["history"] = [asdict(cast(Any, metrics)) for metrics in self.history]
        return state

    def _write(self, name: str, state: State) -> None:
        if self._folder and self._fence and self._group.rank == 0:
            self._fence.check()
            save_checkpoint(self._folder / name, state)

    def _resume(self, kind: type[E]) -> None:
        if self._folder is None:
            return
        state = load_checkpoint(self._folder / LAST, self._device)
        best = load_checkpoint(self._folder / BEST, self._device)
        if state is None:
            return
        try:
            history = [kind(**metrics) for metrics in state["history"]]
            if history and best is None:  # half a pair is no run
                return
            for name, part in self._parts.items():
                part.load_state_dict(state[name])
            self._interrupted = state.get("interrupted")
            # If a kill fell between the two writes, `best` is already that of the epoch that is
            # now repeated, with the same weights.
            if best is not None:
                self._best = {key: best[key] for key in ("score", "epoch", "weights")}
        except (AttributeError, KeyError, TypeError, ValueError, RuntimeError) as error:
            raise CheckpointError(
                f"checkpoint {self._folder}",
                got=f"the state of something else ({' '.join(str(error).split())[:200]})",
                wanted="the state of this model, optimiser and schedule",
                remedy="Delete the folder; the run then starts from the beginning.",
            ) from error
        self.history = history


def refuse_not_finite(losses: Sequence[float], rates: Sequence[float], epoch: int) -> None:
    """Stop at the first step of an epoch whose loss is not finite.

    Args:
        losses: One for each step.
        rates: The learning rate of each step.
        epoch: For the message.

    Raises:
        NonFiniteLossError: Naming step, learning rate and remedy.
    """
    for step, (loss, rate) in enumerate(zip(losses, rates, strict=True), 1):
        if not math.isfinite(loss):
            raise not_finite(f"training loss of epoch {epoch}, step {step}", loss, rate)


def not_finite(subject: str, loss: float, rate: float) -> NonFiniteLossError:
    """The error about a loss that is NaN or infinite."""
    return NonFiniteLossError(
        subject,
        got=str(loss),
        wanted="a finite number",
        remedy=f"Lower the learning rate (it was {rate:g}); the last good checkpoint is kept.",
    )
