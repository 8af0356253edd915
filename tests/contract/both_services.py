"""A tracker and a registry as the contract tests use them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from components.tracking.base import DatasetInput, ModelRegistry, RunSpec, TrackedRun, Tracker
from components.tracking.memory import MemoryRegistry


@dataclass(frozen=True)
class Services:
    """A tracker and its registry, with names that no other test uses."""

    tracker: Tracker
    registry: ModelRegistry
    experiment: str
    model: str
    folder: Path

    def spec(self, fingerprint: str = "f" * 32, **tags: str) -> RunSpec:
        return RunSpec(
            experiment=self.experiment,
            name="lenet-ffff",
            fingerprint=fingerprint,
            params={"model": "lenet", "training": {"lr": 0.1, "epochs": 3}},
            tags=tags,
            dataset=DatasetInput("toy", "d" * 32, "a folder", {"train": 10, "test": 5}),
        )

    def run(self, fingerprint: str = "f" * 32, **tags: str) -> TrackedRun:
        return self.tracker.start(self.spec(fingerprint, **tags))

    def description(self, version: int) -> str:
        """What the registry's own interface says of a version."""
        if isinstance(self.registry, MemoryRegistry):
            return self.registry.descriptions[self.model, version]
        return str(self.registry._client.get_model_version(self.model, str(version)).description)
