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
        "floor": "components.promotion.classifier_rules:floor",
        "ceiling": "components.promotion.error_rules:ceiling",
        "minimum_gain": "components.promotion.classifier_rules:minimum_gain",
        "minimum_reduction": "components.promotion.error_rules:minimum_reduction",
        "mcnemar": "components.promotion.classifier_rules:mcnemar",
        "relative_distance": "components.promotion.error_rules:relative_distance",
        "bootstrap": "components.promotion.error_rules:bootstrap",
        "saving": "components.promotion.classifier_rules:saving",
        "non_inferiority": "components.promotion.classifier_rules:non_inferiority",
        "class_recall": "components.promotion.classifier_rules:class_recall",
        "calibration": "components.promotion.classifier_rules:calibration",
        "latency": "components.promotion.rules:latency",
        "size": "components.promotion.rules:size",
    },
)
