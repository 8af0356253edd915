from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from toy_night import (
    MODEL,
    PARAMS,
    TEST,
    Fuse,
    Skilled,
    alias,
    fused,
    night,
    registered,
    state_of,
    trained,
)

from components.errors import (
    MissingMetricError,
    PromotionError,
    TrackingError,
    TrackingUnavailableError,
)
from components.jobs.evaluate import (
    ANCHOR_REPORT,
    CHAMPION_REPORT,
    evaluate,
    headline,
    read_report,
)
from components.jobs.gate import gate, register
from components.jobs.history import read_moves
from components.jobs.promote import promote
from components.jobs.records import (
    DECISION_ARTIFACT,
    DecisionState,
    read_ledger,
    stored_decision,
)
from components.promotion.decision import PromotionDecision
from components.tracking.base import CHAMPION, PREVIOUS, Tag

# One night after another


def test_the_first_model_becomes_champion(context, first, data) -> None:
    assert alias(context, CHAMPION) == 1
    assert alias(context, PREVIOUS) is None
    assert state_of(context, first, data) is DecisionState.APPLIED
    assert read_ledger(context.registry, MODEL).entries == ()
    version = context.registry.by_alias(MODEL, CHAMPION)
    assert version.run_id == first.run_id
    assert version.tags[Tag.FINGERPRINT] == "first"
    assert version.tags[Tag.DATASET_VERSION] == data.version
    assert version.tags[Tag.SAMPLE] == "true"


def test_an_unchanged_night_skips_every_step_and_says_so(context, first, data) -> None:
    fuse = Fuse(at=0, after=False)
    evaluation = evaluate(fused(context, fuse), first, data)
    version = register(fused(context, fuse), first, data)
    gated = gate(fused(context, fuse), version.version, evaluation, data)
    promoted = promote(fused(context, fuse), gated.version, data.version)
    assert all(step.skipped for step in (evaluation, version, gated, promoted))
    assert "applied" in gated.skipped
    assert gated.decision.promoted
    assert fuse.names == []
    assert alias(context, CHAMPION) == 1


def test_a_better_model_replaces_the_champion_which_stays_as_previous(context, first, data) -> None:
    better = trained(context, 0.95, "better")
    gated, promoted = night(context, better, data)
    assert gated.decision.promoted
    assert promoted.champion.version == 2
    assert promoted.skipped is None
    assert (alias(context, CHAMPION), alias(context, PREVIOUS)) == (2, 1)
    assert state_of(context, better, data) is DecisionState.APPLIED
    entries = read_ledger(context.registry, MODEL).entries
    assert [(entry.candidate, entry.dataset_version) for entry in entries] == [
        ("better", data.version)
    ]


@pytest.mark.parametrize("skill", [0.80, 0.85, 0.856])
def test_a_model_that_is_not_truly_better_is_refused(context, first, data, skill: float) -> None:
    run = trained(context, skill, "candidate")
    gated, promoted = night(context, run, data)
    assert not gated.decision.promoted
    assert promoted.skipped == "the gate refused"
    assert promoted.champion.version == 1
    assert (alias(context, CHAMPION), alias(context, PREVIOUS)) == (1, None)
    assert state_of(context, run, data) is DecisionState.REFUSED


def test_a_first_model_below_the_floor_leaves_no_champion(context, data) -> None:
    gated, promoted = night(context, trained(context, 0.7, "weak"), data)
    assert not gated.decision.promoted
    assert promoted.champion is None
    assert alias(context, CHAMPION) is None


def test_after_a_refused_first_model_the_next_is_again_the_first(context, data) -> None:
    night(context, trained(context, 0.7, "weak"), data)
    gated, _ = night(context, trained(context, 0.9, "good"), data)
    assert "first model" in gated.decision.reasons[0]
    assert alias(context, CHAMPION) == 2


def test_three_promotions_in_a_row_keep_previous_one_behind(context, data) -> None:
    for number, skill in enumerate((0.81, 0.89, 0.97), start=1):
        night(context, trained(context, skill, f"run {number}"), data)
        assert alias(context, CHAMPION) == number
        assert alias(context, PREVIOUS) == (number - 1 or None)


# Evaluation


