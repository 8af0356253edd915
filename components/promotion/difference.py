"""How far a candidate is from a champion, for a person; the rules decide."""

from __future__ import annotations

import numpy as np

from components.evaluation.report import ErrorReport, EvaluationReport, GenerationReport, Report
from components.promotion.classifier_rules import discordant
from components.promotion.error_rules import terms
from components.promotion.statistics import (
    Difference,
    mcnemar_exact,
    paired_bootstrap,
    relative_mmd,
    tango_interval,
)


def difference(candidate: Report, champion: Report) -> Difference | None:
    """The candidate's advantage on the same examples, with its 95 % interval.

    Returns:
        Of the accuracy, the squared kernel distance or the mean error, by the methods of the
        gate's rules; None if a metric is missing or not finite, or the tests were not the same.
    """
    if candidate.unusable() or champion.unusable() or not candidate.same_test(champion):
        return None
    match candidate, champion:
        case EvaluationReport(), EvaluationReport() if candidate.n:
            wins, losses = discordant(candidate, champion)
            low, high = tango_interval(wins, losses, candidate.n)
            value = (wins - losses) / candidate.n
            return Difference(value, low, high, mcnemar_exact(wins, losses))
        case GenerationReport(), GenerationReport() if min(candidate.n, len(candidate.within)) > 1:
            return relative_mmd(terms(candidate), terms(champion))
        case ErrorReport(), ErrorReport() if candidate.n > 1:
            return paired_bootstrap(np.subtract(champion.errors, candidate.errors).tolist())
    return None
