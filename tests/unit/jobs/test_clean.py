"""Removing over the in-memory services and real files, also when it is broken off anywhere."""

from __future__ import annotations

import os
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from toy_night import MODEL, Fuse, Fused, Interrupted, alias, fused, night, toy_context, trained

from components.errors import ConfigError, ServiceError, SupersededError
from components.fencing import Fence
from components.jobs.clean import Cleaning, Line, left_behind, parse_age
from components.jobs.context import JobContext
from components.jobs.locks import try_lock
from components.jobs.removal import Removal, Services
from components.jobs.retention import Kind
from components.jobs.rollback import rollback
from components.jobs.stored import StoredFlowRun
from components.tracking import figures
from components.tracking.base import CHAMPION, PREVIOUS, RunStatus
from components.tracking.memory import MemoryStorage, MemoryTracker
from components.versioning.versions import DatasetVersion

NOW = datetime.now(UTC)
HOUR = timedelta(hours=1)
OLD_PRINT, YOUNG_PRINT = "0" * 32, "1" * 32


@dataclass
class History:
    """A public fake of the orchestrator's history."""

    runs: list[StoredFlowRun] = field(default_factory=list)

    def flow_runs(self) -> list[StoredFlowRun]:
        return list(self.runs)

    def remove(self, ids: list[str]) -> None:
        self.runs = [run for run in self.runs if run.id not in ids]


def flow_run(id_: str, *, final: bool = True) -> StoredFlowRun:
    return StoredFlowRun(id_, id_, final, NOW - 2 * HOUR, NOW - 2 * HOUR, frozenset({"toy"}))


def touch(path: Path, when: datetime) -> None:
    os.utime(path, (when.timestamp(), when.timestamp()))


def file(path: Path, when: datetime = NOW - 2 * HOUR) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{}", encoding="utf-8")
    touch(path, when)
    touch(path.parent, when)
    return path


@pytest.fixture(autouse=True)
def _without_drawing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("confusion_figure", "worst_mistakes"):
        monkeypatch.setattr(figures, name, lambda *_: Figure())


def world(home: Path, data: DatasetVersion) -> tuple[JobContext, History]:
    """Five nights, three champions among them, and what they leave behind."""
    context = toy_context(home)
    for number, skill in enumerate((0.82, 0.9, 0.96, 0.5, 0.6)):
        night(context, trained(context, skill, f"print {number}"), data)
    assert (alias(context, CHAMPION), alias(context, PREVIOUS)) == (3, 2)
    for print_, when in ((OLD_PRINT, NOW - 2 * HOUR), (YOUNG_PRINT, NOW)):
        file(home / "checkpoints" / print_ / "last.pt", when)
        file(home / "checkpoints" / f"{print_}.lock", when)
    file(home / "reports" / "f1.json")
    return context, History([flow_run("f1"), flow_run("f2")])


def cleaning(context: JobContext, history: History, limit: datetime | None = None) -> Cleaning:
    tracker = getattr(context.tracker, "_inner", context.tracker)
    assert isinstance(tracker, MemoryTracker)
    storage = MemoryStorage(tracker)
    turn = Fence.take(context.settings.home / "turn")
    services = Services(context, storage, history, lambda name: nullcontext(turn))
    return Cleaning(services, limit or datetime.now(UTC))


def removed(lines: list[Line]) -> dict[str, int]:
    return {line.kind: line.removed for line in lines if line.removed}


def left(context: JobContext, history: History) -> dict[str, object]:
    tracker = getattr(context.tracker, "_inner", context.tracker)
    home = context.settings.home
    folders = [*home.glob("checkpoints/*"), *home.glob("reports/*"), *home.glob("removing/*")]
    return {
        "versions": [one.version for one in context.registry.versions(MODEL)],
        "runs": sorted(stored.run.run_id for stored in MemoryStorage(tracker).runs()),
        "trash": sorted(tracker.trashed),
        "flow runs": [run.id for run in history.runs],
        "files": sorted(str(path.relative_to(home)) for path in folders),
        "champion": alias(context, CHAMPION),
        "previous": alias(context, PREVIOUS),
    }


def test_what_nothing_needs_goes_and_the_rest_works(tmp_path: Path, data) -> None:
    context, history = world(tmp_path, data)
    before = left(context, history)
    planned = removed(list(cleaning(context, history, NOW - HOUR).preview()))
    assert left(context, history) == before
    assert planned == {Kind.REPORT: 1, Kind.CHECKPOINT: 1, Kind.FLOW_RUN: 2}
    lines = list(cleaning(context, history).clean())
    after = left(context, history)
    assert after["versions"] == [2, 3, 5]  # 5 is the newest of its model
    assert after["files"] == []
    assert (after["champion"], after["previous"], after["trash"]) == (3, 2, [])
    assert removed(lines)[Kind.VERSION] == removed(lines)[Kind.RUN] == 2
    assert sum(line.freed or 0 for line in lines) > 0
    for version in context.registry.versions(MODEL):
        context.registry.verify(version)
    assert removed(list(cleaning(context, history).clean())) == {}


def test_one_can_go_back_past_a_removed_champion(tmp_path: Path, data) -> None:
    context, history = world(tmp_path, data)
    list(cleaning(context, history).clean())
    rollback(context, MODEL, "worse")
    assert (alias(context, CHAMPION), alias(context, PREVIOUS)) == (2, None)


