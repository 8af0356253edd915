"""What every entry of the catalog of promotion rules must do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from components.evaluation.report import ErrorReport, GenerationReport, Report
from components.promotion import RULES
from components.promotion.policy import PromotionPolicy
from components.promotion.rules import Comparison, RuleResult

N = 300
LABELS = [i % 3 for i in range(N)]
CHEAPER = {"goal": "cheaper"}


@dataclass(frozen=True)
class Case:
    """How a pair that passes every rule is changed so that one rule fails."""

    kind: str = "classification"
    candidate: dict[str, Any] = field(default_factory=dict)
    champion: dict[str, Any] = field(default_factory=dict)
    policy: dict[str, Any] = field(default_factory=dict)
    alpha: float = 1e-3
    wrong: tuple[int, int] = (15, 45)  # candidate's and champion's mistakes


def generation(wrong: int) -> dict[str, Any]:
    """Terms of a generator, the better the smaller `wrong` is."""
    noise = np.random.default_rng(0).normal(size=N)
    return {
        "kernel_distance": 10.0 * wrong,
        "kernel_deviation": 1.0,
        "subset": 100,
        "within": tuple(500 + 10 * wrong + noise),
        "towards": tuple(300 + noise),
        "real": tuple(300 + noise),
    }


def errors(wrong: int) -> dict[str, Any]:
    """Errors of a regressor."""
    drawn = np.random.default_rng(0).exponential(size=N)
    return {"metric": "squared error", "errors": tuple(0.01 * wrong * drawn)}


# One failing case for each rule; a new rule needs a line here.
FAILURES = {
    "complete": Case(candidate={"loss": None}),
    "same_test": Case(champion={"dataset_version": "v0"}),
    "floor": Case(candidate={"accuracy": 0.79}),
    "ceiling": Case("generation", candidate={"kernel_distance": 2001.0}),
    "minimum_gain": Case(champion={"accuracy": 0.945}),
    "minimum_reduction": Case("error", wrong=(45, 45)),
    "mcnemar": Case(alpha=1e-30),
    "relative_distance": Case("generation", wrong=(45, 45)),
    "bootstrap": Case("error", alpha=1e-30),
    "saving": Case(candidate={"size_bytes": 999}, policy=CHEAPER),
    "non_inferiority": Case(policy=CHEAPER, wrong=(60, 45), candidate={"size_bytes": 10}),
    "class_recall": Case(wrong=(0, 0), candidate={"lost": 40}),
    "calibration": Case(candidate={"calibration_error": 0.21}),
    "latency": Case(candidate={"latency_ms": 26.0}),
    "size": Case(candidate={"size_bytes": 100_000_001}),
}
# The pair that a rule is shown as a good one.
GOOD = {
    "ceiling": Case("generation"),
    "minimum_reduction": Case("error"),
    "relative_distance": Case("generation"),
    "bootstrap": Case("error"),
    "saving": Case(candidate={"size_bytes": 10}, policy=CHEAPER),
    "non_inferiority": Case(candidate={"size_bytes": 10}, policy=CHEAPER),
}
NOTHING = {"accuracy": None, "loss": None, "latency_ms": None, "size_bytes": None}
NAN = float("nan")
ODD = {
    "nothing measured": Case(candidate=NOTHING | {"calibration_error": None}),
    "nothing measured, cheaper": Case(candidate=NOTHING, policy=CHEAPER),
    "nothing measured of the champion": Case(champion={"accuracy": None, "latency_ms": None}),
    "not finite": Case(candidate={"accuracy": NAN, "latency_ms": NAN}),
    "other classes": Case(champion={"class_names": ("x", "y", "z")}),
    "no level": Case(alpha=0.0),
    "no level, cheaper": Case(alpha=0.0, policy=CHEAPER),
    "generators under the goal cheaper": Case("generation", policy=CHEAPER),
    "a generator without a distance": Case("generation", candidate={"kernel_distance": None}),
    "another number of samples": Case("generation", champion={"within": (1.0, 2.0)}),
    "a perfect champion": Case("generation", champion={"kernel_distance": -0.5}),
    "errors that are not finite": Case("error", candidate={"errors": (NAN,) * N}),
    "no errors": Case("error", candidate={"errors": ()}),
}


@pytest.fixture
def compare(make_report) -> Callable[..., Comparison]:
    def build(case: Case = Case(), *, alone: bool = False) -> Comparison:
        candidate, champion = (
            _report(make_report, case, wrong, dict(changes))
            for wrong, changes in zip(case.wrong, (case.candidate, case.champion), strict=True)
        )
        policy = PromotionPolicy(floor=0.8, minimum_gain=0.01, **case.policy)
        if alone:
            return Comparison(candidate, None, policy, case.alpha)
        return Comparison(candidate, champion, policy, case.alpha, champion)

    return build


def _report(make_report: Any, case: Case, wrong: int, changes: dict[str, Any]) -> Report:
    names = {"model": "m", "dataset": "toy", "dataset_version": "v1"}
    cost = {"latency_ms": 1.0, "size_bytes": 1000}
    if case.kind == "generation":
        return GenerationReport(**(names | cost | generation(wrong) | changes))
    if case.kind == "error":
        return ErrorReport(**(names | cost | errors(wrong) | changes))
    lost = changes.pop("lost", 0)  # images of class 0
    said = [label if i >= wrong else (label + 1) % 3 for i, label in enumerate(LABELS)]
    said[: 3 * lost : 3] = [1] * lost
    report: Report = make_report(LABELS, said, **changes)
    return report


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
    result = RULES.get(name)(compare(GOOD.get(name, Case())))
    well_formed(name, result)
    assert result is not None
    assert result.passed


@pytest.mark.slow
@pytest.mark.parametrize("name", list(RULES))
def test_a_bad_candidate_fails_with_another_reason(name: str, compare) -> None:
    result = RULES.get(name)(compare(FAILURES[name]))
    well_formed(name, result)
    assert result is not None
    assert not result.passed
    assert result.reason != RULES.get(name)(compare(GOOD.get(name, Case()))).reason


@pytest.mark.parametrize("kind", ["classification", "generation", "error"])
@pytest.mark.parametrize("name", list(RULES))
def test_the_first_model_is_judged_or_the_rule_does_not_apply(
    name: str, kind: str, compare
) -> None:
    result = RULES.get(name)(compare(Case(kind), alone=True))
    well_formed(name, result)
    assert result is None or result.passed


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD.keys())
@pytest.mark.parametrize("name", list(RULES))
def test_odd_reports_never_raise(name: str, odd: Case, compare) -> None:
    well_formed(name, RULES.get(name)(compare(odd)))


@pytest.mark.slow
@pytest.mark.parametrize("case", [*GOOD.values(), *FAILURES.values()])
@pytest.mark.parametrize("name", list(RULES))
def test_a_rule_is_a_pure_function(name: str, case: Case, compare) -> None:
    comparison, twin = compare(case), compare(case)
    assert RULES.get(name)(comparison) == RULES.get(name)(comparison)
    assert RULES.get(name)(comparison) == RULES.get(name)(twin)
    assert comparison == twin
