"""Going on with a text."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from transformers import AutoModelForCausalLM, TextGenerationPipeline

from components.datasets.base import Text, TextTask
from components.evaluation.resampling import Metric, mean
from components.text.tasks.base import (
    BATCH,
    EvaluationTask,
    ModelFiles,
    Prediction,
    Scores,
    by_length,
    restored,
)

NEW_TOKENS = 24
CHOICES = 50  # drawn from at each place (Fan et al., 2018)
GIVEN = 0.4  # share of the words that the model is given


class TextGeneration:
    """transformers' pipeline for what is written; the model itself for how well it expects a text.

    Args:
        files: A causal language model.
        class_names: Not needed.

    Raises:
        ConfigError: If the files are damaged or of another kind of model.
    """

    def __init__(self, files: ModelFiles, class_names: Sequence[str]) -> None:
        self._model: Any = files.model(AutoModelForCausalLM)
        self._tokenizer = copy.deepcopy(files.tokenizer)  # others fill texts at their end
        self._tokenizer.padding_side = "left"
        pipe: Any = TextGenerationPipeline
        self._pipe = pipe(model=self._model, tokenizer=self._tokenizer)

    def predict(self, examples: Sequence[Text]) -> Sequence[Prediction]:
        """See `Predictor`; `numbers` holds nats and tokens of the example itself.

        The same examples always get the same continuations.
        """
        order = by_length(examples)
        starts = [_start(examples[place].text) for place in order]
        with torch.random.fork_rng():
            torch.manual_seed(0)
            found = self._pipe(
                starts,
                batch_size=BATCH,
                max_new_tokens=NEW_TOKENS,
                do_sample=True,
                top_k=CHOICES,
                return_full_text=False,
                add_special_tokens=True,
                handle_long_generation="hole",  # of a long start, the end
            )
        written = [one[0]["generated_text"].strip() for one in found]
        expected = self._expected([examples[place].text for place in order])
        return restored(
            order,
            [
                Prediction(f"{start} | {text}", choices=(text,), numbers=nats)
                for start, text, nats in zip(starts, written, expected, strict=True)
            ],
        )

    @torch.inference_mode()
    def _expected(self, texts: Sequence[str]) -> list[tuple[float, float]]:
        """Nats and number of the tokens of each text, its end included."""
        end = self._tokenizer.eos_token or ""
        found: list[tuple[float, float]] = []
        for start in range(0, len(texts), BATCH):
            part = [text + end for text in texts[start : start + BATCH]]
            given = self._tokenizer(
                part, truncation=True, padding=True, padding_side="right", return_tensors="pt"
            )
            ids, mask = given["input_ids"], given["attention_mask"]
            scores = self._model(input_ids=ids, attention_mask=mask).logits[:, :-1].float()
            nats = F.cross_entropy(scores.transpose(1, 2), ids[:, 1:], reduction="none")
            asked = mask[:, 1:]
            found += zip((nats * asked).sum(1).tolist(), asked.sum(1).tolist(), strict=True)
        return found


def _start(text: str) -> str:
    words = text.split()
    return " ".join(words[: max(1, round(GIVEN * len(words)))])


def score(
    examples: Sequence[Text], said: Sequence[Prediction], class_names: Sequence[str]
) -> Scores:
    """Perplexity for each token, and the share of different n-grams in what is written.

    Distinct-n (Li et al., 2016) here within each text, averaged: over all texts together it
    depends on their number, and has no bootstrap interval.
    """
    rows = np.array([one.numbers for one in said], np.float64)
    per_token = rows[:, 0] / np.maximum(rows[:, 1], 1)
    metrics = [Metric("perplexity", rows, lambda sums: np.exp(mean(sums)), least=True)]
    metrics += [
        Metric.average(f"distinct_{n}", [_distinct(one.choices[0], n) for one in said])
        for n in (1, 2)
    ]
    return Scores(metrics, (-per_token).tolist(), [text.text for text in examples])


def _distinct(text: str, n: int) -> float:
    """Different n-grams of all; 0 for nothing, 1 for a text too short to repeat any."""
    words = text.lower().split()
    if not words:
        return 0.0
    grams = list(zip(*(words[start:] for start in range(n)), strict=False))
    return len(set(grams)) / len(grams) if grams else 1.0


TASK = EvaluationTask(
    tuple(sorted(TextTask, key=lambda t: t is not TextTask.LANGUAGE)), TextGeneration, score
)