@pytest.mark.slow
@pytest.mark.parametrize("after", [False, True], ids=["before the write", "after it"])
def test_broken_off_anywhere_nothing_dangles_and_the_next_one_completes(
    tmp_path: Path, data, after: bool
) -> None:
    whole, whole_history = world(tmp_path / "whole", data)
    list(cleaning(whole, whole_history).clean())
    for at in range(1, 100):
        context, history = world(tmp_path / f"{at}", data)
        fuse = Fuse(at, after)
        pass_ = cleaning(fused(context, fuse), history)
        services = replace(
            pass_.services,
            storage=Fused(pass_.services.storage, fuse),
            history=Fused(history, fuse),
        )
        try:
            list(replace(pass_, services=services).clean())
            break
        except Interrupted:
            pass
        for version in context.registry.versions(MODEL):
            if version.aliases or version.version == 5:
                context.registry.verify(version)
                assert version.run_id not in context.tracker.trashed
        list(cleaning(context, history).clean())
        assert left(context, history) == left(whole, whole_history), fuse.names
    assert at > 6
    assert set(fuse.names) == {"remove_version", "trash", "erase", "remove"}


def test_runs_that_a_night_may_have_found_meanwhile_are_restored(tmp_path: Path, data) -> None:
    context, history = world(tmp_path, data)
    before = left(context, history)["runs"]
    removal = Removal.begin(cleaning(context, history).services, datetime.now(UTC))
    history.runs.append(flow_run("begun just now", final=False))
    keys = removal.plan.removed(Kind.RUN)
    assert keys
    assert removal.remove(Kind.RUN, keys) == []
    assert left(context, history)["runs"] == before
    assert context.tracker.find("toy", "print 0") is not None


def test_a_version_that_somebody_went_back_to_meanwhile_stays(tmp_path: Path, data) -> None:
    context, history = world(tmp_path, data)
    services = cleaning(context, history).services

    @contextmanager
    def waiting(name: str):
        rollback(context, name, "meanwhile", 1)
        with services.one_at_a_time(name) as turn:
            yield turn

    removal = Removal.begin(replace(services, one_at_a_time=waiting), datetime.now(UTC))
    keys = removal.plan.removed(Kind.VERSION)
    assert f"{MODEL}:1" in keys
    assert f"{MODEL}:1" not in removal.remove(Kind.VERSION, keys)
    assert alias(context, CHAMPION) == 1


def test_a_process_whose_turn_was_given_to_another_removes_no_version(tmp_path, data) -> None:
    context, history = world(tmp_path, data)
    services = cleaning(context, history).services

    @contextmanager
    def paused(name: str):
        with services.one_at_a_time(name) as turn:
            Fence.take(turn.path)
            yield turn

    removal = Removal.begin(replace(services, one_at_a_time=paused), datetime.now(UTC))
    before = left(context, history)["versions"]
    with pytest.raises(SupersededError):
        removal.remove(Kind.VERSION, removal.plan.removed(Kind.VERSION))
    assert left(context, history)["versions"] == before


def test_a_checkpoint_in_use_stays(tmp_path: Path, data) -> None:
    context, history = world(tmp_path, data)
    removal = Removal.begin(cleaning(context, history).services, datetime.now(UTC))
    with try_lock(tmp_path / "checkpoints" / f"{OLD_PRINT}.lock"):
        assert removal.remove(Kind.CHECKPOINT, [OLD_PRINT]) == []
    file(tmp_path / "checkpoints" / OLD_PRINT / "last.pt", datetime.now(UTC) + HOUR)
    assert removal.remove(Kind.CHECKPOINT, [OLD_PRINT]) == []
    assert (tmp_path / "checkpoints" / OLD_PRINT / "last.pt").exists()


def test_two_at_a_time_are_refused(tmp_path: Path, data) -> None:
    context, history = world(tmp_path, data)
    with try_lock(tmp_path / "clean.lock"), pytest.raises(ServiceError, match="one at a time"):
        list(cleaning(context, history).clean())


def test_a_run_that_still_runs_is_not_touched(tmp_path: Path, data) -> None:
    context, history = world(tmp_path, data)
    run = trained(context, 0.3, "running")
    context.tracker._change(run.run_id, status=RunStatus.RUNNING)
    list(cleaning(context, history).clean())
    assert context.tracker.get(run.run_id).status is RunStatus.RUNNING


def test_logs_and_half_made_files_go_and_the_newest_self_check_stays(tmp_path: Path) -> None:
    home = tmp_path
    gone = [
        file(home / "logs" / "mlflow.log.1"),
        file(home / "reports" / ".f.json.7.tmp"),
        file(home / "self_checks" / "a.json", NOW - 3 * HOUR),
        file(home / "removing" / "x" / "last.pt").parent,
    ]
    for kept in ("logs/mlflow.log", "self_checks/b.json", "reports/latest.json"):
        file(home / kept)
    assert sorted(left_behind(home, NOW - HOUR)) == sorted(gone)


@pytest.mark.parametrize(("text", "hours"), [("12h", 12), ("30d", 720), ("2w", 336), ("0d", 0)])
def test_an_age_is_hours_days_or_weeks(text: str, hours: int) -> None:
    assert parse_age(text) == timedelta(hours=hours)


@pytest.mark.parametrize("text", ["", "30", "d", "-1d", "1.5d", "1m", "30 d", "٣d", "9999999d"])
def test_other_ages_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="12h, 30d or 2w"):
        parse_age(text)
