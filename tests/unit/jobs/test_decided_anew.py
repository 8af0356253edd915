"""When a stored decision stands, and when the candidate is decided once more."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from toy_night import MODEL, PARAMS, alias, night, registered, state_of, trained

from components.errors import PromotionError
from components.jobs.context import JobContext
from components.jobs.evaluate import evaluate
from components.jobs.gate import gate
from components.jobs.promote import promote
from components.jobs.records import DecisionRecord, DecisionState, read_ledger, store_decision
from components.promotion.policy import PromotionPolicy
from components.tracking.base import CHAMPION, ModelVersion


def set_policy(context: JobContext, **changes: float) -> None:
    tree = yaml.safe_load(PARAMS)
    tree["promotion"]["default"] |= changes
    path: Path = context.settings.params_file
    path.write_text(yaml.safe_dump(tree), encoding="utf-8")


def spent(context: JobContext) -> list[tuple[str, int | None]]:
    return [(e.candidate, e.champion) for e in read_ledger(context.registry, MODEL).entries]


def test_every_number_of_a_policy_counts() -> None:
    values = PromotionPolicy().model_dump()
    others: dict[str, object] = {k: v / 5 for k, v in values.items() if isinstance(v, int | float)}
    others |= {"goal": "cheaper", "floors": {"4aa5": 0.1}}
    assert set(others) == set(values)
    digests = {PromotionPolicy(**values | {k: v}).digest() for k, v in others.items()}
    assert len(digests | {PromotionPolicy().digest()}) == len(values) + 1
    assert PromotionPolicy(**values).digest() == PromotionPolicy().digest()


def test_a_lower_floor_lets_a_refused_first_model_in(context, data) -> None:
    run = trained(context, 0.7, "weak")
    assert not night(context, run, data)[0].decision.promoted
    set_policy(context, floor=0.6)
    gated, promoted = night(context, run, data)
    assert gated.skipped is None
    assert gated.decision.promoted
    assert promoted.champion.version == alias(context, CHAMPION) == 1


@pytest.mark.slow
def test_the_same_test_under_another_policy_is_paid_once(context, first, data) -> None:
    run = trained(context, 0.95, "better")
    set_policy(context, minimum_gain=0.5)
    assert state_of_night(context, run, data) is DecisionState.REFUSED
    set_policy(context, minimum_gain=0.01)
    assert state_of_night(context, run, data) is DecisionState.APPLIED
    assert spent(context) == [("better", 1)]


def state_of_night(context, run, data) -> DecisionState | None:
    night(context, run, data)
    return state_of(context, run, data)


def test_a_superseded_decision_is_made_again_against_the_new_champion(context, first, data) -> None:
    run = trained(context, 0.95, "late")
    version = registered(context, run, data)
    decided = gate(context, version, evaluate(context, run, data), data)
    night(context, trained(context, 0.90, "faster"), data)
    promote(context, decided.version, data.version)
    assert state_of(context, run, data) is DecisionState.SUPERSEDED
    gated, promoted = night(context, run, data)
    assert gated.decision.promoted
    assert promoted.champion.version == version.version
    assert spent(context) == [("late", 1), ("faster", 1), ("late", 3)]


def test_a_promoted_model_stays_whatever_the_policy_becomes(context, first, data) -> None:
    set_policy(context, floor=0.99)
    gated, promoted = night(context, first, data)
    assert gated.skipped
    assert promoted.champion.version == 1


def test_a_rollback_is_not_undone_by_a_change_of_policy(context, first, data) -> None:
    better = trained(context, 0.95, "better")
    night(context, better, data)
    context.registry.set_alias(MODEL, CHAMPION, 1)
    set_policy(context, floor=0.5)
    gated, _ = night(context, better, data)
    assert gated.skipped
    assert alias(context, CHAMPION) == 1


def test_a_champion_is_not_tested_against_itself(context, first, data) -> None:
    """Somebody made a refused version champion by hand."""
    run = trained(context, 0.85, "same")
    night(context, run, data)
    context.registry.set_alias(MODEL, CHAMPION, 2)
    set_policy(context, floor=0.5)
    gated, _ = night(context, run, data)
    assert gated.skipped
    assert spent(context) == [("same", 1)]


def test_a_kill_after_the_alias_moved_and_a_change_of_policy_end_applied(
    context, first, data
) -> None:
    better = trained(context, 0.95, "better")
    gated, _ = night(context, better, data)
    pending = {"state": DecisionState.PENDING, "promoted": True, "reasons": (), "champion": 1}
    store(context, gated.version, data.version, policy="another", **pending)
    assert state_of_night(context, better, data) is DecisionState.APPLIED


def store(context, version: ModelVersion, dataset_version: str, **values: object) -> None:
    record = DecisionRecord.model_validate(values)
    store_decision(context.registry, version, dataset_version, record)


def test_a_record_of_an_older_version_can_be_read_and_is_decided_anew(context, first, data) -> None:
    run = trained(context, 0.85, "old")
    version = registered(context, run, data)
    store(context, version, data.version, state="refused", promoted=False, reasons=(), champion=1)
    assert night(context, run, data)[0].skipped is None


def test_a_policy_edited_between_evaluation_and_gate_stops_the_gate(context, first, data) -> None:
    run = trained(context, 0.85, "same")
    night(context, run, data)
    evaluation = evaluate(context, run, data)
    assert evaluation.skipped
    set_policy(context, floor=0.5)
    version = registered(context, run, data)
    with pytest.raises(PromotionError, match="run the flow again"):
        gate(context, version, evaluation, data)


def test_a_retried_gate_sees_what_the_first_attempt_stored(context, first, data) -> None:
    run = trained(context, 0.95, "better")
    version = registered(context, run, data)
    evaluation = evaluate(context, run, data)
    decided = gate(context, version, evaluation, data)
    again = gate(context, version, evaluation, data)
    assert again.skipped
    assert again.decision == decided.decision
