"""The gate: rules over two evaluation reports; one function and one line here for each rule."""

from __future__ import annotations

from components.catalog import Catalog
from components.promotion.rules import PromotionRule

# In the order in which a report explains them.
RULES: Catalog[PromotionRule] = Catalog(
    "promotion rule",
    {
        "complete": "components.promotion.rules:complete",
        "same_test": "components.promotion.rules:same_test",
        "floor": "components.promotion.rules:floor",
        "minimum_gain": "components.promotion.rules:minimum_gain",
        "mcnemar": "components.promotion.rules:mcnemar",
        "class_recall": "components.promotion.rules:class_recall",
        "latency": "components.promotion.rules:latency",
        "size": "components.promotion.rules:size",
    },
)
