"""Promotion rules for classifiers: paired predictions on the same test images."""

from __future__ import annotations

import math

import numpy as np

from components.evaluation.report import EvaluationReport, Report
from components.promotion.rules import Comparison, RuleResult, level_words
from components.promotion.statistics import mcnemar_exact, tango_interval, wilson_interval

GAIN_DIGITS = 12
GUARD_LEVEL = 0.05  # of all classes together


def floor(comparison: Comparison) -> RuleResult | None:
    """The candidate's accuracy reaches the absolute floor."""
    candidate = comparison.candidate
    if not isinstance(candidate, EvaluationReport):
        return None
    accuracy, n = candidate.accuracy, candidate.n
    wanted = comparison.policy.floor_for(candidate.dataset_version)
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


def calibration(comparison: Comparison) -> RuleResult | None:
    """The candidate's probabilities mean what they say."""
    candidate, ceiling = comparison.candidate, comparison.policy.calibration_ceiling
    if not isinstance(candidate, EvaluationReport) or candidate.calibration_error is None:
        return None
    error = candidate.calibration_error
    return RuleResult(
        "calibration",
        error <= ceiling,
        f"expected calibration error {error:.4f}, ceiling {ceiling:g}",
        {"calibration_error": error, "ceiling": ceiling},
    )


def minimum_gain(comparison: Comparison) -> RuleResult | None:
    """Under the goal "better", the candidate is so by at least the minimum gain."""
    pair = _pair(comparison)
    if pair is None or comparison.policy.goal != "better":
        return None
    candidate, champion = pair
    if champion.accuracy is None or candidate.accuracy is None:
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
    """Under the goal "better", the gain is significant at the level reserved for this test."""
    pair = _pair(comparison)
    if pair is None or comparison.policy.goal != "better" or pair[0].n != pair[1].n:
        return None
    wins, losses = discordant(*pair)
    p_value = mcnemar_exact(wins, losses)
    passed, words = level_words(comparison.alpha, p_value)
    return RuleResult(
        "mcnemar",
        passed,
        f"{wins} images won and {losses} lost against the champion: {words}",
        {
            "n": pair[0].n,
            "wins": wins,
            "losses": losses,
            "p_value": p_value,
            "alpha": comparison.alpha,
            **_interval(wins, losses, pair[0].n),
        },
    )


def non_inferiority(comparison: Comparison) -> RuleResult | None:
    """Under the goal "cheaper", the candidate is not worse than the anchor by the margin."""
    if comparison.policy.goal != "cheaper" or comparison.champion is None:
        return None
    pair, alpha = _same_kind(comparison.candidate, comparison.anchor), comparison.alpha
    if pair is None or not pair[0].n or pair[0].n != pair[1].n:
        reason = "needs a classifier, and an anchor on the same images"
        return RuleResult("non_inferiority", False, reason, {"alpha": alpha})
    wins, losses = discordant(*pair)
    n, margin = pair[0].n, comparison.policy.margin
    # Tango's interval, of which only the lower bound is looked at.
    low = tango_interval(wins, losses, n, 1 - 2 * alpha)[0] if alpha else -1.0
    passed, words = low > -margin, "the year's budget of tests is used up"
    if alpha:
        verdict = "within" if passed else "beyond"
        words = f"at worst {low:+.4f} at the level {alpha:.2g}, {verdict} the margin {margin:g}"
    return RuleResult(
        "non_inferiority",
        passed,
        f"{wins} images won and {losses} lost against {pair[1].model}: {words}",
        {
            "n": n,
            "wins": wins,
            "losses": losses,
            "worst": low,
            "margin": margin,
            "alpha": alpha,
            **_interval(wins, losses, n),
        },
    )


def saving(comparison: Comparison) -> RuleResult | None:
    """Under the goal "cheaper", the candidate is smaller or faster than the champion."""
    champion, candidate = comparison.champion, comparison.candidate
    if comparison.policy.goal != "cheaper" or champion is None:
        return None
    pairs = {
        "bytes": (candidate.size_bytes, champion.size_bytes),
        # The slow end of one against the fast end of the other: what is left is no noise.
        "milliseconds": (_quartile(candidate, 1), _quartile(champion, 0)),
    }
    saved = {what: 1 - new / old for what, (new, old) in pairs.items() if new is not None and old}
    wanted = comparison.policy.minimum_saving
    if not saved:
        return RuleResult("saving", False, "neither bytes nor time are known", {"wanted": wanted})
    what = max(saved, key=saved.__getitem__)
    passed = saved[what] >= wanted
    return RuleResult(
        "saving",
        passed,
        f"{100 * saved[what]:.1f} % of the {what} saved, "
        f"{'at least' if passed else 'less than'} {100 * wanted:g} %",
        {**saved, "wanted": wanted},
    )


def _quartile(report: Report, which: int) -> float | None:
    return report.latency_quartiles_ms[which] if report.latency_quartiles_ms else None


def class_recall(comparison: Comparison) -> RuleResult | None:
    """No class is shown to be recognised worse than by the champion, by more than the margin.

    For each class, the fall of its recall has a lower bound (Tango, 1998) at a level that all
    classes share (Bonferroni), so that many classes with few images do not refuse by chance.
    """
    pair = _pair(comparison)
    if pair is None or pair[0].labels != pair[1].labels:
        return None
    candidate, champion = pair
    if candidate.class_names != champion.class_names:
        return None
    labels, margin = np.asarray(candidate.labels), comparison.policy.recall_margin
    ours, theirs = candidate.correct(), champion.correct()
    level, bounds = GUARD_LEVEL / len(candidate.class_names), list[tuple[float, float, str, int]]()
    for index, name in enumerate(candidate.class_names):
        here = labels == index
        if n := int(here.sum()):
            lost, won = int((theirs & ~ours)[here].sum()), int((ours & ~theirs)[here].sum())
            low = tango_interval(lost, won, n, 1 - 2 * level)[0]
            bounds.append((low, (lost - won) / n, name, n))
    if not bounds:
        return None
    low, fall, name, n = max(bounds)
    passed = low <= margin
    verdict = "not shown to be beyond" if passed else "beyond"
    return RuleResult(
        "class_recall",
        passed,
        f"most endangered: recall of {name!r} changes by {0.0 - fall:+.4f}, its fall is "
        f"{verdict} {margin:.4f}",
        {"class": name, "fall": fall, "low": low, "n": n, "margin": margin},
    )


def _pair(comparison: Comparison) -> tuple[EvaluationReport, EvaluationReport] | None:
    return _same_kind(comparison.candidate, comparison.champion)


def _same_kind(
    one: Report, other: Report | None
) -> tuple[EvaluationReport, EvaluationReport] | None:
    if isinstance(one, EvaluationReport) and isinstance(other, EvaluationReport):
        return one, other
    return None


def discordant(candidate: EvaluationReport, other: EvaluationReport) -> tuple[int, int]:
    """Test images that only the candidate has right, and those that only the other has."""
    ours, theirs = candidate.correct(), other.correct()
    return int(np.sum(ours & ~theirs)), int(np.sum(theirs & ~ours))


def _interval(wins: int, losses: int, n: int) -> dict[str, float]:
    """Tango's 95 % interval of the difference in accuracy."""
    low, high = tango_interval(wins, losses, n) if n else (-1.0, 1.0)
    return {"low": low, "high": high}
