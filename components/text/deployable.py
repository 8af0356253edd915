"""The form in which text models are registered: they carry their own tokeniser."""

from __future__ import annotations

from typing import cast

import torch
from torch import nn

from components.errors import CorruptDataError
from components.text.tokeniser import FastTokeniser

BUFFER = "tokeniser"


class DeployableText(nn.Module):
    """A network with its tokeniser beside the weights.

    A champion and a candidate that read texts in different ways can thus be given the same texts.

    Args:
        net: From (B, L) int64 token ids to (B, classes) scores.
        tokeniser: As `Tokeniser.stored` returns it.
    """

    def __init__(self, net: nn.Module, tokeniser: bytes) -> None:
        super().__init__()
        self.net = net
        self.register_buffer(BUFFER, torch.frombuffer(bytearray(tokeniser), dtype=torch.uint8))

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Scores (B, classes) for token ids (B, L) int64."""
        return cast(torch.Tensor, self.net(ids))


def tokeniser_of(model: nn.Module, label: str = "") -> FastTokeniser:
    """The tokeniser that a registered text model carries.

    Args:
        model: A `DeployableText`, or one that was stored and loaded again.
        label: For the message.

    Raises:
        CorruptDataError: If it carries none.
    """
    for name, buffer in model.named_buffers():
        if name.rpartition(".")[2] == BUFFER:
            return FastTokeniser.of_bytes(buffer.cpu().numpy().tobytes())
    raise CorruptDataError(
        f"model {label}".strip(),
        got="a model without a tokeniser",
        wanted="a text model that Nightforge trained",
        remedy="Choose another version.",
    )
