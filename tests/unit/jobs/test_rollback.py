"""Going back, and what a kill in the middle of it leaves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from toy_night import (
    MODEL,
    Fuse,
    Interrupted,
    alias,
    fused,
    night,
    registered,
    state_of,
    toy_context,
    trained,
)

from components.errors import ConfigError, PromotionError, UnknownKeyError
from components.jobs.context import FlowRunRef, JobContext
from components.jobs.evaluate import evaluate
from components.jobs.gate import gate
from components.jobs.history import MoveKind, read_moves
from components.jobs.promote import promote
from components.jobs.records import DecisionState
from components.jobs.recovery import settle, unsettled
from components.jobs.rollback import rollback
from components.tracking import figures
from components.tracking.base import CHAMPION, PREVIOUS

SKILLS = (0.81, 0.89, 0.97)


@pytest.fixture(autouse=True)
def _without_drawing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("confusion_figure", "worst_mistakes", "reliability_diagram"):
        monkeypatch.setattr(figures, name, lambda *_: Figure())


def three_champions(context: JobContext, data) -> list:
    runs = [trained(context, skill, f"run {skill}") for skill in SKILLS]
    for run in runs:
        night(context, run, data)
    return runs


def settled(context: JobContext) -> list[str]:
    return [one.line for one in settle(context, MODEL)]


def aliases(context: JobContext) -> tuple[int | None, int | None]:
    return alias(context, CHAMPION), alias(context, PREVIOUS)


def test_a_rollback_walks_back_through_the_champions(context, data) -> None:
    runs = three_champions(context, data)
    outcome = rollback(context, MODEL, "it is worse in the shop")
    assert (outcome.champion.version, outcome.before.version) == (2, 3)
    assert aliases(context) == (2, 1)
    assert state_of(context, runs[2], data) is DecisionState.ROLLED_BACK
    rollback(context, MODEL, "so is this one")
    assert aliases(context) == (1, None)
    with pytest.raises(PromotionError, match="none before it"):
        rollback(context, MODEL, "and this one")
    assert aliases(context) == (1, None)


def test_any_version_can_be_named(context, data) -> None:
    three_champions(context, data)
    rollback(context, MODEL, "straight to the first", to=1)
    assert aliases(context) == (1, None)
    rollback(context, MODEL, "it was the other one", to=3)
    assert aliases(context) == (3, 2)


def test_the_history_says_who_when_from_where_to_where_and_why(context, data) -> None:
    three_champions(context, data)
    asked = replace(context, flow_run=FlowRunRef("1", "http://prefect/1"))
    rollback(asked, MODEL, "  it is worse in the shop ")
    moves = read_moves(context.registry, MODEL)
    kinds = [MoveKind.PROMOTION] * 3 + [MoveKind.ROLLBACK]
    assert [(move.kind, move.before, move.version) for move in moves] == list(
        zip(kinds, (None, 1, 2, 3), (1, 2, 3, 2), strict=True)
    )
    assert all(move.done and "@" in move.by for move in moves)
    assert moves[-1].reason == "it is worse in the shop"
    assert moves[-1].flow_run == "http://prefect/1"
    assert moves[0].reason.startswith("first model")
    assert moves[1].reason.startswith("mcnemar")


def test_an_unchanged_night_does_not_bring_it_back(context, data) -> None:
    runs = three_champions(context, data)
    rollback(context, MODEL, "worse")
    gated, promoted = night(context, runs[2], data)
    assert "rolled back" in gated.skipped
    assert "rolled back" in promoted.skipped
    assert alias(context, CHAMPION) == 2


def test_a_better_model_is_compared_with_the_champion_gone_back_to(context, data) -> None:
    three_champions(context, data)
    rollback(context, MODEL, "worse", to=1)
    night(context, trained(context, 0.93, "new"), data)
    assert aliases(context) == (4, 1)


@pytest.mark.parametrize(
    ("name", "to", "reason", "error", "words"),
    [
        ("toy-clasifier", None, "x", UnknownKeyError, "toy-classifier"),
        (MODEL, 9, "x", ConfigError, "version 9"),
        (MODEL, 3, "x", PromotionError, "champion now"),
        (MODEL, None, "  ", ConfigError, "--reason"),
    ],
)
def test_what_cannot_be_done_is_refused_and_changes_nothing(
    context, data, name: str, to, reason: str, error, words: str
) -> None:
    three_champions(context, data)
    with pytest.raises(error, match=words):
        rollback(context, name, reason, to)
    assert aliases(context) == (3, 2)
    assert len(read_moves(context.registry, MODEL)) == 3


def test_a_version_that_does_not_load_is_not_made_champion(context, data) -> None:
    runs = three_champions(context, data)
    del context.tracker.models[runs[1].run_id]
    with pytest.raises(PromotionError, match="whose files are all there"):
        rollback(context, MODEL, "worse")
    assert aliases(context) == (3, 2)


@pytest.mark.parametrize("after", [False, True], ids=["before the write", "after it"])
@pytest.mark.parametrize("to", [None, 1])
def test_a_kill_at_any_write_is_finished_at_the_next_start(
    tmp_path: Path, data, to: int | None, after: bool
) -> None:
    whole = toy_context(tmp_path / "whole")
    runs = three_champions(whole, data)
    counting = Fuse(at=0, after=after)
    rollback(fused(whole, counting), MODEL, "worse", to)
    for at in range(1, counting.count + 1):
        context = toy_context(tmp_path / str(at))
        runs = three_champions(context, data)
        with pytest.raises(Interrupted):
            rollback(fused(context, Fuse(at, after)), MODEL, "worse", to)
        assert alias(context, CHAMPION) in {3, to or 2}
        begun = at > 1 or after
        settled(context)
        expected = aliases(whole) if begun else (3, 2)
        assert aliases(context) == expected
        assert not unsettled(context.registry, MODEL)
        moves = read_moves(context.registry, MODEL)
        assert [move.done for move in moves] == [True] * (4 if begun else 3)
        if begun:
            assert state_of(context, runs[2], data) is DecisionState.ROLLED_BACK


@pytest.mark.parametrize("after", [False, True], ids=["before the write", "after it"])
def test_a_promotion_killed_at_any_write_is_finished_or_undone_at_the_next_start(
    tmp_path: Path, data, after: bool
) -> None:
    """The start knows nothing but the registry: no night comes."""
    at, promoted = 0, set()
    while True:
        at += 1
        context = toy_context(tmp_path / f"{after}{at}")
        night(context, trained(context, 0.85, "first"), data)
        run = trained(context, 0.95, "better")
        try:
            night(fused(context, Fuse(at, after)), run, data)
        except Interrupted:
            settled(context)
        else:
            break
        champion = alias(context, CHAMPION)
        state = state_of(context, run, data)
        assert (champion, state) in {(1, None), (2, DecisionState.APPLIED)}
        assert all(move.done for move in read_moves(context.registry, MODEL))
        assert not unsettled(context.registry, MODEL)
        promoted.add(champion)
    assert promoted == {1, 2}


@pytest.mark.parametrize("after", [False, True], ids=["before the write", "after it"])
@pytest.mark.parametrize("again", ["the command", "the task's retry"])
def test_a_rollback_that_is_repeated_after_a_kill_does_not_go_too_far(
    tmp_path: Path, data, again: str, after: bool
) -> None:
    at = 0
    while True:
        at += 1
        context = toy_context(tmp_path / f"{after}{at}")
        runs = three_champions(context, data)
        if again != "the command":
            context = replace(context, flow_run=FlowRunRef("flow-1", "http://prefect/1"))
        try:
            rollback(fused(context, Fuse(at, after)), MODEL, "worse")
        except Interrupted:
            outcome = rollback(context, MODEL, "worse")
        else:
            break
        if again == "the command" and after and at == 5:
            continue  # everything was done: it is another rollback
        assert outcome.champion.version == 2, at
        assert aliases(context) == (2, 1)
        assert state_of(context, runs[2], data) is DecisionState.ROLLED_BACK
        assert not unsettled(context.registry, MODEL)
    assert at == 6


def test_a_rollback_after_a_promotion_that_a_kill_left_half_done_stays(context, data) -> None:
    """At every write of the promotion: then a person goes back, then the servers start."""
    three = [trained(context, skill, f"run {skill}") for skill in SKILLS]
    night(context, three[0], data)
    night(context, three[1], data)
    version = registered(context, three[2], data)
    gated = gate(context, version, evaluate(context, three[2], data), data)
    for at in range(1, 6):
        with pytest.raises(Interrupted):
            promote(fused(context, Fuse(at, after=False)), gated.version, data.version)
    rollback(context, MODEL, "the new one is bad")
    assert aliases(context) == (2, 1)
    settled(context)
    night(context, three[2], data)
    assert aliases(context) == (2, 1)
    assert state_of(context, three[2], data) is DecisionState.ROLLED_BACK


def test_a_stale_rollback_does_not_fire_later(context, data) -> None:
    three_champions(context, data)
    with pytest.raises(Interrupted):
        rollback(fused(context, Fuse(1, after=True)), MODEL, "worse")
    context.registry.set_alias(MODEL, CHAMPION, 2)  # by hand, in MLflow
    rollback(context, MODEL, "no, the newest is right", to=3)
    assert aliases(context) == (3, 2)
    assert settled(context) == []


def test_a_promotion_begun_against_another_champion_is_not_taken_up(context, data) -> None:
    three_champions(context, data)
    run = trained(context, 0.995, "fourth")
    version = registered(context, run, data)
    gated = gate(context, version, evaluate(context, run, data), data)
    with pytest.raises(Interrupted):
        promote(fused(context, Fuse(1, after=True)), gated.version, data.version)
    context.registry.set_alias(MODEL, CHAMPION, 1)  # by hand, in MLflow
    (line,) = settled(context)
    assert "given up" in line
    assert not unsettled(context.registry, MODEL)
    night(context, run, data)
    assert aliases(context) == (4, 1)
    assert [move.before for move in read_moves(context.registry, MODEL) if move.version == 4] == [1]


def test_an_account_without_a_name_can_promote(
    context, data, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nameless() -> str:
        raise KeyError("getpwuid(): uid not found: 12345")

    monkeypatch.setattr("getpass.getuser", nameless)
    night(context, trained(context, 0.9, "first"), data)
    assert read_moves(context.registry, MODEL)[0].by.startswith("uid ")


def test_a_promotion_that_somebody_overtook_is_given_up(context, first, data) -> None:
    run = trained(context, 0.93, "late")
    version = registered(context, run, data)
    gate(context, version, evaluate(context, run, data), data)
    night(context, trained(context, 0.99, "faster"), data)
    (line,) = settled(context)
    assert "given up: the champion is now version 3" in line
    assert alias(context, CHAMPION) == 3
    assert state_of(context, run, data) is DecisionState.SUPERSEDED


def test_a_rollback_that_somebody_overtook_is_given_up(context, data) -> None:
    three_champions(context, data)
    with pytest.raises(Interrupted):
        rollback(fused(context, Fuse(1, after=True)), MODEL, "worse")
    context.registry.set_alias(MODEL, CHAMPION, 1)
    (line,) = settled(context)
    assert "given up: version 1 was champion" in line
    assert aliases(context) == (1, 2)
    assert read_moves(context.registry, MODEL)[-1].undone
