"""Every move of a champion alias: who, when, from where to where, why; kept on the model itself."""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from components.errors import PromotionError
from components.jobs.context import JobContext
from components.tracking.base import CHAMPION, PREVIOUS, ModelRegistry, Tag


class MoveKind(StrEnum):
    """Why an alias moves."""

    PROMOTION = "promotion"
    ROLLBACK = "rollback"


class Move(BaseModel):
    """One move of the alias `champion`; written before it, so that a kill leaves it half done.

    Attributes:
        key: The same for a repetition after a kill, so that it is written once.
        done: Whether the aliases stand; False while they are being moved.
        undone: Why it will never be done, if so.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    kind: MoveKind
    version: int = Field(description="The new champion")
    before: int | None = Field(description="The champion before; None for the first")
    previous: int | None = Field(description="Where a rollback from here leads; None for nowhere")
    reason: str
    by: str
    flow_run: str | None = Field(None, description="Address of the flow run that asked for it")
    at: datetime = Field(default_factory=lambda: datetime.now(UTC))
    done: bool = False
    undone: str | None = None

    @property
    def pending(self) -> bool:
        """Whether a kill left it half done."""
        return not self.done and self.undone is None


def who() -> str:
    """The person or account behind this process, and the machine."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a container may run under a number that has no name
        name = f"uid {os.getuid()}"
    return f"{name}@{socket.gethostname()}"


def read_moves(registry: ModelRegistry, name: str) -> list[Move]:
    """All moves of a registered model, oldest first."""
    prefix = f"{Tag.MOVE}."
    texts = [text for key, text in registry.model_tags(name).items() if key.startswith(prefix)]
    return sorted((Move.model_validate_json(text) for text in texts), key=lambda move: move.at)


def write_move(registry: ModelRegistry, name: str, move: Move) -> None:
    """Add a move, or its newer state; one tag each, so that concurrent writers lose none."""
    registry.tag_model(name, {f"{Tag.MOVE}.{move.key}": move.model_dump_json()})


def make_move(
    context: JobContext, name: str, move: Move, then: Callable[[], None] = lambda: None
) -> Move:
    """Note the move, point the aliases, look whether they stay, note that it is done.

    May be repeated after a kill at any point.

    Args:
        context: Its registry keeps the move, too.
        name: The registered model.
        move: What to do.
        then: What belongs to it and comes before it is noted as done; may be repeated.

    Raises:
        PromotionError: If the alias did not stay where it was put.
        SupersededError: If somebody else's turn has come.
    """
    registry = context.registry
    context.check_turn()
    write_move(registry, name, move)
    if move.previous is not None:
        registry.set_alias(name, PREVIOUS, move.previous)
    elif registry.by_alias(name, PREVIOUS):
        registry.remove_alias(name, PREVIOUS)
    context.check_turn()
    registry.set_alias(name, CHAMPION, move.version)
    champion = registry.by_alias(name, CHAMPION)
    if champion is None or champion.version != move.version:
        raise PromotionError(
            f"alias {CHAMPION} of {name}",
            got=f"version {champion.version if champion else None}",
            wanted=f"version {move.version}, just written",
            remedy="Somebody else moved the alias at the same time; run the flow again.",
        )
    then()
    done = move.model_copy(update={"done": True})
    write_move(registry, name, done)
    return done


def finish_move(
    context: JobContext, name: str, move: Move, then: Callable[[], None] = lambda: None
) -> Move:
    """Finish what a kill left half done, or give it up if somebody else is champion by now.

    Raises:
        PromotionError: As for `make_move`.
    """
    registry = context.registry
    champion = registry.by_alias(name, CHAMPION)
    present = champion.version if champion else None
    if present not in (move.before, move.version):
        reason = f"version {present} was champion when it was to be finished"
        return give_up(registry, name, move, reason)
    if any(other.at > move.at for other in read_moves(registry, name)):
        return give_up(registry, name, move, "another move came after it")
    return make_move(context, name, move, then)


def give_up(registry: ModelRegistry, name: str, move: Move, reason: str) -> Move:
    """Note that a move will not be made any more."""
    undone = move.model_copy(update={"undone": reason})
    write_move(registry, name, undone)
    return undone
