from __future__ import annotations

import math
from datetime import UTC, datetime

import numpy as np
import pytest
from pydantic import ValidationError

from components.errors import PromotionError
from components.evaluation.report import EvaluationReport
from components.promotion.decision import PromotionDecision, decide
from components.promotion.ledger import AlphaEntry, AlphaLedger
from components.promotion.policy import PromotionParams, PromotionPolicy

N = 1000
LABELS = [i % 3 for i in range(N)]
POLICY = PromotionPolicy(floor=0.8, minimum_gain=0.005, recall_margin=0.02)
PRINT = "f" * 32
ALONE = {"complete", "floor", "calibration", "latency", "size"}
BETTER = ALONE | {"same_test", "minimum_gain", "mcnemar", "class_recall"}
CHEAPER = ALONE | {"same_test", "saving", "non_inferiority", "class_recall"}


def ledger(alpha: float = 1e-3, version: str = "v1", champion: int = 1) -> AlphaLedger:
    entry = AlphaEntry(
        candidate=PRINT,
        dataset_version=version,
        champion=champion,
        alpha=alpha,
        reserved_at=datetime.now(UTC),
    )
    return AlphaLedger(entries=(entry,))


@pytest.fixture
def report(make_report):
    """A report with the given number of hits, spread evenly over the classes."""

    def build(hits: int, labels: list[int] = LABELS, **changes: object) -> EvaluationReport:
        order = np.random.default_rng(0).permutation(len(labels))
        said = np.array(labels)
        said[order[hits:]] = (said[order[hits:]] + 1) % 3
        return make_report(labels, said.tolist(), **changes)

    return build


def verdict(decision: PromotionDecision) -> dict[str, bool]:
    return {evidence.rule: evidence.passed for evidence in decision.evidence}


def run(candidate, champion, *, policy=POLICY, book=None) -> PromotionDecision:
    return decide(candidate, champion, policy, book or ledger(), PRINT, 1)


def test_the_first_model_needs_only_what_needs_no_champion(report) -> None:
    decision = decide(report(850), None, POLICY, AlphaLedger(), PRINT)
    assert decision.promoted
    assert set(verdict(decision)) == ALONE
    assert "first model" in decision.reasons[0]


def test_the_first_model_must_clear_the_floor(report) -> None:
    decision = decide(report(799), None, POLICY, AlphaLedger(), PRINT)
    assert not decision.promoted
    assert decision.reasons == ("floor: accuracy 0.7990 is below the floor 0.8000",)


def test_a_clearly_better_model_is_promoted_with_all_reasons(report) -> None:
    decision = run(report(900), report(850))
    assert decision.promoted
    assert set(verdict(decision)) == BETTER
    assert len(decision.reasons) == len(BETTER)


def test_an_insignificant_gain_is_refused(report) -> None:
    decision = run(report(856), report(850))
    assert not decision.promoted
    assert [rule for rule, passed in verdict(decision).items() if not passed] == ["mcnemar"]


def test_a_worse_model_is_refused(report) -> None:
    decision = run(report(850), report(900))
    assert not decision.promoted
    assert not verdict(decision)["mcnemar"]
    assert not verdict(decision)["minimum_gain"]


def test_the_champion_itself_is_not_better_than_itself(report) -> None:
    assert not run(report(900), report(900)).promoted


def test_a_better_model_that_gives_up_a_class_is_refused(report, make_report) -> None:
    said = list(LABELS)
    said[: 3 * 80 : 3] = [1] * 80  # 80 of the 334 images of class a, and no other
    champion = list(LABELS)  # the champion knows class a, and fails at the others
    champion[1::3] = [2 if i < 110 else 1 for i in range(len(champion[1::3]))]
    champion[2::3] = [0 if i < 110 else 2 for i in range(len(champion[2::3]))]
    decision = run(make_report(LABELS, said), make_report(LABELS, champion))
    assert [rule for rule, passed in verdict(decision).items() if not passed] == ["class_recall"]
    assert "'a'" in decision.reasons[0]


@pytest.mark.parametrize("name", ["accuracy", "loss", "latency_ms", "size_bytes"])
@pytest.mark.parametrize("side", ["candidate", "champion", "first"])
def test_a_missing_metric_refuses(report, name: str, side: str) -> None:
    candidate = report(900, **({name: None} if side != "champion" else {}))
    champion = report(850, **({name: None} if side == "champion" else {}))
    decision = run(candidate, None if side == "first" else champion)
    assert not decision.promoted
    assert "missing" in decision.reasons[0]


@pytest.mark.parametrize("name", ["accuracy", "loss", "latency_ms"])
@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("side", ["candidate", "champion", "first"])
def test_a_number_that_is_not_finite_refuses(report, name, value, side: str) -> None:
    candidate = report(900, **({name: value} if side != "champion" else {}))
    champion = report(850, **({name: value} if side == "champion" else {}))
    decision = run(candidate, None if side == "first" else champion)
    assert not decision.promoted
    assert "not finite" in decision.reasons[0]


@pytest.mark.parametrize("part", [0, 1, 2])
def test_a_recall_that_is_not_finite_refuses(report, part: int) -> None:
    recall = [0.9, 0.9, 0.9]
    recall[part] = math.nan
    assert not run(report(900, recall=tuple(recall)), report(850)).promoted


def test_another_test_set_refuses(report) -> None:
    swapped = [1, 0, *LABELS[2:]]
    assert not verdict(run(report(900), report(850, dataset_version="v0")))["same_test"]
    assert not verdict(run(report(900), report(850, labels=swapped)))["same_test"]
    assert not verdict(run(report(900), report(425, labels=LABELS[:500])))["same_test"]


