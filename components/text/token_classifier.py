"""Named entity recognition over a pre-trained encoder: a tag for each token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from transformers import AutoModelForTokenClassification

from components.datasets.base import Int64Array, Text
from components.models.encoder import EncoderConfig
from components.models.spec import ModelKind, ModelSpec
from components.text.fine_tuned import FineTuned, tokeniser
from components.text.tokeniser import FastTokeniser
from components.training.objective import IGNORED


def tags_of(class_names: Sequence[str]) -> list[str]:
    """B- begins an entity, I- goes on with it, O is none (Ramshaw and Marcus, 1995)."""
    return ["O", *(f"{place}-{name}" for name in class_names for place in "BI")]


class TokenClassifier(FineTuned):
    """An encoder with a linear head on each output.

    Args:
        vocabulary: Not needed; the encoder has its own.
        classes: Number of kinds of entities.
        config: Which encoder, and what learns.

    Raises:
        ConfigError: If the encoder cannot be used; see `open_source`.
    """

    def __init__(self, vocabulary: int, classes: int, config: EncoderConfig) -> None:
        super().__init__(
            config,
            AutoModelForTokenClassification,
            num_labels=1 + 2 * classes,
            classifier_dropout=config.dropout,
        )

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Scores (B, L, tags) for token ids (B, L) int64."""
        return cast(torch.Tensor, self.model(**self.inputs(ids), return_dict=True).logits)


def targets(
    tokens: FastTokeniser, texts: Sequence[Text], class_names: Sequence[str]
) -> tuple[Int64Array, Int64Array]:
    """Ids and tags (N, L); nothing is asked of special tokens."""
    place = {tag: number for number, tag in enumerate(tags_of(class_names))}
    encodings = tokens.encodings([(text.text, "") for text in texts])
    tags = np.full((len(texts), tokens.length), IGNORED, np.int64)
    for row, (text, encoding) in enumerate(zip(texts, encodings, strict=True)):
        for column, (start, end) in enumerate(encoding.offsets):
            if encoding.sequence_ids[column] is None:
                continue
            within = [span for span in text.spans if start < span[1] and end > span[0]]
            tag = f"{'B' if start <= within[0][0] else 'I'}-{within[0][2]}" if within else "O"
            tags[row, column] = place[tag]
    return tokens.ids(encodings), tags


SPEC = ModelSpec(
    ModelKind.TOKEN_CLASSIFIER,
    TokenClassifier,
    section="encoder",
    tokeniser=tokeniser,
    targets=targets,
)
