"""A process that was paused for longer than its turn moves no alias when it wakes up."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from toy_night import MODEL, alias, night, toy_context, toy_data, trained

from components.errors import SupersededError
from components.fencing import Fence
from components.jobs.recovery import settle
from components.jobs.rollback import rollback
from components.tracking.base import CHAMPION, PREVIOUS


def test_a_promotion_whose_turn_is_over_moves_nothing_and_the_next_turn_finishes_it(
    tmp_path: Path,
) -> None:
    context, data = toy_context(tmp_path / "home"), toy_data(tmp_path / "prepared")
    night(context, trained(context, 0.85, "first"), data)
    turns = tmp_path / "turns"
    paused, later = (replace(context, turn=Fence.take(turns)) for _ in range(2))
    with pytest.raises(SupersededError):
        night(paused, trained(context, 0.99, "second"), data)
    assert alias(context, CHAMPION) == 1
    settle(later, MODEL)
    assert (alias(context, CHAMPION), alias(context, PREVIOUS)) == (2, 1)


def test_a_rollback_whose_turn_is_over_moves_nothing(tmp_path: Path) -> None:
    context, data = toy_context(tmp_path / "home"), toy_data(tmp_path / "prepared")
    night(context, trained(context, 0.85, "first"), data)
    night(context, trained(context, 0.99, "second"), data)
    turns = tmp_path / "turns"
    paused = replace(context, turn=Fence.take(turns))
    Fence.take(turns)
    with pytest.raises(SupersededError):
        rollback(paused, MODEL, "looks odd")
    assert alias(context, CHAMPION) == 2
