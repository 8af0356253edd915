"""What may go: everything that is old and that nothing which stays refers to.

Pure: an inventory goes in, a plan comes out. Each thing is an item with the items it needs; what
is held for a reason of its own, or is younger than the limit, stays with all it leads to.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from components.jobs.records import DecisionState, stored_decisions
from components.jobs.stored import (
    Inventory,
    StoredData,
    StoredFlowRun,
    StoredModel,
    StoredReport,
)
from components.tracking.base import (
    DATASETS_EXPERIMENT,
    ModelVersion,
    RunStatus,
    StoredRun,
    Tag,
)

YOUNG = "younger than the limit"
LONG_AGO = datetime.fromtimestamp(0, UTC)


class Kind(StrEnum):
    """What there is to remove, in the order of removal: what refers goes before what it names."""

    REPORT = "reports"
    STUDY = "studies"
    CHECKPOINT = "checkpoints"
    VERSION = "model versions"
    RUN = "MLflow runs"
    DATA = "dataset versions"
    FLOW_RUN = "flow runs"


@dataclass(frozen=True, order=True)
class Ref:
    """Names one item."""

    kind: Kind
    key: str


@dataclass(frozen=True)
class Item:
    """One thing that takes space.

    Attributes:
        touched: When it was made or last used.
        needs: What must stay as long as it does; may name what is not there any more.
        held: Why it stays however old it is; None if nothing but its age or another item does.
    """

    ref: Ref
    touched: datetime
    needs: frozenset[Ref] = frozenset()
    held: str | None = None


@dataclass(frozen=True)
class Plan:
    """What goes, and what stays with the reason."""

    remove: Mapping[Ref, Item]
    keep: Mapping[Ref, str]

    def removed(self, kind: Kind) -> list[str]:
        """Keys of what goes."""
        return [ref.key for ref in self.remove if ref.kind is kind]

    def kept(self, kind: Kind) -> set[str]:
        """Keys of what stays."""
        return {ref.key for ref in self.keep if ref.kind is kind}

    def reasons(self, kind: Kind) -> dict[str, int]:
        """How many items stay for which reason."""
        words = [reason for ref, reason in self.keep.items() if ref.kind is kind]
        return {reason: words.count(reason) for reason in sorted(set(words))}


def plan_of(items: Iterable[Item], cutoff: datetime) -> Plan:
    """Keep what is held or was touched at `cutoff` or later, and all that these need."""
    known = {item.ref: item for item in items}
    keep: dict[Ref, str] = {}
    for ref, item in known.items():
        if reason := item.held or (YOUNG if item.touched >= cutoff else None):
            keep[ref] = reason
    waiting = [known[ref] for ref in keep]
    while waiting:
        item = waiting.pop()
        for ref in item.needs & known.keys() - keep.keys():
            keep[ref] = f"needed by {item.ref.kind} that stay"
            waiting.append(known[ref])
    return Plan({ref: item for ref, item in known.items() if ref not in keep}, keep)


def retention_plan(inventory: Inventory, limit: datetime) -> Plan:
    """What may go of an inventory if things older than `limit` may.

    Nothing that was touched since the oldest flow run under way began counts as old, and nothing
    of the datasets these work on goes.
    """
    cutoff = cutoff_of(inventory, limit)
    return plan_of(_items(inventory, cutoff), cutoff)


def cutoff_of(inventory: Inventory, limit: datetime) -> datetime:
    """`limit`, or when the oldest flow run under way began if that was before."""
    begun = [run.started for run in inventory.flow_runs if run.under_way and run.started]
    return min([limit, *begun])


class _Usage:
    """What flow runs under way work on."""

    def __init__(self, flow_runs: Iterable[StoredFlowRun]) -> None:
        self._busy = [run for run in flow_runs if run.under_way]

    def of(self, dataset: str | None) -> str | None:
        """Why what belongs to a dataset, or to an unknown one, is in use; None if it is not."""
        for run in self._busy:
            if not run.datasets or dataset is None or dataset in run.datasets:
                return f"in use by the flow run {run.name}"
        return None


def _items(inventory: Inventory, cutoff: datetime) -> Iterator[Item]:
    usage = _Usage(inventory.flow_runs)
    yield from map(_report_item, inventory.reports)
    yield from _study_items(inventory, usage)
    yield from _checkpoint_items(inventory, usage)
    for name, model in inventory.models.items():
        yield from _version_items(name, model, cutoff, usage, inventory)
    yield from _run_items(inventory, usage)
    for data in inventory.data:
        yield _data_item(data, inventory.runs, usage)
    for run in inventory.flow_runs:
        held = None if run.final else "not over yet"
        report = Ref(Kind.REPORT, run.id)
        yield Item(Ref(Kind.FLOW_RUN, run.id), run.touched, frozenset({report}), held)


def version_key(name: str, version: int) -> str:
    """The key of a registered version."""
    return f"{name}:{version}"


def data_key(name: str, version: str) -> str:
    """The key of a dataset's version."""
    return f"{name}/{version}"


def _report_item(report: StoredReport) -> Item:
    needs = {Ref(Kind.RUN, run) for run in report.runs} | {Ref(Kind.FLOW_RUN, report.flow_run)}
    needs |= {Ref(Kind.VERSION, version_key(*version)) for version in report.versions}
    needs |= {Ref(Kind.DATA, data_key(*data)) for data in report.data}
    held = "the newest" if report.newest else None
    return Item(Ref(Kind.REPORT, report.flow_run), report.touched, frozenset(needs), held)


