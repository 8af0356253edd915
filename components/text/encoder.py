"""Pre-trained encoders with a new head: fine-tuned whole, in part, or through small additions.

Whole or head only as in Devlin et al., 2019; gradual unfreezing, Howard and Ruder, 2018, section
3.3; LoRA, Hu et al., 2022; prefix tuning, Li and Liang, 2021.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, cast

import torch
from peft import LoraConfig, PrefixTuningConfig, TaskType, get_peft_model
from safetensors import SafetensorError
from torch import nn
from transformers import MODEL_FOR_MASKED_LM_MAPPING, AutoConfig, AutoModel

from components.models.encoder import EncoderConfig
from components.models.spec import ModelKind, ModelSpec, Pair
from components.text.sources import WEIGHTS, Source, open_source, unusable
from components.text.tokeniser import FastTokeniser

RANK = 8  # of LoRA's additions
PREFIX = 16  # virtual tokens
UNFREEZING = 0.5  # share of the epochs after which all layers learn


def tokeniser(texts: Sequence[Pair], config: EncoderConfig) -> FastTokeniser:
    """The encoder's own tokeniser; `texts` are not needed."""
    return open_source(config.source).tokeniser(config.length)


class Encoder(nn.Module):
    """An encoder, the mean of its outputs, dropout, a linear head.

    Args:
        body: From token ids to hidden states, with Hugging Face's interface.
        classes: Number of scores.
        config: What learns.
        padding: The id that fills short texts.
        separator: The id that ends a text.
    """

    def __init__(
        self, body: nn.Module, classes: int, config: EncoderConfig, padding: int, separator: int
    ) -> None:
        super().__init__()
        self.body, self.train_what = body, config.train
        self.padding, self.separator = padding, separator
        self.dropout = nn.Dropout(config.dropout)
        sizes = cast(Any, body.config)
        self.head = nn.Linear(sizes.hidden_size, classes)
        # Peft's prefixes have no types.
        self.two_types = config.train != "prefix" and getattr(sizes, "type_vocab_size", 1) > 1
        if config.train == "head":
            self.body.requires_grad_(False)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Scores (B, classes) for token ids (B, L) int64."""
        mask = (ids != self.padding).long()
        given = {"input_ids": ids, "attention_mask": mask}
        if self.two_types:  # the second text begins after the first separator
            ends = (ids == self.separator).long()
            given["token_type_ids"] = ((ends.cumsum(1) - ends) > 0).long() * mask
        hidden = self.body(**given, return_dict=True).last_hidden_state
        weights = mask.unsqueeze(2).to(hidden.dtype)
        pooled = (hidden * weights).sum(1) / weights.sum(1).clamp(min=1)
        return cast(torch.Tensor, self.head(self.dropout(pooled)))

    def train(self, mode: bool = True) -> Encoder:
        """A frozen encoder has no dropout of its own."""
        super().train(mode)
        if self.train_what == "head":
            self.body.eval()
        return self

    def begin_epoch(self, epoch: int, epochs: int) -> None:
        """Of gradual unfreezing: the head first, then layer by layer from the top."""
        if self.train_what != "gradual":
            return
        layers = [*self._layers(), None]  # the last one to learn are the embeddings
        done = min(1.0, (epoch - 1) / max(1.0, UNFREEZING * epochs))
        free = round(done * len(layers))
        self.body.requires_grad_(free == len(layers))
        for layer in layers[:free]:
            if layer is not None:
                layer.requires_grad_(True)

    def _layers(self) -> list[nn.Module]:
        """From the top downwards."""
        stacks = [list(m) for m in self.body.modules() if isinstance(m, nn.ModuleList)]
        return max(stacks, key=len)[::-1]


def encoder(vocabulary: int, classes: int, config: EncoderConfig) -> Encoder:
    """An encoder with a fresh head.

    Raises:
        ConfigError: If its source cannot be used; see `open_source`.
    """
    source = open_source(config.source)
    body = _body(source, config)
    if config.train in ("lora", "prefix"):
        with warnings.catch_warnings():  # about itself, in transformers' newest version
            warnings.simplefilter("ignore", FutureWarning)
            body = get_peft_model(body, _addition(config))
    tokens = source.tokeniser(config.length)
    separator = tokens.id_of("[SEP]")
    if separator is None:
        separator = tokens.id_of("</s>")
    return Encoder(body, classes, config, tokens.padding, -1 if separator is None else separator)


def _body(source: Source, config: EncoderConfig) -> nn.Module:
    shape = AutoConfig.from_pretrained(source.folder)
    if type(shape) not in MODEL_FOR_MASKED_LM_MAPPING:
        wanted = "an encoder, such as BERT, RoBERTa, DistilBERT or MiniLM"
        raise unusable(source.name, f"a model of type {shape.model_type}", wanted)
    if config.weights == "none":
        return cast(nn.Module, AutoModel.from_config(shape))  # type: ignore[no-untyped-call]
    try:
        body, found = AutoModel.from_pretrained(
            source.folder,
            use_safetensors=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # they are looked at below
        )
    except (SafetensorError, OSError, ValueError, RuntimeError) as error:
        said = " ".join(str(error).split())[:200]
        got = f"unreadable weights in {source.folder / WEIGHTS} ({said})"
        raise unusable(source.name, got, "the file as it was published") from error
    absent = [name for name in found["missing_keys"] if not name.startswith("pooler.")]
    if absent or found["mismatched_keys"]:
        got = f"other layers or sizes in {source.folder / WEIGHTS} than its configuration says"
        raise unusable(source.name, got, "weights and configuration of the same model")
    return cast(nn.Module, body)


def _addition(config: EncoderConfig) -> Any:
    kind = TaskType.FEATURE_EXTRACTION
    if config.train == "lora":
        return LoraConfig(
            task_type=kind,
            r=RANK,
            lora_alpha=2 * RANK,
            lora_dropout=config.dropout,
            target_modules="all-linear",
        )
    return PrefixTuningConfig(task_type=kind, num_virtual_tokens=PREFIX)


SPEC = ModelSpec(ModelKind.TEXT_CLASSIFIER, encoder, section="encoder", tokeniser=tokeniser)
