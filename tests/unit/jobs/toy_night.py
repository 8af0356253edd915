"""A small world for the jobs: a dataset, models of known skill, services that can break off."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from components.datasets import DATASETS
from components.datasets.base import Arrays, DataConfig, HoldOutConfig, RawImages
from components.datasets.fashion_mnist import CLASS_NAMES
from components.datasets.fashion_mnist_sample import SPEC
from components.datasets.image_pool import PoolConfig
from components.datasets.prepare import prepare
from components.datasets.prepared import load_prepared
from components.datasets.sprites import SpritesConfig
from components.jobs.context import JobContext
from components.jobs.evaluate import evaluate
from components.jobs.gate import GateOutcome, gate, register
from components.jobs.promote import PromoteOutcome, promote
from components.jobs.records import DecisionState, stored_decision
from components.settings import Settings
from components.tracking.base import DatasetInput, ModelVersion, RunSpec, RunStatus, Tag, TrackedRun
from components.tracking.memory import MemoryRegistry, MemoryTracker
from components.versioning.stage import run_fetch, run_prepare
from components.versioning.versions import DatasetVersion

NAME, CLASSES, TEST = "toy", 10, 500
MODEL = "toy-classifier"
VERSION = "a" * 32
PARAMS = """
promotion:
  default: {floor: 0.8, recall_margin: 0.2, latency_budget_ms: 1000, calibration_ceiling: 0.5}
"""
WRITES = {
    *("register", "set_alias", "remove_alias", "tag_version", "tag_model"),
    *("log_text", "log_metrics"),
    *("remove_version", "trash", "restore", "erase", "remove"),
}


def images(n: int, salt: int) -> Arrays:
    """Pixel 0 holds the class, pixel 1 how hard the image is, from 0 to 199."""
    rng = np.random.default_rng(salt)
    pixels = rng.integers(0, 256, (n, 1, 28, 28)).astype(np.uint8)
    labels = (np.arange(n) % CLASSES).astype(np.int64)
    pixels[:, 0, 0, 0] = labels
    pixels[:, 0, 0, 1] = np.arange(n) * 200 // n
    return Arrays(pixels, labels)


def toy_data(folder: Path, version: str = VERSION) -> DatasetVersion:
    folder.mkdir()
    raw = RawImages(CLASS_NAMES, images(100, 1), images(TEST, 2))
    spec = replace(SPEC, name=NAME, read=lambda request: raw)
    prepare(spec, HoldOutConfig(), folder, folder)
    counts = {split: len(a.labels) for split, a in load_prepared(folder).splits.items()}
    return DatasetVersion(NAME, version, "nowhere", True, counts, folder)


def sprite_data(
    root: Path, *, size: int, per_species: int = 20, version: str = "e" * 32
) -> DatasetVersion:
    """Sprites of eight species, `size` pixels wide, fetched and prepared below `root`."""
    spec, name = DATASETS.get("sprites"), "sprites"
    config = DataConfig(SpritesConfig(species=8, per_species=per_species), PoolConfig(size=size))
    run_fetch(spec, config, Settings(home=root), root)
    run_prepare(spec, config, root)
    folder = root / "data" / "prepared" / name
    return DatasetVersion(name, version, "drawn", False, load_prepared(folder).card.counts, folder)


class Skilled(nn.Module):
    """Right on the share `skill` of the images, the easiest ones; else one class off."""

    def __init__(self, skill: float, ballast: int = 0) -> None:
        super().__init__()
        self.skill = nn.Parameter(torch.tensor(skill))
        self.ballast = nn.Parameter(torch.zeros(ballast))

    def forward(self, unit: torch.Tensor) -> torch.Tensor:
        pixels = (unit.flatten(1)[:, :2] * 255).round()
        right = pixels[:, 1] < self.skill * 200 - 0.5
        said = torch.where(right, pixels[:, 0], (pixels[:, 0] + 1) % CLASSES)
        return nn.functional.one_hot(said.long(), CLASSES).float() * 8


def toy_context(home: Path) -> JobContext:
    home.mkdir(parents=True, exist_ok=True)
    (home / "params.yaml").write_text(PARAMS, encoding="utf-8")
    tracker = MemoryTracker()
    settings = Settings(home=home, params_file=home / "params.yaml")
    return JobContext(settings, tracker, MemoryRegistry(tracker))


def trained(
    context: JobContext, skill: float, print_: str, ballast: int = 0, version: str = VERSION
) -> TrackedRun:
    """A finished training run whose model has the given skill."""
    said = {
        Tag.KIND: "classifier",
        Tag.DATASET: NAME,
        Tag.DATASET_VERSION: version,
        Tag.INPUT_SHAPE: "1,28,28",
        Tag.MODEL: "skilled",
        Tag.SEED: "0",
        Tag.DEVICE: "cpu",
        Tag.SOURCE: "nowhere",
    }
    tags = {str(key): value for key, value in (said | {Tag.SAMPLE: "true"}).items()}
    spec = RunSpec(NAME, print_, print_, {}, tags, DatasetInput(NAME, version, "nowhere", {}))
    run = context.tracker.start(spec)
    example = np.zeros((2, 1, 28, 28), np.float32)
    context.tracker.log_model(run.run_id, Skilled(skill, ballast).eval(), example)
    context.tracker.finish(run.run_id, RunStatus.FINISHED)
    return context.tracker.get(run.run_id)


def registered(context: JobContext, run: TrackedRun, data: DatasetVersion) -> ModelVersion:
    """The run's version; evaluated first, because the card states what was measured."""
    evaluate(context, run, data)
    return register(context, run, data).version


def night(
    context: JobContext, run: TrackedRun, data: DatasetVersion
) -> tuple[GateOutcome, PromoteOutcome]:
    """What the nightly flow does after training."""
    evaluation = evaluate(context, run, data)
    version = register(context, run, data).version
    gated = gate(context, version, evaluation, data)
    return gated, promote(context, gated.version, data.version)


def alias(context: JobContext, name: str) -> int | None:
    found = context.registry.by_alias(MODEL, name)
    return found.version if found else None


def state_of(context: JobContext, run: TrackedRun, data: DatasetVersion) -> DecisionState | None:
    version = context.registry.version_of_run(MODEL, run.run_id)
    record = stored_decision(version, data.version) if version else None
    return record.state if record else None


class Interrupted(BaseException):
    """Stands for a SIGKILL: nothing in the code may catch and handle it."""


@dataclass
class Fuse:
    """Breaks off at the given write, counted over all services, before or after it is done."""

    at: int
    after: bool
    count: int = 0
    names: list[str] = field(default_factory=list)

    def guard(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(*args: Any, **kwargs: Any) -> Any:
            self.count += 1
            self.names.append(name)
            burns = self.count == self.at
            if burns and not self.after:
                raise Interrupted
            result = call(*args, **kwargs)
            if burns:
                raise Interrupted
            return result

        return guarded


class Fused:
    """A tracker or registry behind a fuse."""

    def __init__(self, inner: object, fuse: Fuse) -> None:
        self._inner, self._fuse = inner, fuse

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        return self._fuse.guard(name, found) if name in WRITES else found


def fused(context: JobContext, fuse: Fuse) -> JobContext:
    return replace(
        context, tracker=Fused(context.tracker, fuse), registry=Fused(context.registry, fuse)
    )
