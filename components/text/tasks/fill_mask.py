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
        self._tokenizer = files.tokenizer
        self._mask = str(files.tokenizer.mask_token)
        self._pipe = pipeline_of(FillMaskPipeline, model, files, top_k=CHOICES)

    def predict(self, examples: Sequence[Text]) -> Sequence[Prediction]:
        """See `Predictor`.

        Raises:
            DataError: If an example has not exactly one place to fill.
        """
        order = by_length(examples)
        given = [self._masked(place, examples[place]) for place in order]
        for place, ids in zip(order, self._tokenizer(given)["input_ids"], strict=True):
            if len(ids) > (most := int(self._tokenizer.model_max_length)):
                got, wanted = f"{len(ids):,} tokens", f"at most {most:,}"
                raise no_such(place + 1, got, wanted, "Cut the text around its mask.")
        found = self._pipe(given, batch_size=BATCH)
        found = [found] if len(given) == 1 else found  # of one text the pipeline makes no list
        return restored(order, [_prediction(one) for one in found])

    def _masked(self, place: int, text: Text) -> str:
        if not text.label and not text.spans:
            got, wanted = "neither a label nor a marked word", "the word that is right"
            raise no_such(place + 1, got, wanted, "Add a label.")
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


def _rank(word: str, choices: Sequence[str]) -> int:
    """1 for the first choice; one more than there may be if it is none."""
    known = [choice.lower() for choice in choices]
    return known.index(word.lower()) + 1 if word.lower() in known else CHOICES + 1


def score(
    examples: Sequence[Text], said: Sequence[Prediction], class_names: Sequence[str]
) -> Scores:
    """Share of the words that are the first, or among the first five, guesses; in any case."""
    truth = [text.label or text.text[slice(*text.spans[0][:2])] for text in examples]
    ranks = [_rank(word, one.choices) for word, one in zip(truth, said, strict=True)]
    metrics = [
        Metric.average("hit_at_1", [float(rank == 1) for rank in ranks]),
        Metric.average(f"hit_at_{CHOICES}", [float(rank <= CHOICES) for rank in ranks]),
    ]
    return Scores(metrics, [1 - rank / (CHOICES + 1) for rank in ranks], truth)


TASK = EvaluationTask((TextTask.LANGUAGE,), FillMask, score)