def test_both_models_are_evaluated_on_the_same_images(context, first, data) -> None:
    run = trained(context, 0.95, "better")
    outcome = evaluate(context, run, data)
    champion = read_report(context, run.run_id, CHAMPION_REPORT)
    assert outcome.champion.version == 1
    assert outcome.run.metrics["test_accuracy"] == 0.95
    assert champion.accuracy == 0.85
    assert champion.n == TEST
    assert "version 1" in champion.model
    artifacts = {path for run_id, path in context.tracker.artifacts if run_id == run.run_id}
    assert {"confusion_matrix.png", "worst_mistakes.png"} <= artifacts


def test_a_champion_that_does_not_load_stops_the_night_and_stays(context, first, data) -> None:
    del context.tracker.models[first.run_id]
    with pytest.raises(PromotionError, match=r"toy-classifier version 1"):
        night(context, trained(context, 0.95, "better"), data)
    assert alias(context, CHAMPION) == 1


def test_a_server_away_while_the_champion_loads_is_no_incident(context, first, data) -> None:
    class Away:
        def __getattr__(self, name: str) -> Any:
            return getattr(context.registry, name)

        def load(self, version: object) -> None:
            raise TrackingUnavailableError(
                "MLflow", got="no answer", wanted="an answer", remedy="Wait."
            )

    run = trained(context, 0.95, "better")
    with pytest.raises(TrackingUnavailableError):
        evaluate(replace(context, registry=Away()), run, data)
    assert evaluate(context, run, data).champion.version == 1


def test_a_candidate_without_a_model_is_a_tracking_error(context, data) -> None:
    run = trained(context, 0.9, "lost")
    del context.tracker.models[run.run_id]
    with pytest.raises(TrackingError):
        evaluate(context, run, data)


def test_a_headline_that_lacks_a_metric_says_which(context, first, data) -> None:
    run = context.tracker.get(first.run_id)
    with pytest.raises(MissingMetricError, match="best_validation_accuracy"):
        headline(run)
    values = {"best_validation_accuracy": 0.9, "training_seconds": 1, "best_epoch": 1, "epochs": 2}
    context.tracker.log_metrics(first.run_id, values, step=2)
    assert headline(context.tracker.get(first.run_id)) == values | {
        "test_accuracy": 0.85,
        "test_loss": run.metrics["test_loss"],
    }


# Records


def test_the_decision_is_an_artifact_and_a_tag(context, first, data) -> None:
    text = context.tracker.read_text(first.run_id, DECISION_ARTIFACT)
    decision = PromotionDecision.model_validate_json(text)
    version = context.registry.by_alias(MODEL, CHAMPION)
    record = stored_decision(version, data.version)
    assert decision.promoted
    assert record.reasons == decision.reasons
    assert record.champion is None
    assert stored_decision(version, "another") is None


def test_a_new_version_of_the_data_is_decided_anew(context, first, data) -> None:
    newer = replace(data, version="b" * 32)
    gated, promoted = night(context, trained(context, 0.95, "better"), newer)
    assert gated.skipped is None
    assert promoted.champion.version == 2


@pytest.mark.slow
def test_ledger_entries_of_many_nights_are_all_kept_in_order(context, first, data) -> None:
    for number in range(5):
        night(context, trained(context, 0.85, f"night {number}"), data)
    entries = read_ledger(context.registry, MODEL).entries
    assert [entry.candidate for entry in entries] == [f"night {number}" for number in range(5)]
    assert all(entry.alpha == pytest.approx(0.05 / 365) for entry in entries)


# Others at work


def test_a_champion_that_changed_since_the_evaluation_stops_the_gate(context, first, data) -> None:
    run = trained(context, 0.95, "late")
    evaluation = evaluate(context, run, data)
    version = registered(context, run, data)
    night(context, trained(context, 0.97, "faster"), data)
    with pytest.raises(PromotionError, match=r"got version 3, wanted version 1"):
        gate(context, version, evaluation, data)
    assert alias(context, CHAMPION) == 3


