"""Named entities in a text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from transformers import AutoModelForTokenClassification, TokenClassificationPipeline

from components.datasets.base import Span, Text, TextTask
from components.errors import ConfigError
from components.evaluation.resampling import Metric, f_measure, mean
from components.text.tasks.base import (
    BATCH,
    EvaluationTask,
    ModelFiles,
    Prediction,
    Scores,
    by_length,
    pipeline_of,
    restored,
    trimmed,
)

OVERLAP = 16  # tokens that two windows of a long text share


class NamedEntities:
    """transformers' pipeline; a word has the tag of its first piece.

    Args:
        files: A token classifier.
        class_names: Of the entities.

    Raises:
        ConfigError: If the files are damaged, of another kind of model, or for other entities.
    """

    def __init__(self, files: ModelFiles, class_names: Sequence[str]) -> None:
        model: Any = files.model(AutoModelForTokenClassification)
        labels: dict[int, str] = model.config.id2label
        known = {label.partition("-")[2] or label for label in labels.values()}
        if not set(class_names) <= known:
            raise ConfigError(
                f"model {files.source.name}",
                got=f"a model for {', '.join(sorted(known - {'O'}))}",
                wanted=f"one for {', '.join(class_names)}, the entities of the data",
                remedy="Choose a model for these entities, or other data.",
            )
        self._pipe = pipeline_of(
            TokenClassificationPipeline,
            model,
            files,
            aggregation_strategy="first",
            stride=OVERLAP,
        )

    def predict(self, examples: Sequence[Text]) -> Sequence[Prediction]:
        """See `Predictor`."""
        order = by_length(examples)
        found = self._pipe([examples[place].text for place in order], batch_size=BATCH)
        return restored(
            order, [_prediction(examples[p], f) for p, f in zip(order, found, strict=True)]
        )


def _prediction(text: Text, found: Sequence[dict[str, object]]) -> Prediction:
    spans = tuple(_span(text.text, one) for one in found)
    chances = [float(str(one["score"])) for one in found]
    return Prediction(_shown(text.text, spans), min(chances, default=1.0), spans)


def _span(text: str, found: dict[str, object]) -> Span:
    start, end = trimmed(text, int(str(found["start"])), int(str(found["end"])))
    return start, end, str(found["entity_group"])


def _shown(text: str, spans: Sequence[tuple[int, int, str]]) -> str:
    return ", ".join(f"{text[start:end]} ({name})" for start, end, name in spans) or "none"


def score(
    examples: Sequence[Text], said: Sequence[Prediction], class_names: Sequence[str]
) -> Scores:
    """Entities count if both ends and the class are right (CoNLL-2003)."""
    rows = np.array(
        [
            (len({*text.spans} & {*one.spans}), len({*one.spans}), len({*text.spans}))
            for text, one in zip(examples, said, strict=True)
        ],
        np.float64,
    )
    right, predicted, true = rows.T
    f1 = np.where(predicted + true, 2 * right / np.maximum(predicted + true, 1), 1.0)
    metrics = [
        Metric("f1", rows, f_measure),
        Metric("precision", rows[:, :2], mean),
        Metric("recall", rows[:, [0, 2]], mean),
    ]
    return Scores(metrics, f1.tolist(), [_shown(text.text, text.spans) for text in examples])


TASK = EvaluationTask((TextTask.TOKENS,), NamedEntities, score)
