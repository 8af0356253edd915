"""What every entry of the catalog of promotion rules must do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from components.promotion import RULES
from components.promotion.policy import PromotionPolicy
from components.promotion.rules import Comparison, RuleResult

N = 300
LABELS = [i % 3 for i in range(N)]
POLICY = PromotionPolicy(floor=0.8, minimum_gain=0.01)


@dataclass(frozen=True)
class Case:
    """How a pair that passes every rule is changed so that one rule fails."""

    candidate: dict[str, Any] = field(default_factory=dict)
    champion: dict[str, Any] = field(default_factory=dict)
    alpha: float = 1e-3


# One failing case for each rule; a new rule needs a line here.
FAILURES = {
    "complete": Case(candidate={"loss": None}),
    "same_test": Case(champion={"dataset_version": "v0"}),
    "floor": Case(candidate={"accuracy": 0.79}),
    "minimum_gain": Case(champion={"accuracy": 0.945}),
    "mcnemar": Case(alpha=1e-30),
    "class_recall": Case(candidate={"recall": (0.5, 1.0, 1.0)}),
    "latency": Case(candidate={"latency_ms": 26.0}),
    "size": Case(candidate={"size_bytes": 100_000_001}),
}
ODD = {
    "nothing measured": Case(
        candidate={"accuracy": None, "loss": None, "latency_ms": None, "size_bytes": None}
    ),
    "nothing measured of the champion": Case(champion={"accuracy": None, "latency_ms": None}),
    "not finite": Case(candidate={"accuracy": float("nan"), "latency_ms": float("nan")}),
    "other classes": Case(champion={"class_names": ("x", "y", "z")}),
    "no level": Case(alpha=0.0),
}


@pytest.fixture
def compare(make_report) -> Callable[..., Comparison]:
    def build(case: Case = Case(), *, alone: bool = False) -> Comparison:
        good = [label if i >= 15 else (label + 1) % 3 for i, label in enumerate(LABELS)]
        poor = [label if i >= 45 else (label + 1) % 3 for i, label in enumerate(LABELS)]
        champion = None if alone else make_report(LABELS, poor, **case.champion)
        return Comparison(make_report(LABELS, good, **case.candidate), champion, POLICY, case.alpha)

    return build


def well_formed(name: str, result: RuleResult | None) -> None:
    if result is None:
        return
    assert result.rule == name
    assert isinstance(result.passed, bool)
    assert len(result.reason) > 5
    assert "\n" not in result.reason
    assert result.evidence
    assert all(type(value) in (float, int, str) for value in result.evidence.values())


def test_every_rule_has_a_failing_case() -> None:
    assert set(FAILURES) == set(RULES)


@pytest.mark.parametrize("name", list(RULES))
def test_a_good_candidate_passes(name: str, compare) -> None:
    result = RULES.get(name)(compare())
    well_formed(name, result)
    assert result is not None
    assert result.passed


@pytest.mark.parametrize("name", list(RULES))
def test_a_bad_candidate_fails_with_another_reason(name: str, compare) -> None:
    result = RULES.get(name)(compare(FAILURES[name]))
    well_formed(name, result)
    assert result is not None
    assert not result.passed
    assert result.reason != RULES.get(name)(compare()).reason


@pytest.mark.parametrize("name", list(RULES))
def test_the_first_model_is_judged_or_the_rule_does_not_apply(name: str, compare) -> None:
    result = RULES.get(name)(compare(alone=True))
    well_formed(name, result)
    assert result is None or result.passed


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD.keys())
@pytest.mark.parametrize("name", list(RULES))
def test_odd_reports_never_raise(name: str, odd: Case, compare) -> None:
    well_formed(name, RULES.get(name)(compare(odd)))


@pytest.mark.parametrize("case", [Case(), *FAILURES.values()])
@pytest.mark.parametrize("name", list(RULES))
def test_a_rule_is_a_pure_function(name: str, case: Case, compare) -> None:
    comparison, twin = compare(case), compare(case)
    assert RULES.get(name)(comparison) == RULES.get(name)(comparison)
    assert RULES.get(name)(comparison) == RULES.get(name)(twin)
    assert comparison == twin
