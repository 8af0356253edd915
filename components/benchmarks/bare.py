"""A training without a pipeline: `python -m components.benchmarks.bare REQUEST.json`.

Prepared data in, weights and test accuracy out; no Prefect, MLflow or DVC.
"""

from __future__ import annotations

import sys
from pathlib import Path

from components.datasets.base import Split
from components.datasets.device_loader import to_device
from components.datasets.prepared import PreparedDataset
from components.evaluation.classification import Subject, evaluate_classifier
from components.models.deployable import Deployable
from components.training.fit import FitRequest, fit
from components.training.precision import pick_device
from components.training.reporting import SilentReporter


def train(request: FitRequest) -> float:
    """Train and evaluate as a night does; the test accuracy."""
    fitted = fit(request, SilentReporter())
    assert isinstance(fitted.prepared, PreparedDataset)
    card, held_out = fitted.prepared.card, fitted.prepared.splits[Split.TEST]
    test = to_device(held_out, card.mean, card.std, pick_device())
    model = Deployable(fitted.net.cpu().eval(), card.mean, card.std).eval().to(test.device)
    subject = Subject("bare", card.name, "", card.class_names)
    report, _ = evaluate_classifier(model, test, subject)
    assert report.accuracy is not None
    return report.accuracy


if __name__ == "__main__":
    found = train(FitRequest.model_validate_json(Path(sys.argv[1]).read_text(encoding="utf-8")))
    print(f"test accuracy {found:.4f}")
