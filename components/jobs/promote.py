"""Carry out a decision of the gate: the alias moves last."""

from __future__ import annotations

from dataclasses import dataclass

from components.errors import PromotionError
from components.jobs.context import JobContext
from components.jobs.history import Move, MoveKind, give_up, make_move, read_moves, who
from components.jobs.records import (
    DecisionRecord,
    DecisionState,
    store_decision,
    stored_decision,
)
from components.tracking.base import CHAMPION, ModelVersion


@dataclass(frozen=True)
class PromoteOutcome:
    """Who is champion now."""

    champion: ModelVersion | None
    skipped: str | None


def promote(context: JobContext, version: ModelVersion, dataset_version: str) -> PromoteOutcome:
    """Carry out a decision; one that a kill left half done is finished or undone here.

    Args:
        context: Registry, and who asks.
        version: The candidate.
        dataset_version: The data on which it was decided.

    Raises:
        PromotionError: If there is no decision, or the alias did not stay where it was put.
    """
    name, registry = version.name, context.registry
    version = registry.version_of_run(name, version.run_id) or version
    record = stored_decision(version, dataset_version)
    if record is None:
        raise PromotionError(
            f"{name} version {version.version}",
            got="no stored decision",
            wanted="a decision of the gate on these data",
            remedy="Run the nightly flow, which decides first.",
        )
    champion = registry.by_alias(name, CHAMPION)
    if record.state is DecisionState.REFUSED:
        return PromoteOutcome(champion, "the gate refused")
    if record.state is not DecisionState.PENDING:
        return PromoteOutcome(champion, f"the decision was {record.state} before")
    begun = _begun(context, version, dataset_version)
    if reason := _overtaken(context, version, record, begun):
        superseded = record.model_copy(update={"state": DecisionState.SUPERSEDED})
        store_decision(registry, version, dataset_version, superseded)
        if begun:
            give_up(registry, name, begun, reason)
        return PromoteOutcome(champion, reason)
    make_move(context, name, begun or _new(context, version, record, dataset_version))
    applied = record.model_copy(update={"state": DecisionState.APPLIED})
    store_decision(registry, version, dataset_version, applied)
    return PromoteOutcome(registry.by_alias(name, CHAMPION), None)


def _key(version: ModelVersion, dataset_version: str) -> str:
    return f"{version.version}.{dataset_version}"


def _begun(context: JobContext, version: ModelVersion, dataset_version: str) -> Move | None:
    """The move that was begun before a kill, if it may go on."""
    key = _key(version, dataset_version)
    moves = read_moves(context.registry, version.name)
    return next((move for move in moves if move.key == key and not move.undone), None)


def _overtaken(
    context: JobContext, version: ModelVersion, record: DecisionRecord, begun: Move | None
) -> str | None:
    """Why a decision does not hold any more: somebody else moved the champion since."""
    champion = context.registry.by_alias(version.name, CHAMPION)
    present = champion.version if champion else None
    if present not in (record.champion, version.version):
        return f"the champion is now version {present}, not {record.champion} as compared"
    for move in read_moves(context.registry, version.name):
        if move.at > record.decided_at and (begun is None or move.key != begun.key):
            return f"a {move.kind} to version {move.version} came in between"
    return None


def _new(
    context: JobContext, version: ModelVersion, record: DecisionRecord, dataset_version: str
) -> Move:
    return Move(
        key=_key(version, dataset_version),
        kind=MoveKind.PROMOTION,
        version=version.version,
        before=record.champion,
        previous=record.champion,
        reason=record.gist,
        by=who(),
        flow_run=context.flow_run.url if context.flow_run else None,
    )
