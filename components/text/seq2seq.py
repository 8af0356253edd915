"""A small sequence-to-sequence model (T5's form; Raffel et al., 2020), trained from scratch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import torch
from torch import nn
from transformers import PreTrainedModel, T5Config, T5ForConditionalGeneration

from components.datasets.base import Int64Array, Text
from components.models.spec import ModelKind, ModelSpec, Pair
from components.models.transformer import TransformerConfig
from components.text.byte_pairs import END, SPECIALS, byte_pairs
from components.text.tokeniser import PADDING, FastTokeniser
from components.training.objective import IGNORED

PAD_ID = SPECIALS.index(PADDING)


def tokeniser(texts: Sequence[Pair], config: TransformerConfig) -> FastTokeniser:
    """One for both sides, each text with an end."""
    return byte_pairs(texts, config, begun=False)


class Seq2Seq(nn.Module):
    """From a text, and what is written so far, to the next token.

    Args:
        vocabulary: Of the tokeniser.
        classes: Not needed.
        config: Sizes.
    """

    def __init__(self, vocabulary: int, classes: int, config: TransformerConfig) -> None:
        super().__init__()
        self.length = config.length
        shape: Any = T5Config
        self.model = T5ForConditionalGeneration(
            shape(
                vocab_size=vocabulary,
                d_model=config.width,
                d_kv=config.width // config.heads,
                d_ff=4 * config.width,
                num_layers=config.layers,
                num_heads=config.heads,
                dropout_rate=config.dropout,
                feed_forward_proj="gated-gelu",
                pad_token_id=PAD_ID,
                eos_token_id=SPECIALS.index(END),
                decoder_start_token_id=PAD_ID,
                n_positions=config.length,
            )
        )

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Scores (B, P, vocabulary) for ids (B, L + P): a text of L, then what is written."""
        source, written = ids[:, : self.length], ids[:, self.length :]
        if not torch.compiler.is_compiling():  # what all texts of a batch leave empty costs time
            source = source[:, : max(1, int((source != PAD_ID).any(0).sum()))]
        start = torch.full_like(written[:, :1], PAD_ID)
        found = self.model(
            input_ids=source,
            attention_mask=(source != PAD_ID).long(),
            decoder_input_ids=torch.cat([start, written[:, :-1]], 1),
            use_cache=False,
            return_dict=True,
        )
        return cast(torch.Tensor, found.logits)

    def plain(self) -> PreTrainedModel:
        """As transformers saves it."""
        return self.model


def targets(
    tokens: FastTokeniser, texts: Sequence[Text], class_names: Sequence[str]
) -> tuple[Int64Array, Int64Array]:
    """Ids (N, 2 L) of both texts, one behind the other, and those of the second (N, L)."""
    source = tokens.encode([(text.text, "") for text in texts])
    written = tokens.encode([(text.second, "") for text in texts])
    asked = np.where(written == tokens.padding, IGNORED, written)
    return np.concatenate([source, written], 1), asked


SPEC = ModelSpec(
    ModelKind.SEQ2SEQ, Seq2Seq, section="seq2seq", tokeniser=tokeniser, targets=targets
)
