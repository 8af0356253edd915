"""Texts as token ids, the same for training, evaluation and use."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from components.datasets.base import Int64Array
from components.errors import CorruptDataError
from components.models.spec import Pair

PADDING = "[PAD]"


class FastTokeniser:
    """One of Hugging Face's fast tokenisers that cuts and fills texts to a fixed length.

    Args:
        tokenizer: With truncation and padding switched on.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer

    @classmethod
    def of_length(cls, tokenizer: Tokenizer, length: int, padding: str = PADDING) -> FastTokeniser:
        """Make every text `length` tokens long; of two texts the longer one is cut."""
        tokenizer.enable_truncation(length, strategy="longest_first")
        padding_id = tokenizer.token_to_id(padding)
        tokenizer.enable_padding(pad_id=padding_id, pad_token=padding, length=length)
        return cls(tokenizer)

    @classmethod
    def of_bytes(cls, stored: bytes) -> FastTokeniser:
        """One from what `stored` returned.

        Raises:
            CorruptDataError: If it is none.
        """
        try:
            return cls(Tokenizer.from_buffer(stored))
        except Exception as error:  # the library raises bare exceptions
            raise CorruptDataError(
                "tokeniser of a stored model",
                got=" ".join(str(error).split())[:200],
                wanted="what was stored with the model when it was trained",
                remedy="Train the model again.",
            ) from error

    @property
    def vocabulary(self) -> int:
        """Ids are below it."""
        return int(self._tokenizer.get_vocab_size(with_added_tokens=True))

    @property
    def padding(self) -> int:
        """The id that fills short texts at their end."""
        return int(self._padding["pad_id"])

    @property
    def length(self) -> int:
        """Tokens of every text."""
        return int(self._padding["length"])

    @property
    def _padding(self) -> dict[str, Any]:
        found: dict[str, Any] | None = self._tokenizer.padding
        assert found
        return found

    def id_of(self, token: str) -> int | None:
        """The id of a token, None if it has none."""
        found = self._tokenizer.token_to_id(token)
        return None if found is None else int(found)

    def encode(self, texts: Sequence[Pair]) -> Int64Array:
        """Ids (N, length) of texts; longer ones are cut."""
        given = [pair if pair[1] else pair[0] for pair in texts]
        found = self._tokenizer.encode_batch(given)
        ids = np.array([one.ids for one in found], np.int64)
        return ids.reshape(len(texts), self.length)

    def stored(self) -> bytes:
        """Everything it is, as JSON."""
        text: str = self._tokenizer.to_str()
        return text.encode()
