"""What a registered model's history is, where a version comes from, and what came of some data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from components.errors import ConfigError, PromotionError
from components.jobs.context import JobContext
from components.jobs.history import Move, read_moves
from components.jobs.records import DECISION_ARTIFACT, DecisionRecord, stored_decisions
from components.jobs.references import Reference, find
from components.tracking.base import DATASETS_EXPERIMENT, ModelVersion, Tag, TrackedRun

SHORTEST = 4  # digits of a dataset version


@dataclass(frozen=True)
class VersionHistory:
    """A version, and the last decision about it on each version of the data."""

    version: ModelVersion
    decisions: dict[str, DecisionRecord]

    @property
    def newest(self) -> DecisionRecord | None:
        """The decision made last; None for a version that was never decided."""
        every = self.decisions.values()
        return max(every, key=lambda record: record.decided_at, default=None)


@dataclass(frozen=True)
class ModelHistory:
    """All versions, newest first, and all moves of the champion alias, oldest first."""

    name: str
    versions: tuple[VersionHistory, ...]
    moves: tuple[Move, ...]
    skipped: str | None = None


@dataclass(frozen=True)
class Lineage:
    """Where a version comes from; links are name to address."""

    version: ModelVersion
    run: TrackedRun
    dataset: str
    dataset_version: str
    decision: DecisionRecord | None
    links: dict[str, str] = field(default_factory=dict)


def history(context: JobContext, name: str) -> ModelHistory:
    """The history of a registered model.

    Raises:
        ConfigError: If there is no such model.
        PromotionError: If nothing is registered yet.
    """
    versions = context.registry.versions(name)
    if not versions:
        find(context.registry, Reference(name))  # says what there is instead
    return ModelHistory(
        name,
        tuple(VersionHistory(one, stored_decisions(one)) for one in reversed(versions)),
        tuple(read_moves(context.registry, name)),
    )


def lineage(context: JobContext, version: ModelVersion) -> Lineage:
    """Walk from a version to its run, data, configuration, code and decision.

    Raises:
        TrackingError: If its run is gone.
        PromotionError: If it was not registered by a night.
    """
    run = context.tracker.get(version.run_id)
    dataset, data = (_tag(version, tag) for tag in (Tag.DATASET, Tag.DATASET_VERSION))
    links = {"model": version.url, **origins(context, run, version.tags)}
    decision = VersionHistory(version, stored_decisions(version)).newest
    if decision is None:
        del links["decision"]  # the address has nothing to show yet
    return Lineage(version, run, dataset, data, decision, links)


def origins(context: JobContext, run: TrackedRun, tags: Mapping[str, str]) -> dict[str, str]:
    """Where a person walks from a version to what it came from: name to address.

    Args:
        context: Tracker.
        run: The training run that owns the version.
        tags: Of the version, which need not be registered yet.
    """
    links = {"training run": run.url}
    data = f"{tags[Tag.DATASET]}-{tags[Tag.DATASET_VERSION]}"
    if card := context.tracker.find(DATASETS_EXPERIMENT, data):
        links["data card"] = card.url
    links["decision"] = context.tracker.artifact_page(run, DECISION_ARTIFACT)
    for what, said in {"trained by": run.tags, "registered by": tags}.items():
        if url := said.get(Tag.FLOW_RUN_URL):
            links[what] = url
    return links


def _tag(version: ModelVersion, tag: Tag) -> str:
    if tag not in version.tags:
        raise PromotionError(
            f"{version.name} version {version.version}",
            got=f"no tag {tag}",
            wanted="a version that a night registered",
            remedy="Its page says what is known: " + version.url,
        )
    return version.tags[tag]


def trained_on(context: JobContext, data: str) -> list[ModelVersion]:
    """Every registered version that was trained on a version of a dataset.

    Args:
        context: Registry.
        data: The start of its md5.

    Raises:
        ConfigError: If it is too short to mean anything, or fits two versions of data.
        PromotionError: If no model was trained on it.
    """
    if len(data) < SHORTEST:
        raise ConfigError(
            "version of a dataset",
            got=repr(data),
            wanted=f"at least {SHORTEST} digits of its md5",
            remedy="`nightforge data versions NAME` lists them.",
        )
    registry = context.registry
    every = (version for name in registry.names() for version in registry.versions(name))
    found = [one for one in every if one.tags.get(Tag.DATASET_VERSION, "").startswith(data)]
    _refuse_several(data, {one.tags[Tag.DATASET_VERSION] for one in found})
    if not found:
        raise PromotionError(
            f"version {data} of a dataset",
            got="no registered model that was trained on it",
            wanted="one at least",
            remedy="`nightforge data versions NAME` lists the versions of a dataset.",
        )
    return found


def _refuse_several(data: str, fitting: Iterable[str]) -> None:
    several = sorted(fitting)
    if len(several) > 1:
        raise ConfigError(
            "version of a dataset",
            got=f"{data!r}, which fits {', '.join(several)}",
            wanted="the digits of one version",
            remedy="Give more digits.",
        )