def _runs_by_print(runs: Iterable[StoredRun]) -> dict[str, set[Ref]]:
    found: dict[str, set[Ref]] = {}
    for stored in runs:
        print_ = stored.run.tags.get(Tag.FINGERPRINT, "")
        found.setdefault(print_, set()).add(Ref(Kind.RUN, stored.run.run_id))
    return found


def _study_items(inventory: Inventory, usage: _Usage) -> Iterator[Item]:
    runs = _runs_by_print(inventory.runs)
    for study in inventory.studies:
        held = "running" if study.locked else usage.of(study.dataset)
        needs = frozenset(runs.get(study.fingerprint, set()))
        yield Item(Ref(Kind.STUDY, study.name), study.touched, needs, held)


def _checkpoint_items(inventory: Inventory, usage: _Usage) -> Iterator[Item]:
    runs = _runs_by_print(inventory.runs)
    for checkpoint in inventory.checkpoints:
        held = "running" if checkpoint.locked else usage.of(None)
        needs = frozenset(runs.get(checkpoint.fingerprint, set()))
        yield Item(Ref(Kind.CHECKPOINT, checkpoint.fingerprint), checkpoint.touched, needs, held)


def _version_items(
    name: str, model: StoredModel, cutoff: datetime, usage: _Usage, inventory: Inventory
) -> Iterator[Item]:
    ended = {stored.run.run_id: stored.touched for stored in inventory.runs}
    recent = {
        version
        for move in model.moves
        if move.pending or move.at >= cutoff
        for version in (move.version, move.before, move.previous)
    }
    for version in model.versions:
        records = stored_decisions(version)
        held = usage.of(version.tags.get(Tag.DATASET))
        if any(record.state is DecisionState.PENDING for record in records.values()):
            held = "a promotion is not finished"
        if version.version in recent:
            held = "champion, or to be gone back to, within the limit"
        if version.aliases:
            held = ", ".join(version.aliases)
        decided = [record.decided_at for record in records.values()]
        # Without a decision it is as old as its run, which it goes with.
        touched = max([*decided, ended.get(version.run_id, LONG_AGO)])
        key = version_key(name, version.version)
        yield Item(Ref(Kind.VERSION, key), touched, frozenset(_version_needs(version)), held)


def _version_needs(version: ModelVersion) -> Iterator[Ref]:
    yield Ref(Kind.RUN, version.run_id)
    dataset = version.tags.get(Tag.DATASET, "")
    records = stored_decisions(version)
    for data in {version.tags.get(Tag.DATASET_VERSION, ""), *records}:
        yield Ref(Kind.DATA, data_key(dataset, data))
    for record in records.values():
        if record.anchor is not None:
            yield Ref(Kind.VERSION, version_key(version.name, record.anchor))
    if flow_run := version.tags.get(Tag.FLOW_RUN):
        yield Ref(Kind.FLOW_RUN, flow_run)


def _run_items(inventory: Inventory, usage: _Usage) -> Iterator[Item]:
    reused = _reused(inventory.runs)
    registered: dict[str, set[Ref]] = {}
    for name, model in inventory.models.items():
        for one in model.versions:
            ref = Ref(Kind.VERSION, version_key(name, one.version))
            registered.setdefault(one.run_id, set()).add(ref)
    families = _families(inventory.runs)
    for stored in inventory.runs:
        run_id, tags = stored.run.run_id, stored.run.tags
        held = None
        if not stored.trashed:
            held = usage.of(tags.get(Tag.DATASET))
            if run_id in reused:
                held = "the newest of its model on its dataset"
            if stored.run.status is RunStatus.RUNNING:
                held = "running"
        needs = {*registered.get(run_id, ()), *families.get(run_id, ())}
        data = data_key(tags.get(Tag.DATASET, ""), tags.get(Tag.DATASET_VERSION, ""))
        needs.add(Ref(Kind.DATA, data))
        if flow_run := tags.get(Tag.FLOW_RUN):
            needs.add(Ref(Kind.FLOW_RUN, flow_run))
        yield Item(Ref(Kind.RUN, run_id), stored.touched, frozenset(needs), held)


def _reused(runs: Iterable[StoredRun]) -> set[str]:
    """The newest finished training of each model on each dataset: an unchanged night skips it."""
    newest: dict[tuple[str, str], StoredRun] = {}
    for stored in runs:
        tags = stored.run.tags
        finished = stored.run.status is RunStatus.FINISHED and not stored.trashed
        if not finished or Tag.STUDY in tags or Tag.MODEL not in tags:
            continue
        key = tags.get(Tag.DATASET, ""), tags[Tag.MODEL]
        if key not in newest or newest[key].touched < stored.touched:
            newest[key] = stored
    return {stored.run.run_id for stored in newest.values()}


def _families(runs: Iterable[StoredRun]) -> dict[str, set[Ref]]:
    """A study's run and those of its trials stay or go together."""
    families: dict[str, set[Ref]] = {}
    for stored in runs:
        if stored.parent:
            child, parent = stored.run.run_id, stored.parent
            families.setdefault(child, set()).add(Ref(Kind.RUN, parent))
            families.setdefault(parent, set()).add(Ref(Kind.RUN, child))
    return families


def _data_item(data: StoredData, runs: Iterable[StoredRun], usage: _Usage) -> Item:
    held = usage.of(data.name)
    if data.irreplaceable:
        held = "your own images, in no remote"
    if data.current:
        held = "the present version"
    key, card = data_key(data.name, data.version), f"{data.name}-{data.version}"
    needs = {
        Ref(Kind.RUN, stored.run.run_id)
        for stored in runs
        if stored.experiment == DATASETS_EXPERIMENT and stored.run.tags.get(Tag.FINGERPRINT) == card
    }
    return Item(Ref(Kind.DATA, key), data.touched, frozenset(needs), held)
