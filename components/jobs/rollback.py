"""Going back to an earlier champion."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import uuid4

from components.errors import ConfigError, PromotionError, TrackingUnavailableError
from components.jobs.context import JobContext
from components.jobs.history import (
    Move,
    MoveKind,
    make_move,
    read_moves,
    who,
)
from components.jobs.recovery import note_removed, settle
from components.jobs.references import Reference, find
from components.tracking.base import PREVIOUS, ModelRegistry, ModelVersion


@dataclass(frozen=True)
class RollbackOutcome:
    """Who is champion again, and who was until now."""

    champion: ModelVersion
    before: ModelVersion
    move: Move
    skipped: str | None = None


def rollback(context: JobContext, name: str, reason: str, to: int | None = None) -> RollbackOutcome:
    """Make an earlier version champion again.

    The present champion is not promoted again by a night in which nothing changed. Call it only
    while nobody else promotes this model.

    Args:
        context: Registry, and who asks.
        name: A registered model.
        reason: For the history.
        to: A version; None for the champion before the present one.

    Raises:
        ConfigError: If there is no such model or version, or no reason.
        PromotionError: If there is no champion or nothing to go back to, or it does not load.
    """
    registry = context.registry
    find(registry, Reference(name))
    if not reason.strip():
        raise ConfigError(
            "reason", got="nothing", wanted="why, in a few words", remedy="Add --reason."
        )
    key = context.flow_run.id if context.flow_run else uuid4().hex
    if earlier := _asked_before(context, name, key, to):
        return earlier
    champion = find(registry, Reference(name))
    target = _target(registry, champion, to)
    _prove(registry, target)
    move = Move(
        key=key,
        kind=MoveKind.ROLLBACK,
        version=target.version,
        before=champion.version,
        previous=_before(registry, name, target.version),
        reason=reason.strip(),
        by=who(),
        flow_run=context.flow_run.url if context.flow_run else None,
    )
    done = make_move(context, name, move, lambda: note_removed(registry, champion))
    return RollbackOutcome(find(registry, Reference(name)), champion, done)


def _asked_before(
    context: JobContext, name: str, key: str, to: int | None
) -> RollbackOutcome | None:
    """What an earlier attempt did, or what is left of it to do; repeating it would go too far."""
    finished = {settled.key for settled in settle(context, name) if settled.done}
    for move in reversed(read_moves(context.registry, name)):
        same = move.key == key or (move.key in finished and to in (None, move.version))
        if same and move.done and move.kind is MoveKind.ROLLBACK:
            champion = find(context.registry, Reference(name))
            before = find(context.registry, Reference(name, None, move.before))
            reason = f"version {move.version} was being gone back to before"
            return RollbackOutcome(champion, before, move, reason)
    return None


def _target(registry: ModelRegistry, champion: ModelVersion, to: int | None) -> ModelVersion:
    name = champion.name
    if to is None:
        previous = registry.by_alias(name, PREVIOUS)
        if previous is None:
            raise PromotionError(
                f"rollback of {name}",
                got=f"champion version {champion.version} and none before it",
                wanted="an earlier champion",
                remedy=f"Name a version with --to; `nightforge registry {name}` lists them.",
            )
        to = previous.version
    if to == champion.version:
        raise PromotionError(
            f"rollback of {name}",
            got=f"version {to}, which is champion now",
            wanted="another version",
            remedy=f"`nightforge registry {name}` lists them.",
        )
    return find(registry, Reference(name, None, to))


def _prove(registry: ModelRegistry, target: ModelVersion) -> None:
    try:
        registry.verify(target)
    except TrackingUnavailableError:
        raise
    except Exception as error:
        raise PromotionError(
            f"{target.name} version {target.version}",
            got=f"{type(error).__name__}: {' '.join(str(error).split())[:200]}",
            wanted="a version whose files are all there",
            remedy="The champion stays. Name another version with --to.",
        ) from error


def _before(registry: ModelRegistry, name: str, version: int) -> int | None:
    """The champion before `version` when that was promoted; an earlier one if it was removed."""
    there = {one.version for one in registry.versions(name)}
    promotions = {
        move.version: move.before
        for move in read_moves(registry, name)
        if move.done and move.kind is MoveKind.PROMOTION
    }
    before, seen = promotions.get(version), {version}
    while before is not None and before not in there | seen:
        seen.add(before)
        before = promotions.get(before)
    return before if before in there else None
