"""Promotion rules: each looks at one thing, says pass or fail, why, and by which evidence."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from components.evaluation.report import EvaluationReport
from components.promotion.policy import PromotionPolicy
from components.promotion.statistics import mcnemar_exact, wilson_interval

Evidence = Mapping[str, float | int | str]
MEGABYTE = 1_000_000
GAIN_DIGITS = 12


@dataclass(frozen=True)
class Comparison:
    """What a rule may look at; `alpha` is the level reserved for this test."""

    candidate: EvaluationReport
    champion: EvaluationReport | None
    policy: PromotionPolicy
    alpha: float


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
    """Every metric of both models is there and finite."""
    bad = comparison.candidate.unusable()
    if not comparison.candidate.n:
        bad.append("test images")
    if comparison.champion:
        bad += [f"champion's {name}" for name in comparison.champion.unusable()]
    reason = f"missing or not finite: {', '.join(bad)}" if bad else "every metric is present"
    return RuleResult("complete", not bad, reason, {"unusable": len(bad)})


def same_test(comparison: Comparison) -> RuleResult | None:
    """Both models were evaluated on the same images in the same order."""
    champion, candidate = comparison.champion, comparison.candidate
    if champion is None:
        return None
    same = (
        champion.dataset_version == candidate.dataset_version
        and champion.labels == candidate.labels
    )
    reason = (
        f"both on the same {candidate.n:,} test images"
        if same
        else f"champion on {champion.dataset} {champion.dataset_version[:8]}, "
        f"candidate on {candidate.dataset} {candidate.dataset_version[:8]}"
    )
    return RuleResult("same_test", same, reason, {"n": candidate.n})


def floor(comparison: Comparison) -> RuleResult | None:
    """The candidate's accuracy reaches the absolute floor."""
    accuracy, wanted = comparison.candidate.accuracy, comparison.policy.floor
    n = comparison.candidate.n
    if accuracy is None or not math.isfinite(accuracy) or not n:
        return None
    low, high = wilson_interval(round(accuracy * n), n)
    sign = "reaches" if accuracy >= wanted else "is below"
    return RuleResult(
        "floor",
        accuracy >= wanted,
        f"accuracy {accuracy:.4f} {sign} the floor {wanted:.4f}",
        {"accuracy": accuracy, "floor": wanted, "low": low, "high": high, "n": n},
    )


def minimum_gain(comparison: Comparison) -> RuleResult | None:
    """The candidate is better by at least the minimum gain."""
    champion, candidate = comparison.champion, comparison.candidate
    if champion is None or champion.accuracy is None or candidate.accuracy is None:
        return None
    # Rounded far below one image, so that a gain of exactly the minimum is enough.
    gain = round(candidate.accuracy - champion.accuracy, GAIN_DIGITS)
    wanted = comparison.policy.minimum_gain
    verdict = "at least" if gain >= wanted else "less than"
    return RuleResult(
        "minimum_gain",
        gain >= wanted,
        f"gain {gain:+.4f} is {verdict} {wanted:.4f}",
        {"gain": gain, "minimum_gain": wanted},
    )


def mcnemar(comparison: Comparison) -> RuleResult | None:
    """The gain is significant at the level reserved for this test."""
    champion, candidate = comparison.champion, comparison.candidate
    if champion is None or champion.n != candidate.n:
        return None
    ours, theirs = candidate.correct(), champion.correct()
    wins, losses = int(np.sum(ours & ~theirs)), int(np.sum(theirs & ~ours))
    p_value, alpha = mcnemar_exact(wins, losses), comparison.alpha
    if alpha == 0:
        reason = "the year's budget of tests is used up"
    else:
        sign = "at most" if p_value <= alpha else "above"
        reason = (
            f"{wins} images won and {losses} lost against the champion: "
            f"p = {p_value:.2g}, {sign} the level {alpha:.2g}"
        )
    evidence = {"n": candidate.n, "wins": wins, "losses": losses, "p_value": p_value}
    return RuleResult(
        "mcnemar", alpha > 0 and p_value <= alpha, reason, {**evidence, "alpha": alpha}
    )


def class_recall(comparison: Comparison) -> RuleResult | None:
    """No class is recognised much worse than by the champion."""
    champion, candidate = comparison.champion, comparison.candidate
    if champion is None or champion.class_names != candidate.class_names:
        return None
    falls = np.subtract(champion.recall, candidate.recall)
    worst, margin = int(falls.argmax()), comparison.policy.recall_margin
    name, fall = candidate.class_names[worst], float(falls[worst])
    change = f"recall of {name!r} changes by {0.0 - fall:+.4f}"
    return RuleResult(
        "class_recall",
        fall <= margin,
        f"largest loss: {change}, {'within' if fall <= margin else 'beyond'} {margin:.4f}",
        {"class": name, "fall": fall, "margin": margin},
    )


def latency(comparison: Comparison) -> RuleResult | None:
    """One image is classified within the budget."""
    got, budget = comparison.candidate.latency_ms, comparison.policy.latency_budget_ms
    if got is None:
        return None
    return RuleResult(
        "latency",
        got <= budget,
        f"{got:.2f} ms for one image, budget {budget:g} ms",
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
