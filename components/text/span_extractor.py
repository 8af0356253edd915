"""Extractive question answering over a pre-trained encoder, as for SQuAD (Devlin et al., 2019)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from tokenizers import Encoding
from transformers import AutoModelForQuestionAnswering

from components.datasets.base import Int64Array, Text
from components.models.encoder import EncoderConfig
from components.models.spec import ModelKind, ModelSpec
from components.text.fine_tuned import FineTuned, tokeniser
from components.text.tokeniser import FastTokeniser

NEVER = -10_000.0  # finite, so that label smoothing stays so


class SpanExtractor(FineTuned):
    """An encoder that scores each token of the passage as the first and the last of the answer.

    The first token of all stands for "the passage does not say".

    Args:
        vocabulary: Not needed; the encoder has its own.
        classes: Not needed.
        config: Which encoder, and what learns.

    Raises:
        ConfigError: If the encoder cannot be used; see `open_source`.
    """

    def __init__(self, vocabulary: int, classes: int, config: EncoderConfig) -> None:
        super().__init__(config, AutoModelForQuestionAnswering, hidden_dropout_prob=config.dropout)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Scores (B, 2, L) for ids (B, L) int64 of questions with passages: first, last token."""
        found = self.model(**self.inputs(ids), return_dict=True)
        scores = torch.stack([found.start_logits, found.end_logits], 1)
        possible = self.second(ids) & (ids != self.padding) & (ids != self.separator)
        first = torch.arange(ids.shape[1], device=ids.device) == 0
        return scores.masked_fill(~(possible | first).unsqueeze(1), NEVER)


def targets(
    tokens: FastTokeniser, texts: Sequence[Text], class_names: Sequence[str]
) -> tuple[Int64Array, Int64Array]:
    """Ids (N, L), and first and last token (N, 2); a long passage has several rows."""
    rows, places = [], []
    for text, windows in zip(
        texts, tokens.windows([(t.text, t.second) for t in texts]), strict=True
    ):
        for window in windows:
            rows.append(window)
            places.append(_answer(text, window))
    return tokens.ids(rows), np.array(places, np.int64).reshape(len(rows), 2)


def owners(tokens: FastTokeniser, texts: Sequence[Text]) -> Int64Array:
    """Whose window each row is."""
    found = tokens.windows([(text.text, text.second) for text in texts])
    return np.repeat(np.arange(len(texts)), [len(windows) for windows in found])


def _answer(text: Text, window: Encoding) -> tuple[int, int]:
    """Its first and last token; twice 0 if it is not in this window."""
    if not text.spans:
        return 0, 0
    start, end, _ = text.spans[0]
    covered = [
        column
        for column, (first, last) in enumerate(window.offsets)
        if window.sequence_ids[column] == 1 and first < end and last > start
    ]
    if not covered:
        return 0, 0
    whole = window.offsets[covered[0]][0] <= start and window.offsets[covered[-1]][1] >= end
    return (covered[0], covered[-1]) if whole else (0, 0)


SPEC = ModelSpec(
    ModelKind.SPAN_EXTRACTOR,
    SpanExtractor,
    section="encoder",
    tokeniser=tokeniser,
    targets=targets,
    owners=owners,
)
