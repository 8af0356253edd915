"""Trials as training: a configuration becomes a recipe, a segment becomes epochs."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from components.catalog import unknown_key
from components.jobs.recipe import Recipe
from components.params import check, merge
from components.training.reporting import Epoch, UInt8Images
from components.tuning.coordinator import Worker
from components.tuning.space import Distribution, SearchSpace
from components.tuning.trial import Segment

if TYPE_CHECKING:  # PyTorch takes its time, and not everybody who asks about trials trains
    from components.jobs.learners import Trainee

NETWORK = "network"


class TrialSetup(BaseModel):
    """What a worker must know of a study.

    Attributes:
        recipe: What the trials have in common; its epochs are those of a whole trial.
        directory: Prepared data.
        folder: Keeps a folder of checkpoints for each trial.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    recipe: Recipe
    directory: Path
    folder: Path


def with_config(recipe: Recipe, config: Mapping[str, object]) -> Recipe:
    """The recipe with some fields replaced: those of its loop by name, others by dotted name.

    Args:
        recipe: The base.
        config: As in {"lr": 0.1, "network.mlp.dropout": 0.2}.

    Raises:
        UnknownKeyError: For a field that there is not.
        ConfigError: For a value out of range.
    """
    section = "gan" if recipe.kind.gan else "training"
    tree: dict[str, Any] = {
        section: recipe.config.model_dump(),
        NETWORK: recipe.network.model_dump(),
    }
    for name, value in config.items():
        keys = name.split(".") if name.startswith(f"{NETWORK}.") else [section, name]
        overlay: Any = value
        for key in reversed(keys):
            overlay = {key: overlay}
        tree = merge(tree, overlay)
    return recipe.model_copy(
        update={
            section: check(type(recipe.config), tree[section], section),
            NETWORK: check(type(recipe.network), tree[NETWORK], NETWORK),
        }
    )


def refuse_unusable(recipe: Recipe, space: SearchSpace) -> None:
    """Refuse a space whose fields or values the recipe does not have.

    Raises:
        ConfigError: Naming the field and what it may be.
    """
    for name, distribution in space.fields.items():
        loop = type(recipe.config).model_fields
        if not name.startswith(f"{NETWORK}.") and name not in loop:
            raise unknown_key("space", name, loop)
        for value in _extremes(distribution):
            with_config(recipe, {name: value})


def _extremes(distribution: Distribution) -> list[object]:
    if distribution.distribution == "choice":
        return list(distribution.values)
    kind = int if distribution.whole else float
    between = distribution.at(0.382)  # a fraction shows where a whole number is wanted
    return [*(kind(bound) for bound in distribution.bounds), between]


def trial_folder(folder: Path, trial: int) -> Path:
    """Where the checkpoints of a trial are."""
    return folder / f"{trial:04d}"


class TrialTrainer:
    """Trains segments of one study in this process; the data are opened once."""

    def __init__(self, setup: TrialSetup, trainee: Trainee) -> None:
        self._setup, self._trainee = setup, trainee

    def train(self, segment: Segment, worker: Worker) -> None:
        """Train a segment and tell of each epoch.

        Raises:
            TrialEnded: If the coordinator wants no more of the trial.
            TrainingError: If the trial cannot go on.
        """
        recipe = with_config(self._setup.recipe, segment.config)
        folder = trial_folder(self._setup.folder, segment.trial)
        with _alone(folder):
            self._trainee.advance(recipe, folder, segment.resource, _Telling(worker))


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Wait until a process that was given up, and still lives, has left the checkpoints."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


class TrialEnded(Exception):  # noqa: N818 - no error
    """The trial was ended by the coordinator."""


class _Telling:
    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    def on_epoch(self, metrics: Epoch, epochs: int) -> None:
        if not self._worker.epoch(metrics.epoch, metrics.metrics()):
            raise TrialEnded

    def on_samples(self, epoch: int, samples: UInt8Images) -> None:
        """Trials show no pictures; the best one does, once it is trained as a model."""
