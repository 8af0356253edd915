"""Classifiers of texts over a pre-trained encoder."""

from __future__ import annotations

from typing import cast

import torch
from torch import nn

from components.models.encoder import EncoderConfig
from components.models.spec import ModelKind, ModelSpec
from components.text.fine_tuned import FineTuned, tokeniser


def mean_pooled(hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """The mean (B, d) of outputs (B, L, d) where the mask (B, L) is 1."""
    weights = mask.unsqueeze(2).to(hidden.dtype)
    return (hidden * weights).sum(1) / weights.sum(1).clamp(min=1)


class Encoder(FineTuned):
    """An encoder, the mean of its outputs, dropout, a linear head.

    Args:
        vocabulary: Not needed; the encoder has its own.
        classes: Number of scores.
        config: Which encoder, and what learns.

    Raises:
        ConfigError: If the encoder cannot be used; see `open_source`.
    """

    def __init__(self, vocabulary: int, classes: int, config: EncoderConfig) -> None:
        super().__init__(config)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(self.width, classes)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Scores (B, classes) for token ids (B, L) int64."""
        given = self.inputs(ids)
        hidden = self.model(**given, return_dict=True).last_hidden_state
        return cast(
            torch.Tensor, self.head(self.dropout(mean_pooled(hidden, given["attention_mask"])))
        )


SPEC = ModelSpec(ModelKind.TEXT_CLASSIFIER, Encoder, section="encoder", tokeniser=tokeniser)
