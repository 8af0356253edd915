"""A small causal language model (GPT-2's form; Radford et al., 2019), trained from scratch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedModel

from components.datasets.base import Int64Array, Text
from components.models.spec import ModelKind, ModelSpec, Pair
from components.models.transformer import TransformerConfig
from components.text.byte_pairs import BEGIN, END, SPECIALS, byte_pairs
from components.text.tokeniser import PADDING, FastTokeniser
from components.training.objective import IGNORED


def tokeniser(texts: Sequence[Pair], config: TransformerConfig) -> FastTokeniser:
    """One for the texts, each with a beginning and an end."""
    return byte_pairs(texts, config, begun=True)


class CausalLM(nn.Module):
    """From the tokens so far to the next one.

    Args:
        vocabulary: Of the tokeniser.
        classes: Not needed.
        config: Sizes.
    """

    def __init__(self, vocabulary: int, classes: int, config: TransformerConfig) -> None:
        super().__init__()
        self.model = GPT2LMHeadModel(
            GPT2Config(
                vocab_size=vocabulary,
                n_positions=config.length,
                n_embd=config.width,
                n_layer=config.layers,
                n_head=config.heads,
                resid_pdrop=config.dropout,
                embd_pdrop=config.dropout,
                attn_pdrop=config.dropout,
                bos_token_id=SPECIALS.index(BEGIN),
                eos_token_id=SPECIALS.index(END),
                pad_token_id=SPECIALS.index(PADDING),
            )
        )

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Scores (B, L, vocabulary) of what follows each of the ids (B, L) int64."""
        mask = (ids != SPECIALS.index(PADDING)).long()
        found = self.model(input_ids=ids, attention_mask=mask, use_cache=False, return_dict=True)
        return cast(torch.Tensor, found.logits)

    def plain(self) -> PreTrainedModel:
        """As transformers saves it."""
        return self.model


def targets(
    tokens: FastTokeniser, texts: Sequence[Text], class_names: Sequence[str]
) -> tuple[Int64Array, Int64Array]:
    """Ids (N, L), and for each the one that follows it (N, L)."""
    ids = tokens.encode([(text.text, "") for text in texts])
    following = np.concatenate([ids[:, 1:], np.full((len(ids), 1), tokens.padding)], 1)
    return ids, np.where(following == tokens.padding, IGNORED, following)


SPEC = ModelSpec(
    ModelKind.CAUSAL_LM, CausalLM, section="causal_lm", tokeniser=tokeniser, targets=targets
)
