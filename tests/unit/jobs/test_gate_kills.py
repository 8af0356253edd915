from __future__ import annotations

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
    state_of,
    toy_context,
    trained,
)

from components.jobs.context import JobContext
from components.jobs.records import (
    DecisionState,
    read_ledger,
    store_decision,
    stored_decision,
)
from components.tracking import figures
from components.tracking.base import CHAMPION, PREVIOUS, TrackedRun
from components.versioning.versions import DatasetVersion


@pytest.fixture
def _without_drawing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some sixty nights; their pictures would take most of the time."""
    for name in ("confusion_figure", "worst_mistakes"):
        monkeypatch.setattr(figures, name, lambda *_: Figure())


def world(home: Path, data: DatasetVersion, skills: tuple[float, ...]) -> JobContext:
    context = toy_context(home)
    for number, skill in enumerate(skills):
        night(context, trained(context, skill, f"before {number}"), data)
    return context


def outcome(context: JobContext, run: TrackedRun, data: DatasetVersion) -> dict[str, object]:
    """All that must be the same, however often the night was broken off."""
    ledger = read_ledger(context.registry, MODEL).entries
    return {
        "champion": alias(context, CHAMPION),
        "previous": alias(context, PREVIOUS),
        "state": state_of(context, run, data),
        "version": context.registry.version_of_run(MODEL, run.run_id).version,
        "ledger": [(entry.candidate, entry.alpha) for entry in ledger],
    }


@pytest.mark.slow
@pytest.mark.parametrize("after", [False, True], ids=["before the write", "after it"])
@pytest.mark.parametrize(
    ("skills", "skill"),
    [((), 0.9), ((), 0.5), ((0.85,), 0.95), ((0.85,), 0.85)],
    ids=["first", "below the floor", "better", "refused"],
)
@pytest.mark.usefixtures("_without_drawing")
def test_a_kill_at_any_write_and_another_night_end_as_without(
    tmp_path: Path, data: DatasetVersion, skills, skill: float, after: bool
) -> None:
    whole = world(tmp_path / "whole", data, skills)
    run = trained(whole, skill, "candidate")
    counting = Fuse(at=0, after=after)
    night(fused(whole, counting), run, data)
    expected = outcome(whole, run, data)
    for at in range(1, counting.count + 1):
        context = world(tmp_path / str(at), data, skills)
        run = trained(context, skill, "candidate")
        with pytest.raises(Interrupted):
            night(fused(context, Fuse(at, after)), run, data)
        champion = alias(context, CHAMPION)
        assert champion in {len(skills) or None, expected["champion"]}
        night(context, run, data)
        assert outcome(context, run, data) == expected


def test_a_pending_decision_of_another_state_is_carried_out_once(context, first, data) -> None:
    """A kill after the alias moved and before that was noted."""
    better = trained(context, 0.95, "better")
    night(context, better, data)
    version = context.registry.version_of_run(MODEL, better.run_id)
    record = stored_decision(version, data.version)
    pending = record.model_copy(update={"state": DecisionState.PENDING})
    store_decision(context.registry, version, data.version, pending)
    night(context, better, data)
    assert (alias(context, CHAMPION), alias(context, PREVIOUS)) == (2, 1)
    assert state_of(context, better, data) is DecisionState.APPLIED
