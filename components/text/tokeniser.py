"""Texts as token ids, the same for training, evaluation and use."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from tokenizers import Encoding, Tokenizer

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
        return self.ids(self.encodings(texts))

    def encodings(self, texts: Sequence[Pair]) -> list[Encoding]:
        """The same, with the place of each token in its text."""
        given = [pair if pair[1] else pair[0] for pair in texts]
        return self._tokenizer.encode_batch(given)

    def windows(self, pairs: Sequence[Pair]) -> list[list[Encoding]]:
        """All of each second text, in overlapping windows, each behind the first text.

        A first text may take half of a window; the rest of it is cut.
        """
        from_first = self.length // 2
        cutter = Tokenizer.from_str(self._tokenizer.to_str())
        cutter.no_padding()
        cutter.enable_truncation(from_first)
        firsts = [
            first if len(one.ids) < from_first else first[: max(end for _, end in one.offsets)]
            for (first, _), one in zip(
                pairs, cutter.encode_batch([first for first, _ in pairs]), strict=True
            )
        ]
        cutter.enable_truncation(self.length, stride=self.length // 4, strategy="only_second")
        cutter.enable_padding(**self._padding)
        seconds = [second for _, second in pairs]
        found = cutter.encode_batch(list(zip(firsts, seconds, strict=True)))
        return [[one, *one.overflowing] for one in found]

    def ids(self, encodings: Sequence[Encoding]) -> Int64Array:
        """(N, length) of encodings."""
        found = np.array([one.ids for one in encodings], np.int64)
        return found.reshape(len(encodings), self.length)

    def stored(self) -> bytes:
        """Everything it is, as JSON."""
        text: str = self._tokenizer.to_str()
        return text.encode()
