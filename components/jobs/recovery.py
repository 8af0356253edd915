"""Finishing or undoing the promotions and rollbacks that a kill left half done."""

from __future__ import annotations

from dataclasses import dataclass

from components.jobs.context import JobContext
from components.jobs.history import Move, MoveKind, finish_move, read_moves
from components.jobs.promote import promote
from components.jobs.records import DecisionState, store_decision, stored_decisions
from components.jobs.references import Reference, find
from components.tracking.base import ModelRegistry, ModelVersion

REVOCABLE = (DecisionState.APPLIED, DecisionState.PENDING)


@dataclass(frozen=True)
class Settled:
    """What became of a promotion or rollback that had been left half done.

    Attributes:
        key: Of its move.
        done: Whether it was finished; otherwise it was given up.
        line: For a person.
    """

    key: str
    done: bool
    line: str


def unsettled(registry: ModelRegistry, name: str) -> bool:
    """Whether anything of a registered model was left half done."""
    return any(move.pending for move in read_moves(registry, name)) or any(
        record.state is DecisionState.PENDING
        for version in registry.versions(name)
        for record in stored_decisions(version).values()
    )


def settle(context: JobContext, name: str) -> list[Settled]:
    """Finish or undo what was left half done, before anything else moves the champion.

    Call it only while nobody else promotes this model.

    Raises:
        PromotionError: If the alias did not stay where it was put.
        TrackingError: If the registry does not answer.
    """
    settled = [
        _rolled_back(context, name, move)
        for move in read_moves(context.registry, name)
        if move.pending and move.kind is MoveKind.ROLLBACK
    ]
    for version in context.registry.versions(name):
        for dataset_version, record in stored_decisions(version).items():
            if record.state is DecisionState.PENDING:
                settled.append(_promoted(context, version, dataset_version))
    return settled


def _rolled_back(context: JobContext, name: str, move: Move) -> Settled:
    registry, what = context.registry, f"{name}: rollback to version {move.version}"
    removed = find(registry, Reference(name, None, move.before))
    ended = finish_move(context, name, move, lambda: note_removed(registry, removed))
    words = "was broken off and is finished now" if ended.done else f"given up: {ended.undone}"
    return Settled(move.key, ended.done, f"{what} {words}")


def _promoted(context: JobContext, version: ModelVersion, dataset_version: str) -> Settled:
    what = f"{version.name}: promotion of version {version.version}"
    skipped = promote(context, version, dataset_version).skipped
    words = f"given up: {skipped}" if skipped else "was broken off and is finished now"
    return Settled(f"{version.version}.{dataset_version}", skipped is None, f"{what} {words}")


def note_removed(registry: ModelRegistry, removed: ModelVersion) -> None:
    """Note on a champion that was taken back that an unchanged night must not promote it."""
    for dataset_version, record in stored_decisions(removed).items():
        if record.state in REVOCABLE:
            back = record.model_copy(update={"state": DecisionState.ROLLED_BACK})
            store_decision(registry, removed, dataset_version, back)
