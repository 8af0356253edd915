"""One label for a text: sentiment, intent, or how two texts are related."""

from __future__ import annotations

from collections.abc import Sequence

from transformers import TextClassificationPipeline

from components.datasets.base import Text, TextTask
from components.errors import ConfigError
from components.text.tasks.base import (
    BATCH,
    EvaluationTask,
    ModelFiles,
    Prediction,
    Scores,
    by_length,
    pipeline_of,
    restored,
)
from components.text.tasks.labels import label_scores
from components.text.tasks.sequence import sequence_classifier


class SentimentAnalysis:
    """transformers' pipeline, in batches of similar length.

    Args:
        files: A classifier.
        class_names: Labels of the data; the model's may differ in case.

    Raises:
        ConfigError: If the model has other labels.
    """

    def __init__(self, files: ModelFiles, class_names: Sequence[str]) -> None:
        self.model = sequence_classifier(files)
        self._pipe = pipeline_of(TextClassificationPipeline, self.model, files)
        known = {str(name).lower() for name in self.model.config.id2label.values()}
        wanted = {name.lower() for name in class_names}
        if not wanted <= known:
            raise ConfigError(
                f"model {files.source.name}",
                got=f"a classifier for {', '.join(sorted(known))}",
                wanted=f"one for {', '.join(sorted(wanted))}, the labels of the data",
                remedy="Choose a model for these labels, or other data.",
            )
        self._spelling = {name.lower(): name for name in class_names}

    def predict(self, examples: Sequence[Text]) -> Sequence[Prediction]:
        """See `Predictor`."""
        order = by_length(examples)
        given = [
            {"text": text.text, "text_pair": text.second} if text.second else text.text
            for text in (examples[place] for place in order)
        ]
        found = self._pipe(given, batch_size=BATCH, truncation=True)
        said = [
            Prediction(self._spelling.get(one["label"].lower(), one["label"]), one["score"])
            for one in found
        ]
        return restored(order, said)


def score(
    examples: Sequence[Text], said: Sequence[Prediction], class_names: Sequence[str]
) -> Scores:
    """See `label_scores`."""
    return label_scores(
        [text.label for text in examples], [one.text for one in said], [one.score for one in said]
    )


TASK = EvaluationTask((TextTask.CLASSIFICATION,), SentimentAnalysis, score)
