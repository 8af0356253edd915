"""Tokenisers for models trained from scratch: byte-pair encoding (Sennrich et al., 2016)."""

from __future__ import annotations

from collections.abc import Sequence

from tokenizers import Tokenizer
from tokenizers.decoders import ByteLevel as Decoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.processors import TemplateProcessing
from tokenizers.trainers import BpeTrainer

from components.models.spec import Pair
from components.models.transformer import TransformerConfig
from components.text.tokeniser import PADDING, FastTokeniser

BEGIN, END = "[BOS]", "[EOS]"
SPECIALS = [PADDING, BEGIN, END]


def byte_pairs(texts: Sequence[Pair], config: TransformerConfig, *, begun: bool) -> FastTokeniser:
    """A tokeniser of bytes, merged as they occur in `texts`; it can write any text.

    Args:
        texts: Those that the model is trained on.
        config: Vocabulary and length.
        begun: Whether a text starts with a token of its own.
    """
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=True)
    tokenizer.decoder = Decoder()
    trainer = BpeTrainer(
        vocab_size=config.vocabulary,
        special_tokens=SPECIALS,
        show_progress=False,
        initial_alphabet=ByteLevel.alphabet(),
    )
    tokenizer.train_from_iterator((part for text in texts for part in text if part), trainer)
    tokenizer.post_processor = TemplateProcessing(
        single=f"{BEGIN} $A {END}" if begun else f"$A {END}",
        special_tokens=[(name, SPECIALS.index(name)) for name in (BEGIN, END)],
    )
    return FastTokeniser.of_length(tokenizer, config.length)
