"""Hyperparameter optimisation: searchers propose, schedulers decide."""

from __future__ import annotations

from components.catalog import Catalog
from components.tuning.scheduler import Scheduler
from components.tuning.searchers import Searcher

SEARCHERS: Catalog[type[Searcher]] = Catalog(
    "searcher",
    {
        "random": "components.tuning.searchers:RandomSearcher",
        "grid": "components.tuning.searchers:GridSearcher",
        "tpe": "components.tuning.optuna_searchers:TpeSearcher",
        "gp": "components.tuning.optuna_searchers:GpSearcher",
    },
)

SCHEDULERS: Catalog[type[Scheduler]] = Catalog(
    "scheduler",
    {
        "fifo": "components.tuning.scheduler:Fifo",
        "successive_halving": "components.tuning.successive_halving:SuccessiveHalving",
        "asha": "components.tuning.asha:Asha",
        "asha_stopping": "components.tuning.asha:StoppingAsha",
        "hyperband": "components.tuning.successive_halving:Hyperband",
    },
)