def test_a_champion_that_changed_since_the_decision_supersedes_it(context, first, data) -> None:
    run = trained(context, 0.93, "late")
    version = registered(context, run, data)
    decided = gate(context, version, evaluate(context, run, data), data)
    assert decided.decision.promoted
    night(context, trained(context, 0.99, "faster"), data)
    outcome = promote(context, decided.version, data.version)
    assert "now version 3" in outcome.skipped
    assert (alias(context, CHAMPION), alias(context, PREVIOUS)) == (3, 1)
    assert state_of(context, run, data) is DecisionState.SUPERSEDED
    assert "superseded" in promote(context, decided.version, data.version).skipped


def test_a_rollback_is_not_undone_by_the_next_unchanged_night(context, first, data) -> None:
    better = trained(context, 0.95, "better")
    night(context, better, data)
    context.registry.set_alias(MODEL, CHAMPION, 1)
    _, promoted = night(context, better, data)
    assert "applied before" in promoted.skipped
    assert alias(context, CHAMPION) == 1


def test_an_alias_that_does_not_stay_is_an_error(context, first, data) -> None:
    run = trained(context, 0.95, "better")
    version = registered(context, run, data)
    gated = gate(context, version, evaluate(context, run, data), data)

    class Contested:
        def __getattr__(self, name: str) -> Any:
            return getattr(context.registry, name)

        def set_alias(self, name: str, alias: str, version: int) -> None:
            context.registry.set_alias(name, alias, 1)

    with pytest.raises(PromotionError, match="just written"):
        promote(replace(context, registry=Contested()), gated.version, data.version)
    assert state_of(context, run, data) is DecisionState.PENDING


def test_nothing_is_promoted_without_a_decision(context, first, data) -> None:
    version = registered(context, trained(context, 0.95, "better"), data)
    with pytest.raises(PromotionError, match="no stored decision"):
        promote(context, version, data.version)
    assert alias(context, CHAMPION) == 1


def test_evidence_is_stored_before_the_alias_moves(context, first, data) -> None:
    fuse = Fuse(at=0, after=False)
    night(fused(context, fuse), trained(context, 0.95, "better"), data)
    order = [name for name in fuse.names if name not in {"log_metrics", "register"}]
    assert order == [
        "log_text",  # candidate's report
        "log_text",  # champion's report
        "log_text",  # model card
        "tag_model",  # reserved level
        "log_text",  # decision
        "tag_version",  # pending
        "tag_model",  # the move, to be made
        "set_alias",  # previous
        "set_alias",  # champion
        "tag_model",  # the move, made
        "tag_version",  # applied
    ]


def test_the_toy_models_have_the_skill_they_claim(context, data) -> None:
    run = trained(context, 0.7, "weak")
    assert evaluate(context, run, data).run.metrics["test_accuracy"] == 0.7
    assert isinstance(context.registry.load_run(run.run_id), Skilled)


# The goal "cheaper"


def test_cheaper_champions_are_measured_against_the_last_one_that_was_better(context, data) -> None:
    path = context.settings.params_file
    path.write_text(PARAMS.replace("floor: 0.8", "floor: 0.8, goal: cheaper, margin: 0.05"))
    skills, sizes = (0.95, 0.945, 0.9, 0.94), (1000, 700, 500, 350)
    for number, (skill, size) in enumerate(zip(skills, sizes, strict=True)):
        run = trained(context, skill, f"run {number}", size)
        night(context, run, data)
        if number:
            anchor = read_report(context, run.run_id, ANCHOR_REPORT)
            assert anchor.model == f"{MODEL} version 1"
    moves = [move.version for move in read_moves(context.registry, MODEL)]
    assert moves == [1, 2, 4]  # version 3 is too far from version 1


def test_after_a_champion_that_was_better_that_one_is_the_anchor(context, data) -> None:
    night(context, trained(context, 0.85, "first", 1000), data)
    night(context, trained(context, 0.95, "better", 1000), data)
    path = context.settings.params_file
    path.write_text(PARAMS.replace("floor: 0.8", "floor: 0.8, goal: cheaper, margin: 0.05"))
    run = trained(context, 0.945, "cheaper", 500)
    gated, _ = night(context, run, data)
    assert gated.decision.promoted
    assert read_report(context, run.run_id, ANCHOR_REPORT).model == f"{MODEL} version 2"
