"""Trained text models as transformers saves them: config.json, safetensors, a tokeniser.

Anyone can load such a folder with transformers alone. A classifier of whole texts averages its
encoder's outputs, for which transformers has no head; its own stands in a file beside.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from tokenizers.processors import TemplateProcessing
from torch import nn
from transformers import (
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)

from components.models.spec import ModelKind
from components.text.byte_pairs import BEGIN, END
from components.text.causal_lm import CausalLM
from components.text.encoder import Encoder
from components.text.fine_tuned import FineTuned
from components.text.sources import quieten
from components.text.token_classifier import tags_of
from components.text.tokeniser import PADDING, FastTokeniser

HEAD = "mean_pooled_head.safetensors"


def packager(
    kind: ModelKind, net: nn.Module, tokens: Any, class_names: Sequence[str]
) -> Callable[[Path], None] | None:
    """What writes a trained network as a folder; None for one that has no such form.

    Args:
        kind: What it learned.
        net: On the CPU.
        tokens: Its `FastTokeniser`.
        class_names: In label order.
    """
    plain = getattr(net, "plain", lambda: None)()
    if plain is None:
        return None
    if kind is ModelKind.TOKEN_CLASSIFIER:
        _name(plain, tags_of(class_names))
    elif kind is ModelKind.TEXT_CLASSIFIER:
        _name(plain, class_names)

    def write(folder: Path) -> None:
        quieten()
        plain.save_pretrained(folder)
        if isinstance(net, Encoder):
            save_file(
                {name: p.detach().clone() for name, p in net.head.named_parameters()}, folder / HEAD
            )
        tokenizer_of(net, tokens).save_pretrained(folder)

    return write


def _name(model: PreTrainedModel, labels: Sequence[str]) -> None:
    config = cast(Any, model.config)
    config.id2label = dict(enumerate(labels))
    config.label2id = {name: number for number, name in enumerate(labels)}


def tokenizer_of(net: nn.Module, tokens: FastTokeniser) -> PreTrainedTokenizerBase:
    """The tokeniser in transformers' form, which neither cuts nor fills texts by itself."""
    if isinstance(net, FineTuned):
        loaded = AutoTokenizer.from_pretrained(net.folder, model_max_length=tokens.length)
        return cast(PreTrainedTokenizerBase, loaded)
    plain = Tokenizer.from_buffer(tokens.stored())
    plain.no_padding()
    plain.no_truncation()
    if isinstance(net, CausalLM):  # a text that is to go on has no end
        plain.post_processor = TemplateProcessing(
            single=f"{BEGIN} $A", special_tokens=[(BEGIN, plain.token_to_id(BEGIN))]
        )
    fast: Any = PreTrainedTokenizerFast
    return cast(
        PreTrainedTokenizerBase,
        fast(
            tokenizer_object=plain,
            model_max_length=tokens.length,
            pad_token=PADDING,
            bos_token=BEGIN,
            eos_token=END,
        ),
    )


def head_of(folder: Path) -> nn.Linear | None:
    """The head of a classifier of whole texts, None if the folder has none of ours."""
    if not (folder / HEAD).is_file():
        return None
    found = load_file(folder / HEAD)
    head = nn.Linear(found["weight"].shape[1], found["weight"].shape[0])
    head.load_state_dict(found)
    return head
