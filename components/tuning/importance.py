"""How much each field of a search space matters."""

from __future__ import annotations

from collections.abc import Sequence

from components.tuning.study import Study
from components.tuning.trial import Trial

FEWEST = 8


def importance(study: Study, trials: Sequence[Trial]) -> dict[str, float]:
    """The share of the metric's variance that each field explains, in [0, 1], largest first.

    By functional ANOVA over a random forest (Hutter et al. 2014), as Optuna computes it, on the
    metric after the last epoch that all trials with a result have reached. Fewer than eight such
    trials, or no variance, give no answer: an empty dict.
    """
    import optuna
    from optuna.importance import FanovaImportanceEvaluator, get_param_importances

    from components.tuning.optuna_searchers import to_optuna

    scored = [trial for trial in trials if trial.curve]
    if len(scored) < FEWEST:
        return {}
    level = min(len(trial.curve) for trial in scored)
    values = [trial.curve[level - 1] for trial in scored]
    if max(values) == min(values):
        return {}
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    distributions = {name: to_optuna(d) for name, d in sorted(study.space.fields.items())}
    known = optuna.create_study(direction="maximize" if study.mode == "max" else "minimize")
    for trial, value in zip(scored, values, strict=True):
        params = {name: trial.config[name] for name in distributions}
        known.add_trial(
            optuna.trial.create_trial(params=params, distributions=distributions, value=value)
        )
    found = get_param_importances(known, evaluator=FanovaImportanceEvaluator(seed=study.seed))
    return {name: float(share) for name, share in found.items()}
