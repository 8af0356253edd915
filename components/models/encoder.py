"""Options of a text encoder; the encoder itself, over transformers, is in components/text."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

MINILM = "minilm"
Strategy = Literal["all", "head", "gradual", "lora", "prefix"]


class EncoderConfig(BaseModel):
    """Which encoder, and how it is fine-tuned (params.yaml: network.encoder)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: Annotated[
        str,
        Field(
            description="minilm: all-MiniLM-L6-v2 from a package; else a folder, or a model of the "
            "Hugging Face hub with its revision: name@revision"
        ),
    ] = MINILM
    weights: Annotated[
        Literal["pretrained", "none"],
        Field(description="Trained ones to start from, or none: the same network from scratch"),
    ] = "pretrained"
    train: Annotated[
        Strategy,
        Field(
            description="What learns: all layers, the head alone, from the head downwards epoch by "
            "epoch, or small additions to a frozen encoder (LoRA, prefix)"
        ),
    ] = "all"
    length: Annotated[
        int, Field(ge=8, le=512, description="Tokens of an example; longer ones are cut")
    ] = 64
    dropout: Annotated[
        float, Field(ge=0, lt=1, description="Share of the head's inputs left out at each step")
    ] = 0.1
