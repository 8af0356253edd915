"""What may go: the plan alone, over made-up installations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.jobs.history import Move, MoveKind
from components.jobs.records import DecisionRecord, DecisionState
from components.jobs.retention import Kind, Plan, Ref, data_key, retention_plan, version_key
from components.jobs.stored import (
    Inventory,
    StoredCheckpoint,
    StoredData,
    StoredFlowRun,
    StoredModel,
    StoredReport,
    StoredStudy,
)
from components.tracking.base import (
    DATASETS_EXPERIMENT,
    ModelVersion,
    RunStatus,
    StoredRun,
    Tag,
    TrackedRun,
)

NOW = datetime(2026, 11, 21, tzinfo=UTC)
LIMIT = NOW - timedelta(days=30)
OLD, YOUNG = NOW - timedelta(days=100), NOW - timedelta(days=1)
NAME = "toy-classifier"
DATA = frozenset({("toy", "d1")})
EMPTY = Inventory((), {}, (), (), (), (), ())


def run(id_: str, touched: datetime = OLD, **tags: str) -> StoredRun:
    said = {Tag.DATASET: "toy", Tag.DATASET_VERSION: "d1", Tag.FINGERPRINT: f"print {id_}"}
    known = {str(tag): value for tag, value in said.items()}
    tracked = TrackedRun(id_, id_, RunStatus.FINISHED, "", known | tags)
    return StoredRun(tracked, "toy", None, touched, trashed=False)


def model_run(id_: str, touched: datetime = OLD, model: str = "lenet", **tags: str) -> StoredRun:
    return run(id_, touched, **{Tag.MODEL: model}, **tags)


def version(number: int, *aliases: str, **tags: str) -> ModelVersion:
    said = {str(Tag.DATASET): "toy", str(Tag.DATASET_VERSION): "d1"}
    return ModelVersion(NAME, number, f"r{number}", "", said | tags, aliases)


def decision(data: str = "d1", at: datetime = OLD, **changes: object) -> dict[str, str]:
    values = {"state": DecisionState.APPLIED, "promoted": True, "reasons": (), "champion": None}
    record = DecisionRecord.model_validate(values | {"decided_at": at} | changes)
    return {f"{Tag.DECISION}.{data}": record.model_dump_json()}


def move(to: int, before: int | None, at: datetime = OLD, *, done: bool = True) -> Move:
    return Move(
        key=f"{to}.{at}",
        kind=MoveKind.PROMOTION,
        version=to,
        before=before,
        previous=before,
        reason="",
        by="",
        at=at,
        done=done,
    )


def registered(versions: list[ModelVersion], moves: list[Move] | None = None) -> Inventory:
    """Old versions with their runs, and a newer run of the same model that is kept instead."""
    runs = [model_run(one.run_id) for one in versions]
    newest = model_run("newest", OLD + timedelta(days=1))
    return replace(EMPTY, runs=[*runs, newest], models={NAME: StoredModel(versions, moves or [])})


def removed(inventory: Inventory, kind: Kind) -> set[str]:
    return set(retention_plan(inventory, LIMIT).removed(kind))


# Versions


def test_an_old_version_that_nobody_points_to_goes_with_its_run() -> None:
    inventory = registered([version(1), version(2, "champion"), version(3)])
    assert removed(inventory, Kind.VERSION) == {f"{NAME}:1", f"{NAME}:3"}
    assert removed(inventory, Kind.RUN) == {"r1", "r3"}


@pytest.mark.parametrize("alias", ["champion", "previous", "a person's own"])
def test_a_version_with_an_alias_stays_with_its_run(alias: str) -> None:
    inventory = registered([version(1, alias)])
    assert removed(inventory, Kind.VERSION) == set()
    assert removed(inventory, Kind.RUN) == set()


def test_the_anchor_of_a_cheaper_champion_stays() -> None:
    cheaper = version(3, "champion", **decision(anchor=1))
    assert removed(registered([version(1), version(2), cheaper]), Kind.VERSION) == {f"{NAME}:2"}


@pytest.mark.parametrize(
    "moves",
    [[move(3, 2, YOUNG)], [move(3, 2, OLD, done=False)]],
    ids=["a move within the limit", "a move that is not finished"],
)
def test_versions_that_a_move_names_stay(moves: list[Move]) -> None:
    versions = [version(1), version(2), version(3)]
    assert removed(registered(versions, moves), Kind.VERSION) == {f"{NAME}:1"}


def test_a_version_whose_promotion_is_not_finished_stays() -> None:
    pending = version(1, **decision(state=DecisionState.PENDING))
    assert removed(registered([pending, version(2)]), Kind.VERSION) == {f"{NAME}:2"}


def test_a_version_decided_within_the_limit_stays() -> None:
    inventory = registered([version(1, **decision(at=YOUNG))])
    assert removed(inventory, Kind.RUN) == set()


# Runs


def test_the_newest_finished_run_of_each_model_on_each_dataset_stays() -> None:
    later = OLD + timedelta(days=1)
    runs = [
        model_run("a"),
        model_run("b", later),
        model_run("c", model="mlp"),
        model_run("d", **{Tag.DATASET: "other"}),
    ]
    failed = model_run("e", later + timedelta(days=1))
    failed = replace(failed, run=replace(failed.run, status=RunStatus.FAILED))
    trashed = replace(model_run("f", later + timedelta(days=2)), trashed=True)
    assert removed(replace(EMPTY, runs=[*runs, failed, trashed]), Kind.RUN) == {"a", "e", "f"}


def test_a_run_that_still_runs_stays() -> None:
    running = run("a")
    running = replace(running, run=replace(running.run, status=RunStatus.RUNNING))
    assert removed(replace(EMPTY, runs=[running]), Kind.RUN) == set()


def test_a_study_and_its_trials_stay_or_go_together() -> None:
    parent, old = run("p", **{Tag.STUDY: "s"}), run("t1", **{Tag.STUDY: "s"})
    young = run("t2", YOUNG, **{Tag.STUDY: "s"})
    trials = [replace(one, parent="p") for one in (old, young)]
    assert removed(replace(EMPTY, runs=[parent, *trials]), Kind.RUN) == set()
    assert removed(replace(EMPTY, runs=[parent, trials[0]]), Kind.RUN) == {"p", "t1"}


def test_a_study_that_can_be_continued_keeps_its_runs() -> None:
    parent = run("p", **{Tag.STUDY: "s"})
    study = StoredStudy("s", "print p", "toy", YOUNG, locked=False)
    assert removed(replace(EMPTY, runs=[parent], studies=[study]), Kind.RUN) == set()
    for locked, gone in ((True, set()), (False, {"s"})):
        inventory = replace(
            EMPTY, runs=[parent], studies=[replace(study, touched=OLD, locked=locked)]
        )
        assert removed(inventory, Kind.STUDY) == gone


def test_a_checkpoint_that_a_night_can_go_on_from_keeps_its_run() -> None:
    killed = run("k")
    killed = replace(killed, run=replace(killed.run, status=RunStatus.KILLED))
    for touched, locked, stays in ((YOUNG, False, True), (OLD, True, True), (OLD, False, False)):
        checkpoint = StoredCheckpoint("print k", touched, locked)
        inventory = replace(EMPTY, runs=[killed], checkpoints=[checkpoint])
        assert (removed(inventory, Kind.RUN) == set()) is stays
        assert (removed(inventory, Kind.CHECKPOINT) == set()) is stays


def test_what_a_report_within_the_limit_shows_stays() -> None:
    """An unchanged night touches neither run nor version: its report says that they are in use."""
    inventory = registered([version(1), version(2)])
    shown = frozenset({(NAME, 1)})
    report = StoredReport("f", YOUNG, False, frozenset({"r1"}), shown, frozenset())
    assert removed(replace(inventory, reports=[report]), Kind.VERSION) == {f"{NAME}:2"}
    newest = replace(report, touched=OLD, newest=True)
    assert removed(replace(inventory, reports=[newest]), Kind.VERSION) == {f"{NAME}:2"}


# Data


def data(name: str, version: str, **changes: bool) -> StoredData:
    return StoredData(name, version, OLD, **({"current": False, "irreplaceable": False} | changes))


def test_data_go_unless_they_are_current_irreplaceable_or_behind_a_model() -> None:
    inventory = replace(
        registered([version(1, "champion", **decision("d4"))]),
        data=[
            data("toy", "d1"),
            data("toy", "d2"),
            data("toy", "d3", current=True),
            data("toy", "d4"),
            data("mine", "m1", irreplaceable=True),
            data("mine", "m2"),
        ],
    )
    assert removed(inventory, Kind.DATA) == {"toy/d2", "mine/m2"}


def test_a_card_stays_and_goes_with_its_data() -> None:
    cards = [replace(run(f"card {v}"), experiment=DATASETS_EXPERIMENT) for v in ("d1", "d2")]
    cards = [
        replace(card, run=replace(card.run, tags={Tag.FINGERPRINT: f"toy-{v}"}))
        for card, v in zip(cards, ("d1", "d2"), strict=True)
    ]
    inventory = replace(
        EMPTY, runs=cards, data=[data("toy", "d1"), data("toy", "d2", current=True)]
    )
    assert removed(inventory, Kind.RUN) == {"card d1"}


# Beside a running night


def flow(
    id_: str,
    dataset: str | None,
    touched: datetime = OLD,
    *,
    final: bool = True,
    begun: bool = True,
) -> StoredFlowRun:
    datasets = frozenset([dataset] if dataset else [])
    return StoredFlowRun(id_, id_, final, touched if begun else None, touched, datasets)


def test_nothing_of_a_dataset_that_a_flow_run_works_on_goes() -> None:
    other = model_run("o1", **{Tag.DATASET: "other"})
    newer = model_run("o2", OLD + timedelta(days=1), **{Tag.DATASET: "other"})
    inventory = registered([version(1)])
    inventory = replace(inventory, runs=[*inventory.runs, other, newer])
    for dataset, gone in (("toy", {"o1"}), (None, set()), ("other", {"r1"})):
        busy = flow("f", dataset, YOUNG, final=False)
        assert removed(replace(inventory, flow_runs=[busy]), Kind.RUN) == gone


def test_what_was_touched_since_a_flow_run_under_way_began_is_not_old() -> None:
    busy = flow("f", "other", OLD - timedelta(days=1), final=False)
    inventory = replace(EMPTY, runs=[run("a")])
    assert removed(inventory, Kind.RUN) == {"a"}
    assert removed(replace(inventory, flow_runs=[busy]), Kind.RUN) == set()


def test_flow_runs_go_unless_they_are_not_over_or_a_model_names_them() -> None:
    inventory = registered([version(1, "champion", **{Tag.FLOW_RUN: "f1"})])
    runs = [flow("f1", "toy"), flow("f2", "toy"), flow("f3", "toy", final=False, begun=False)]
    assert removed(replace(inventory, flow_runs=runs), Kind.FLOW_RUN) == {"f2"}


# Whatever the installation


def references(inventory: Inventory) -> Iterator[tuple[Ref, Ref]]:
    """Who refers to whom, said again and apart from the code under test."""
    prints = {r.run.tags.get(Tag.FINGERPRINT): r.run.run_id for r in inventory.runs}
    for stored in inventory.runs:
        me, tags = Ref(Kind.RUN, stored.run.run_id), stored.run.tags
        if Tag.FLOW_RUN in tags:
            yield me, Ref(Kind.FLOW_RUN, tags[Tag.FLOW_RUN])
        yield me, Ref(Kind.DATA, data_key(tags[Tag.DATASET], tags[Tag.DATASET_VERSION]))
        if stored.parent:
            yield me, Ref(Kind.RUN, stored.parent)
    for name, model in inventory.models.items():
        for one in model.versions:
            me = Ref(Kind.VERSION, version_key(name, one.version))
            yield me, Ref(Kind.RUN, one.run_id)
            for tag, text in one.tags.items():
                if tag.startswith(f"{Tag.DECISION}."):
                    record = DecisionRecord.model_validate_json(text)
                    yield me, Ref(Kind.DATA, data_key("toy", tag.rpartition(".")[2]))
                    if record.anchor:
                        yield me, Ref(Kind.VERSION, version_key(name, record.anchor))
    for checkpoint in inventory.checkpoints:
        if found := prints.get(checkpoint.fingerprint):
            yield Ref(Kind.CHECKPOINT, checkpoint.fingerprint), Ref(Kind.RUN, found)
    for report in inventory.reports:
        me = Ref(Kind.REPORT, report.flow_run)
        yield me, Ref(Kind.FLOW_RUN, report.flow_run)
        for shown in report.runs:
            yield me, Ref(Kind.RUN, shown)
        for one in report.versions:
            yield me, Ref(Kind.VERSION, version_key(*one))


NUMBERS = st.integers(1, 6)
TIMES = st.sampled_from([OLD, OLD + timedelta(days=1), LIMIT, YOUNG])


@st.composite
def installations(draw: st.DrawFn) -> Inventory:
    def stored(number: int) -> StoredRun:
        tags = {Tag.DATASET_VERSION: f"d{draw(NUMBERS)}", Tag.FLOW_RUN: f"f{draw(NUMBERS)}"}
        one = model_run(f"r{number}", draw(TIMES), **{str(k): v for k, v in tags.items()})
        status = draw(st.sampled_from(list(RunStatus)))
        parent = draw(st.sampled_from([None, None, "r1"])) if number > 1 else None
        return replace(one, run=replace(one.run, status=status), parent=parent)

    def registered_version(number: int) -> ModelVersion:
        anchor = draw(st.none() | NUMBERS)
        record = decision(f"d{draw(NUMBERS)}", draw(TIMES), anchor=anchor)
        alias = draw(st.sampled_from([(), (), (), ("champion",), ("previous",)]))
        return version(number, *alias, **record)

    def report(number: int) -> StoredReport:
        shown = frozenset({f"r{draw(NUMBERS)}"})
        versions = frozenset({(NAME, draw(NUMBERS))})
        return StoredReport(f"f{number}", draw(TIMES), False, shown, versions, frozenset())

    some = draw(st.sets(NUMBERS))
    moves = [move(draw(NUMBERS), draw(NUMBERS), draw(TIMES)) for _ in draw(st.sets(NUMBERS))]
    return Inventory(
        runs=[stored(number) for number in range(1, 7)],
        models={NAME: StoredModel([registered_version(n) for n in range(1, 7)], moves)},
        data=[replace(data("toy", f"d{n}"), current=n == 1) for n in range(1, 7)],
        studies=[],
        checkpoints=[StoredCheckpoint(f"print r{n}", draw(TIMES), False) for n in some],
        reports=[report(number) for number in some],
        flow_runs=[flow(f"f{n}", "toy", draw(TIMES)) for n in range(1, 7)],
    )


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(installations())
def test_nothing_that_stays_refers_to_something_that_goes(inventory: Inventory) -> None:
    plan: Plan = retention_plan(inventory, LIMIT)
    assert not plan.remove.keys() & plan.keep.keys()
    for one, other in references(inventory):
        assert not (one in plan.keep and other in plan.remove), (one, other)
    for item in plan.remove.values():
        assert item.touched < LIMIT
    for one in inventory.models[NAME].versions:
        if one.aliases:
            assert Ref(Kind.VERSION, version_key(NAME, one.version)) in plan.keep
    for stored in inventory.runs:
        if stored.run.status is RunStatus.RUNNING:
            assert Ref(Kind.RUN, stored.run.run_id) in plan.keep


@settings(max_examples=100, deadline=None)
@given(installations())
def test_what_is_left_is_what_a_second_pass_would_leave(inventory: Inventory) -> None:
    plan = retention_plan(inventory, LIMIT)
    [model] = inventory.models.values()
    kept = plan.keep.keys()
    left = replace(
        inventory,
        runs=[r for r in inventory.runs if Ref(Kind.RUN, r.run.run_id) in kept],
        models={
            NAME: replace(
                model,
                versions=[
                    v
                    for v in model.versions
                    if Ref(Kind.VERSION, version_key(NAME, v.version)) in kept
                ],
            )
        },
        data=[d for d in inventory.data if Ref(Kind.DATA, data_key(d.name, d.version)) in kept],
        checkpoints=[
            c for c in inventory.checkpoints if Ref(Kind.CHECKPOINT, c.fingerprint) in kept
        ],
        reports=[r for r in inventory.reports if Ref(Kind.REPORT, r.flow_run) in kept],
        flow_runs=[f for f in inventory.flow_runs if Ref(Kind.FLOW_RUN, f.id) in kept],
    )
    assert retention_plan(left, LIMIT).remove == {}