def test_an_empty_test_set_refuses(make_report) -> None:
    empty = make_report([0], [0]).model_copy(update={"labels": (), "predictions": ()})
    assert not decide(empty, None, POLICY, AlphaLedger(), PRINT).promoted


def test_cost_beyond_the_budget_refuses(report) -> None:
    slow = run(report(900, latency_ms=25.1), report(850))
    large = run(report(900, size_bytes=100_000_001), report(850))
    assert [r.split(":")[0] for r in slow.reasons] == ["latency"]
    assert [r.split(":")[0] for r in large.reasons] == ["size"]


def test_a_test_without_reserved_level_is_an_error(report) -> None:
    for book in (AlphaLedger(), ledger(version="v0"), ledger(champion=2)):
        with pytest.raises(PromotionError, match="no reserved alpha"):
            decide(report(900), report(850), POLICY, book, PRINT, 1)


def test_a_used_up_budget_refuses_whatever_the_gain(report) -> None:
    decision = run(report(1000), report(850), book=ledger(alpha=0))
    assert not decision.promoted
    assert "used up" in decision.reasons[0]


@pytest.mark.parametrize("hits", range(801, 1000))
def test_a_gain_of_exactly_the_minimum_is_enough(report, hits: int) -> None:
    policy = POLICY.model_copy(update={"minimum_gain": 0.001})
    decision = run(report(hits), report(hits - 1), policy=policy)
    assert verdict(decision)["minimum_gain"]


def test_a_decision_is_a_pure_function(report) -> None:
    arguments = report(900), report(850), POLICY, ledger(), PRINT, 1
    before = [a.model_dump_json() for a in arguments[:4]]
    assert decide(*arguments) == decide(*arguments)
    assert [a.model_dump_json() for a in arguments[:4]] == before


def test_a_decision_survives_being_stored(report) -> None:
    decision = run(report(900), report(850))
    assert PromotionDecision.model_validate_json(decision.model_dump_json()) == decision


# The goal "cheaper"

SMALL = POLICY.model_copy(update={"goal": "cheaper", "margin": 0.02})


def cheaper(candidate, champion, anchor, *, book=None) -> PromotionDecision:
    return decide(candidate, champion, SMALL, book or ledger(), PRINT, 1, anchor)


def test_a_smaller_model_that_is_not_worse_is_promoted(report) -> None:
    decision = cheaper(report(899, size_bytes=500), report(900), report(900))
    assert decision.promoted, decision.reasons
    assert set(verdict(decision)) == CHEAPER


def test_a_better_model_that_is_not_cheaper_is_refused(report) -> None:
    decision = cheaper(report(990), report(900), report(900))
    assert [reason.split(":")[0] for reason in decision.reasons] == ["saving"]


def test_a_smaller_model_that_may_be_worse_is_refused(report) -> None:
    decision = cheaper(report(870, size_bytes=500), report(900), report(900))
    assert [reason.split(":")[0] for reason in decision.reasons] == ["non_inferiority"]


def test_small_losses_do_not_add_up_because_the_anchor_stays(report) -> None:
    anchor, champion, promoted = report(900), report(900), []
    for step in range(1, 10):
        candidate = report(900 - 5 * step, size_bytes=int(1000 * 0.8**step))
        if cheaper(candidate, champion, anchor).promoted:
            champion = candidate
            promoted.append(step)
    assert promoted
    assert anchor.accuracy - champion.accuracy < SMALL.margin


def test_without_an_anchor_or_with_the_budget_used_up_nothing_is_promoted(report) -> None:
    small = report(900, size_bytes=500)
    assert not cheaper(small, report(900), None).promoted
    decision = cheaper(small, report(900), report(900), book=ledger(alpha=0))
    assert "used up" in decision.reasons[0]


# Policies


def test_a_version_of_the_data_may_have_its_own_floor() -> None:
    policy = PromotionPolicy(floor=0.9, floors={"4aa5": 0.8, "4aa5e09b": 0.7})
    versions = ("4aa5e09b7be6", "4aa5ffff", "bf567fa5")
    assert [policy.floor_for(version) for version in versions] == [0.7, 0.8, 0.9]


def test_a_model_without_its_own_policy_has_the_default() -> None:
    params = PromotionParams.model_validate({"default": {"floor": 0.5}})
    assert params.policy_for("any").floor == 0.5


def test_a_models_policy_states_only_what_differs_from_the_default() -> None:
    params = PromotionParams.model_validate(
        {"default": {"floor": 0.5, "alpha_per_year": 0.01}, "models": {"m": {"floor": 0.4}}}
    )
    assert params.policy_for("m").floor == 0.4
    assert params.policy_for("m").alpha_per_year == 0.01


@pytest.mark.parametrize(
    "values",
    [{"floor": 1.1}, {"alpha_per_year": 0}, {"tests_per_year": 0}, {"latency_budget_ms": 0}],
)
def test_a_policy_out_of_range_is_refused(values: dict) -> None:
    with pytest.raises(ValidationError):
        PromotionPolicy.model_validate(values)


def test_a_time_saved_must_be_more_than_noise(report) -> None:
    noisy = {"latency_ms": 0.8, "latency_quartiles_ms": (0.7, 0.95)}
    champion = report(900, latency_ms=1.0, latency_quartiles_ms=(0.9, 1.1))
    assert not cheaper(report(900, **noisy), champion, champion).promoted
    clear = {"latency_ms": 0.6, "latency_quartiles_ms": (0.5, 0.7)}
    assert cheaper(report(900, **clear), champion, champion).promoted
