"""What `nightforge predict` shows without --json."""

from __future__ import annotations

import pytest

from components.jobs.predict import Prediction, Predictions
from flows.predict_commands import show

FOUND = Predictions(
    model="toy-classifier",
    version=3,
    run_id="run1",
    skipped=2,
    predictions=(
        Prediction(
            path="a[1].png",
            class_name="coat [old]",
            probability=0.7,
            probabilities={"bag": 0.1, "coat [old]": 0.7, "shirt": 0.2},
        ),
    ),
)


@pytest.mark.parametrize(
    ("top", "shown", "missing"),
    [
        (1, ["a[1].png", "coat [old]", "0.700"], ["next", "shirt"]),
        (2, ["next", "shirt 0.200"], ["bag"]),
        (9, ["shirt 0.200, bag 0.100"], []),
    ],
)
def test_the_table_shows_as_many_classes_as_asked_for(
    capsys: pytest.CaptureFixture[str], top: int, shown: list[str], missing: list[str]
) -> None:
    show(FOUND, top)
    printed = capsys.readouterr().out
    for words in ("toy-classifier version 3", "of another kind: 2", *shown):
        assert words in printed
    for words in missing:
        assert words not in printed
