"""Vectors of texts, judged by whether the nearest answer is the right one."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812
from transformers import AutoModel, FeatureExtractionPipeline

from components.datasets.base import Text, TextTask
from components.evaluation.resampling import Metric
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

AMONG = 5


class FeatureExtraction:
    """The mean of an encoder's outputs as a text's vector (Reimers and Gurevych, 2019).

    Each first text is compared with all second ones by the cosine of their vectors.

    Args:
        files: An encoder.
        class_names: Not needed.

    Raises:
        ConfigError: If the files are damaged.
    """

    def __init__(self, files: ModelFiles, class_names: Sequence[str]) -> None:
        self._tokenizer = files.tokenizer
        self._pipe = pipeline_of(
            FeatureExtractionPipeline,
            files.model(AutoModel),
            files,
            return_tensors=True,
            tokenize_kwargs={"truncation": True},
        )

    def predict(self, examples: Sequence[Text]) -> Sequence[Prediction]:
        """See `Predictor`; `numbers` holds the rank of the right answer."""
        count = len(examples)
        vectors = self.vectors([t.text for t in examples] + [t.second for t in examples])
        likeness = vectors[:count] @ vectors[count:].T
        right = likeness.diagonal().unsqueeze(1)
        ranks = (~(likeness < right)).sum(1)  # what is as near, or no number, is no hit
        best, places = likeness.topk(min(AMONG, count), dim=1)
        return [
            Prediction(
                examples[int(places[row, 0])].second,
                float(best[row, 0]),
                choices=tuple(examples[int(place)].second for place in places[row]),
                numbers=(float(ranks[row]),),
            )
            for row in range(count)
        ]

    def vectors(self, texts: Sequence[str]) -> torch.Tensor:
        """(N, d) of length 1."""
        order = by_length([Text(text) for text in texts])
        given = [texts[place] for place in order]
        # The pipeline forgets how much of each is padding.
        counts = [len(ids) for ids in self._tokenizer(given, truncation=True)["input_ids"]]
        found = self._pipe(given, batch_size=BATCH)
        means = [one[0, :size].mean(0) for one, size in zip(found, counts, strict=True)]
        return F.normalize(torch.stack(restored(order, means)), dim=1)


def score(
    examples: Sequence[Text], said: Sequence[Prediction], class_names: Sequence[str]
) -> Scores:
    """Mean reciprocal rank, and how often the right answer is among the first k."""
    ranks = [one.numbers[0] for one in said]
    metrics = [
        Metric.average("recall_at_1", [float(rank <= 1) for rank in ranks]),
        Metric.average(f"recall_at_{AMONG}", [float(rank <= AMONG) for rank in ranks]),
        Metric.average("mrr", [1 / rank for rank in ranks]),
    ]
    return Scores(metrics, [1 / rank for rank in ranks], [text.second for text in examples])


TASK = EvaluationTask((TextTask.GENERATION,), FeatureExtraction, score)
