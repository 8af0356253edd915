"""Promotion rules: each looks at one thing, says pass or fail, why, and by which evidence.

Here is what holds for every kind of model; classifier_rules.py and error_rules.py have the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from components.evaluation.report import Report
from components.promotion.policy import PromotionPolicy

Evidence = Mapping[str, float | int | str]
MEGABYTE = 1_000_000
SMALLEST_P = 1e-16  # that is written out


@dataclass(frozen=True)
class Comparison:
    """What a rule may look at.

    Attributes:
        candidate: The new model.
        champion: The present one, on the same examples; None for the first model.
        policy: What must be achieved.
        alpha: The level reserved for this test.
        anchor: Under the goal "cheaper", the last champion that was better than its predecessor;
            every later one must not be worse than it, so that small losses do not add up.
    """

    candidate: Report
    champion: Report | None
    policy: PromotionPolicy
    alpha: float
    anchor: Report | None = None


@dataclass(frozen=True)
class RuleResult:
    """The verdict of one rule; `reason` is a sentence for a person."""

    rule: str
    passed: bool
    reason: str
    evidence: Evidence


class PromotionRule(Protocol):
    """One condition of the gate."""

    def __call__(self, comparison: Comparison) -> RuleResult | None:
        """The verdict; None when the rule does not apply."""


def complete(comparison: Comparison) -> RuleResult:
    """Every metric of all models is there and finite."""
    bad = comparison.candidate.unusable()
    if not comparison.candidate.n:
        bad.append("test examples")
    for name in ("champion", "anchor"):
        if other := getattr(comparison, name):
            bad += [f"{name}'s {metric}" for metric in other.unusable()]
    reason = f"missing or not finite: {', '.join(bad)}" if bad else "every metric is present"
    return RuleResult("complete", not bad, reason, {"unusable": len(bad)})


def same_test(comparison: Comparison) -> RuleResult | None:
    """All models were measured in the same way on the same examples in the same order."""
    candidate = comparison.candidate
    others = [other for other in (comparison.champion, comparison.anchor) if other]
    if not others:
        return None
    odd = [other for other in others if not candidate.same_test(other)]
    reason = (
        f"{odd[0].model} on {odd[0].n:,} examples of {odd[0].dataset} "
        f"{odd[0].dataset_version[:8]}, candidate on {candidate.n:,} of {candidate.dataset} "
        f"{candidate.dataset_version[:8]}"
        if odd
        else f"both on the same {candidate.n:,} test examples"
    )
    return RuleResult("same_test", not odd, reason, {"n": candidate.n})


def level_words(alpha: float, p_value: float) -> tuple[bool, str]:
    """Whether a p-value is significant at the reserved level, and in words."""
    if alpha == 0:
        return False, "the year's budget of tests is used up"
    passed = p_value <= alpha
    p_words = f"p = {p_value:.2g}" if p_value >= SMALLEST_P else f"p < {SMALLEST_P:g}"
    return passed, f"{p_words}, {'at most' if passed else 'above'} the level {alpha:.2g}"


def latency(comparison: Comparison) -> RuleResult | None:
    """One example is answered within the budget."""
    got, budget = comparison.candidate.latency_ms, comparison.policy.latency_budget_ms
    if got is None:
        return None
    return RuleResult(
        "latency",
        got <= budget,
        f"{got:.2f} ms for one example, budget {budget:g} ms",
        {"latency_ms": got, "budget_ms": budget},
    )


def size(comparison: Comparison) -> RuleResult | None:
    """The weights fit the budget."""
    got, budget = comparison.candidate.size_bytes, comparison.policy.size_budget_mb
    if got is None:
        return None
    megabytes = got / MEGABYTE
    return RuleResult(
        "size",
        megabytes <= budget,
        f"{megabytes:.2f} MB of weights, budget {budget:g} MB",
        {"megabytes": megabytes, "budget_mb": budget},
    )
