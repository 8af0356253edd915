"""Guessing a word that was taken out of a text."""

from __future__ import annotations

from collections.abc import Sequence

from transformers import AutoModelForMaskedLM, FillMaskPipeline

from components.datasets.base import Text, TextTask
from components.evaluation.resampling import Metric
from components.text.sources import unusable
from components.text.tasks.base import (
    BATCH,
    EvaluationTask,
    ModelFiles,
    Prediction,
    Scores,
    by_length,
    no_such,
    pipeline_of,
    restored,
)

CHOICES = 5
ANY_MASK = ("[MASK]", "<mask>")


class FillMask:
    """transformers' pipeline; the word is marked in the data, or has been replaced by [MASK].

    Args:
        files: A masked language model.
        class_names: Not needed.

    Raises:
        ConfigError: If the model has no mask, or the files are of another kind of model.
    """

    def __init__(self, files: ModelFiles, class_names: Sequence[str]) -> None:
        model = files.model(AutoModelForMaskedLM)
        if files.tokenizer.mask_token is None:
            got = "a tokeniser without a mask"
            raise unusable(files.source.name, got, "a masked language model's own tokeniser")
        self._mask = str(files.tokenizer.mask_token)
        self._pipe = pipeline_of(FillMaskPipeline, model, files, top_k=CHOICES)

    def predict(self, examples: Sequence[Text]) -> Sequence[Prediction]:
        """See `Predictor`.

        Raises:
            DataError: If an example has not exactly one place to fill.
        """
        order = by_length(examples)
        given = [self._masked(place, examples[place]) for place in order]
        found = self._pipe(given, batch_size=BATCH, tokenizer_kwargs={"truncation": True})
        found = [found] if len(given) == 1 else found  # of one text the pipeline makes no list
        return restored(order, [_prediction(one) for one in found])

    def _masked(self, place: int, text: Text) -> str:
        masked = text.text
        if text.spans:
            start, end, _ = text.spans[0]
            masked = masked[:start] + self._mask + masked[end:]
        for mask in ANY_MASK:
            masked = masked.replace(mask, self._mask)
        if (count := masked.count(self._mask)) != 1:
            raise no_such(
                place + 1,
                f"{count} places to fill in {text.text[:60]!r}",
                f"one {ANY_MASK[0]}, or one marked word",
                "Correct the data.",
            )
        return masked


def _prediction(found: Sequence[dict[str, object]]) -> Prediction:
    words = tuple(str(one["token_str"]).strip() for one in found)
    return Prediction(words[0], float(str(found[0]["score"])), choices=words)


def score(
    examples: Sequence[Text], said: Sequence[Prediction], class_names: Sequence[str]
) -> Scores:
    """Share of the words that are the first, or among the first five, guesses."""
    truth = [text.label or text.text[slice(*text.spans[0][:2])] for text in examples]
    ranks = [
        one.choices.index(word) + 1 if word in one.choices else CHOICES + 1
        for word, one in zip(truth, said, strict=True)
    ]
    metrics = [
        Metric.average("hit_at_1", [float(rank == 1) for rank in ranks]),
        Metric.average(f"hit_at_{CHOICES}", [float(rank <= CHOICES) for rank in ranks]),
    ]
    return Scores(metrics, [1 - rank / (CHOICES + 1) for rank in ranks], truth)


TASK = EvaluationTask(frozenset({TextTask.LANGUAGE}), FillMask, score)
