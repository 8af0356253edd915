"""The honest baseline for texts: a linear classifier of the words, whatever their order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing
from tokenizers.trainers import WordLevelTrainer
from torch import nn

from components.models.spec import ModelKind, ModelSpec, Pair
from components.text.tokeniser import PADDING, FastTokeniser

UNKNOWN, SEPARATOR = "[UNK]", "[SEP]"
LENGTH = 256
VOCABULARY = 30_000


def words(texts: Sequence[Pair]) -> FastTokeniser:
    """A tokeniser of lower-case words that knows the most frequent ones of `texts`."""
    tokenizer = Tokenizer(WordLevel(unk_token=UNKNOWN))
    tokenizer.normalizer = BertNormalizer()
    tokenizer.pre_tokenizer = BertPreTokenizer()
    specials = [PADDING, UNKNOWN, SEPARATOR]
    trainer = WordLevelTrainer(
        vocab_size=VOCABULARY, special_tokens=specials, show_progress=False, min_frequency=1
    )
    tokenizer.train_from_iterator((part for text in texts for part in text), trainer)
    tokenizer.post_processor = TemplateProcessing(
        single="$A",
        pair=f"$A {SEPARATOR} $B",
        special_tokens=[(SEPARATOR, specials.index(SEPARATOR))],
    )
    return FastTokeniser.of_length(tokenizer, LENGTH)


class BagOfWords(nn.Module):
    """The mean of a score vector for each word; those of the second text have their own.

    Args:
        vocabulary: Number of words; 0 is padding, 2 stands between two texts.
        classes: Number of scores.
    """

    def __init__(self, vocabulary: int, classes: int) -> None:
        super().__init__()
        self.vocabulary = vocabulary
        self.scores = nn.EmbeddingBag(2 * vocabulary, classes, mode="mean", padding_idx=0)
        self.bias = nn.Parameter(torch.zeros(classes))
        nn.init.zeros_(self.scores.weight)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Scores (B, classes) for word ids (B, L) int64."""
        second = ((ids == 2).cumsum(1) > 0) & (ids != 0)
        found = self.scores(ids + second * self.vocabulary) + self.bias
        return cast(torch.Tensor, found)


SPEC = ModelSpec(ModelKind.TEXT_CLASSIFIER, BagOfWords, tokeniser=words)
