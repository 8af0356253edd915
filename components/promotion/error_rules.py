"""Promotion rules for generators and regressors: a distance or an error that should fall."""

from __future__ import annotations

import math

import numpy as np

from components.evaluation.report import ErrorReport, GenerationReport, Report
from components.promotion.policy import PromotionPolicy
from components.promotion.rules import Comparison, RuleResult, level_words
from components.promotion.statistics import (
    Difference,
    KernelTerms,
    paired_bootstrap,
    relative_mmd,
    resamples_for,
)


def ceiling(comparison: Comparison) -> RuleResult | None:
    """The candidate's distance or error is at most the absolute ceiling."""
    found = _measured(comparison.candidate, comparison.policy)
    if found is None:
        return None
    what, value, wanted = found
    sign = "within" if value <= wanted else "above"
    return RuleResult(
        "ceiling",
        value <= wanted,
        f"{what} {value:.4g} is {sign} the ceiling {wanted:g}",
        {"value": value, "ceiling": wanted, "n": comparison.candidate.n},
    )


def minimum_reduction(comparison: Comparison) -> RuleResult | None:
    """The candidate's distance or error is smaller by at least a share of the champion's."""
    ours = _measured(comparison.candidate, comparison.policy)
    theirs = comparison.champion and _measured(comparison.champion, comparison.policy)
    if not ours or not theirs:
        return None
    wanted = comparison.policy.minimum_reduction
    # An unbiased estimate may be below zero: then the champion leaves nothing to be gained.
    share = (theirs[1] - ours[1]) / theirs[1] if theirs[1] > 0 else 0.0
    verdict = "at least" if share >= wanted else "less than"
    return RuleResult(
        "minimum_reduction",
        share >= wanted,
        f"{ours[0]} {ours[1]:.4g} against {theirs[1]:.4g}: {100 * share:+.1f} % less, "
        f"{verdict} {100 * wanted:g} %",
        {"candidate": ours[1], "champion": theirs[1], "reduction": share, "wanted": wanted},
    )


def relative_distance(comparison: Comparison) -> RuleResult | None:
    """The generator is nearer to the real examples, significantly at the reserved level."""
    candidate, champion = comparison.candidate, comparison.champion
    if not isinstance(candidate, GenerationReport) or not isinstance(champion, GenerationReport):
        return None
    if not candidate.same_test(champion) or min(candidate.n, len(candidate.within)) < 2:
        return None
    found = relative_mmd(terms(candidate), terms(champion))
    what = f"{len(candidate.within):,} samples of each against {candidate.n:,} real examples"
    return _verdict("relative_distance", comparison, found, what, candidate.n)


def bootstrap(comparison: Comparison) -> RuleResult | None:
    """The mean error is smaller, significantly at the reserved level."""
    candidate, champion = comparison.candidate, comparison.champion
    if not isinstance(candidate, ErrorReport) or not isinstance(champion, ErrorReport):
        return None
    if not candidate.same_test(champion) or candidate.n < 2:
        return None
    gains = np.subtract(champion.errors, candidate.errors)
    if not np.isfinite(gains).all():
        return None
    what = f"{candidate.metric} of {candidate.n:,} paired examples"
    found = paired_bootstrap(gains.tolist(), resamples_for(comparison.alpha))
    return _verdict("bootstrap", comparison, found, what, candidate.n)


def _verdict(rule: str, comparison: Comparison, found: Difference, what: str, n: int) -> RuleResult:
    passed, words = level_words(comparison.alpha, found.p_value)
    return RuleResult(
        rule,
        passed,
        f"{what}: {found.value:+.4g} less than the champion's (95 % interval {found.low:+.4g} to "
        f"{found.high:+.4g}), {words}",
        {
            "n": n,
            "difference": found.value,
            "low": found.low,
            "high": found.high,
            "p_value": found.p_value,
            "alpha": comparison.alpha,
        },
    )


def _measured(report: Report, policy: PromotionPolicy) -> tuple[str, float, float] | None:
    """What is measured, its value and its ceiling; None if this is no such model."""
    if isinstance(report, GenerationReport):
        found = "kernel distance", report.kernel_distance, policy.distance_ceiling
    elif isinstance(report, ErrorReport):
        found = report.metric, report.error, policy.error_ceiling
    else:
        return None
    what, value, wanted = found
    return (what, value, wanted) if value is not None and math.isfinite(value) else None


def terms(report: GenerationReport) -> KernelTerms:
    """What a generator's squared distance consists of."""
    return KernelTerms(report.within, report.towards, report.real)
