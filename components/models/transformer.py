"""Options of small transformers that are trained from scratch; they are in components/text."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class TransformerConfig(BaseModel):
    """A small transformer and its vocabulary (params.yaml: network.causal_lm, network.seq2seq)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: Annotated[int, Field(ge=16, le=4096, multiple_of=8, description="Hidden units")] = 128
    layers: Annotated[int, Field(ge=1, le=64, description="Of each half of a seq2seq model")] = 2
    heads: Annotated[int, Field(ge=1, le=8, description="Of attention, in each layer")] = 4
    dropout: Annotated[float, Field(ge=0, lt=1, description="Share of units left out")] = 0.1
    vocabulary: Annotated[
        int, Field(ge=300, le=100_000, description="Pieces of words (byte-pair encoding)")
    ] = 2000
    length: Annotated[
        int, Field(ge=8, le=1024, description="Tokens of a text; longer ones are cut")
    ] = 64
