"""A masked language model over a pre-trained encoder: guesses words that were taken out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn
from transformers import AutoModelForMaskedLM

from components.datasets.base import Int64Array, Text
from components.models.encoder import EncoderConfig
from components.models.spec import ModelKind, ModelSpec
from components.text.fine_tuned import FineTuned, tokeniser
from components.text.sources import unusable
from components.text.tokeniser import FastTokeniser
from components.training.objective import IGNORED

MASK = "[MASK]", "<mask>"
COPIES = 2  # of each text, with other words taken out (static masking, Devlin et al., 2019)
SHARE = 0.15
MOST = 4  # tokens taken out of a text; only they are guessed, for the vocabulary is large


class MaskedLM(FineTuned):
    """An encoder with transformers' head for masked words, tied to its embeddings.

    Args:
        vocabulary: Not needed; the encoder has its own.
        classes: Not needed.
        config: Which encoder, and what learns.

    Raises:
        ConfigError: If the encoder cannot be used; see `open_source`.
    """

    def __init__(self, vocabulary: int, classes: int, config: EncoderConfig) -> None:
        super().__init__(config, AutoModelForMaskedLM)

        if len(list(self.model.children())) != 2:
            got = f"a {type(self.model).__name__}, whose head has several parts"
            raise unusable(config.source, got, "a BERT, RoBERTa or MiniLM")
        tokens = tokeniser((), config)
        self.mask, self.most = mask_of(tokens), min(MOST, tokens.length)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Scores (B, 4, vocabulary) for the first masks in ids (B, L) int64, in order."""
        if ids.shape[1] < self.most:
            ids = F.pad(ids, (0, self.most - ids.shape[1]), value=self.padding)
        hidden = self.body(**self.inputs(ids), return_dict=True).last_hidden_state
        places = (ids == self.mask).byte().sort(dim=1, descending=True, stable=True).indices
        places = places[:, : self.most].unsqueeze(2).expand(-1, -1, hidden.shape[2])
        return cast(torch.Tensor, self.head(hidden.gather(1, places)))

    @property
    def head(self) -> nn.Module:
        """What transformers' model has above its body."""
        [above] = [m for name, m in self.model.named_children() if name != self.prefix]
        return above


def mask_of(tokens: FastTokeniser) -> int:
    """The id that stands for a word taken out.

    Raises:
        ConfigError: If the tokeniser has none.
    """
    for name in MASK:
        if (found := tokens.id_of(name)) is not None:
            return found
    raise unusable("for masked words", f"a tokeniser without {MASK[0]}", f"one that has {MASK[0]}")


def targets(
    tokens: FastTokeniser, texts: Sequence[Text], class_names: Sequence[str]
) -> tuple[Int64Array, Int64Array]:
    """Ids (2 N, L) with words taken out, and those words (2 N, 4), in order.

    Of the first copy the marked words are taken out where there are any, of the other some at
    random. The same texts always lose the same words.
    """
    mask, chance = mask_of(tokens), np.random.default_rng(0)
    most = min(MOST, tokens.length)
    encodings = tokens.encodings([(text.text, "") for text in texts])
    ids = tokens.ids(encodings)
    special = np.array([[one is None for one in e.sequence_ids] for e in encodings])
    marked = np.array([_marked(text, e.offsets) for text, e in zip(texts, encodings, strict=True)])
    given, asked = [], []
    for copy in range(COPIES):
        chosen = ~special & (chance.random(ids.shape) < SHARE)
        if copy == 0:
            chosen = np.where(marked.any(1, keepdims=True), marked & ~special, chosen)
        some = np.argmax(np.where(special, -1.0, chance.random(ids.shape)), 1)
        chosen[np.arange(len(ids)), some] |= ~chosen.any(1)
        chosen &= chosen.cumsum(1) <= most
        given.append(np.where(chosen, mask, ids))
        order = np.argsort(~chosen, 1, kind="stable")[:, :most]
        words = np.where(chosen, ids, IGNORED)
        asked.append(np.take_along_axis(words, order, 1))
    return np.concatenate(given), np.concatenate(asked)


def owners(tokens: FastTokeniser, texts: Sequence[Text]) -> Int64Array:
    """Whose copy each row is."""
    return np.tile(np.arange(len(texts)), COPIES)


def _marked(text: Text, offsets: Sequence[tuple[int, int]]) -> list[bool]:
    return [
        any(first < end and last > start for start, end, _ in text.spans) for first, last in offsets
    ]


SPEC = ModelSpec(
    ModelKind.MASKED_LM,
    MaskedLM,
    section="encoder",
    tokeniser=tokeniser,
    targets=targets,
    owners=owners,
)
