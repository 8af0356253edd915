"""Labels that the model never learned, by asking it whether each follows from the text.

Yin et al., 2019: an entailment model is given "this text is about LABEL" for each label.
"""

from __future__ import annotations

from collections.abc import Sequence

from transformers import ZeroShotClassificationPipeline

from components.datasets.base import Text, TextTask
from components.errors import ConfigError
from components.text.tasks.base import (
    BATCH,
    EvaluationTask,
    ModelFiles,
    Prediction,
    by_length,
    pipeline_of,
    restored,
)
from components.text.tasks.sentiment_analysis import score
from components.text.tasks.sequence import sequence_classifier


class ZeroShotClassification:
    """transformers' pipeline over an entailment model.

    Args:
        files: A classifier of which one label begins with "entail".
        class_names: The candidate labels; underscores are read as spaces.

    Raises:
        ConfigError: If the model knows no entailment.
    """

    def __init__(self, files: ModelFiles, class_names: Sequence[str]) -> None:
        model = sequence_classifier(files)
        labels = [str(name) for name in model.config.id2label.values()]
        if not any(name.lower().startswith("entail") for name in labels):
            raise ConfigError(
                f"model {files.source.name}",
                got=f"a classifier for {', '.join(labels)}",
                wanted="an entailment model, one of whose labels is entailment",
                remedy="Choose a model trained on natural-language inference.",
            )
        self._pipe = pipeline_of(ZeroShotClassificationPipeline, model, files)
        self._labels = {name.replace("_", " "): name for name in class_names}

    def predict(self, examples: Sequence[Text]) -> Sequence[Prediction]:
        """See `Predictor`."""
        order = by_length(examples)
        found = self._pipe(
            [examples[place].text for place in order],
            candidate_labels=list(self._labels),
            batch_size=BATCH,
        )
        return restored(
            order,
            [
                Prediction(
                    self._labels[one["labels"][0]],
                    one["scores"][0],
                    choices=tuple(self._labels[label] for label in one["labels"]),
                )
                for one in found
            ],
        )


TASK = EvaluationTask((TextTask.CLASSIFICATION,), ZeroShotClassification, score)
