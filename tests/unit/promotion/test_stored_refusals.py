"""A refusal must be readable on the next night, whatever the numbers that led to it."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import pytest

from components.promotion.decision import PromotionDecision, decide
from components.promotion.ledger import AlphaEntry, AlphaLedger
from components.promotion.policy import PromotionPolicy

LABELS = [i % 3 for i in range(60)]
PRINT = "f" * 32
LEDGER = AlphaLedger(
    entries=(
        AlphaEntry(
            candidate=PRINT,
            dataset_version="v1",
            champion=1,
            alpha=0.01,
            reserved_at=datetime(2026, 1, 1, tzinfo=UTC),
        ),
    )
)


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("name", ["accuracy", "loss", "latency_ms", "recall"])
def test_a_refusal_for_a_number_that_is_not_finite_can_be_stored_and_read(
    make_report, name: str, value: float
) -> None:
    bad = {name: (value, 1.0, 1.0) if name == "recall" else value}
    candidate = make_report(LABELS, LABELS, **bad)
    champion = make_report(LABELS, [0] * 60)
    decision = decide(candidate, champion, PromotionPolicy(), LEDGER, PRINT, 1)
    assert not decision.promoted
    again = PromotionDecision.model_validate_json(decision.model_dump_json(indent=2))
    assert (again.promoted, again.reasons) == (False, decision.reasons)


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("name", ["precision", "recall"])
def test_a_report_with_a_class_that_is_not_finite_stays_unusable_when_stored(
    make_report, name: str, value: float
) -> None:
    report = make_report([0, 1, 2], [0, 1, 2], **{name: (1.0, value, 1.0)})
    again = type(report).model_validate_json(report.model_dump_json())
    assert f"test_{name}/b" in report.unusable()
    assert again.unusable() == report.unusable()
