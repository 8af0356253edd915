"""Pre-trained encoders of which all, a part, or a small addition learns.

All layers or the head alone as in Devlin et al., 2019; gradual unfreezing, Howard and Ruder, 2018,
section 3.3; LoRA, Hu et al., 2022; prefix tuning, Li and Liang, 2021.
"""

from __future__ import annotations

import copy
import warnings
from typing import Any, cast

import torch
from torch import nn
from transformers import MODEL_FOR_MASKED_LM_MAPPING, AutoConfig, AutoModel, PreTrainedModel

from components.models.encoder import EncoderConfig
from components.text.sources import Source, loaded, open_source, unusable
from components.text.tokeniser import FastTokeniser

RANK = 8  # of LoRA's additions
PREFIX = 16  # virtual tokens
UNFREEZING = 0.5  # share of the epochs after which all layers learn


def tokeniser(texts: object, config: EncoderConfig) -> FastTokeniser:
    """The encoder's own tokeniser; `texts` are not needed."""
    return open_source(config.source).tokeniser(config.length)


class FineTuned(nn.Module):
    """One of transformers' models, and what of its body learns.

    Args:
        config: Which model, and what learns.
        auto: Class of transformers that loads it, with the head that it has.
        sizes: Changes of the model's own configuration, such as the number of labels.
    """

    def __init__(self, config: EncoderConfig, auto: Any = AutoModel, **sizes: Any) -> None:
        super().__init__()
        source = open_source(config.source)
        self.train_what, self.folder = config.train, source.folder
        self.model = _model(source, config, auto, sizes)
        # Without a head the model is the body.
        self.prefix = "" if auto is AutoModel else str(cast(Any, self.model).base_model_prefix)
        if config.train in ("lora", "prefix"):
            from peft import get_peft_model  # takes seconds to import

            with warnings.catch_warnings():  # about itself, in transformers' newest version
                warnings.simplefilter("ignore", FutureWarning)
                self._put(get_peft_model(cast(Any, self.body), _addition(config)))
        tokens = source.tokeniser(config.length)
        separator = tokens.id_of("[SEP]")
        separator = tokens.id_of("</s>") if separator is None else separator
        self.padding, self.separator = tokens.padding, -1 if separator is None else separator
        shape = cast(Any, self.model).config
        self.width = int(shape.hidden_size)
        # Peft's prefixes have no types.
        self.two_types = config.train != "prefix" and getattr(shape, "type_vocab_size", 1) > 1
        if config.train == "head":
            self.body.requires_grad_(False)

    @property
    def body(self) -> nn.Module:
        """Everything below the head."""
        return cast(nn.Module, getattr(self.model, self.prefix) if self.prefix else self.model)

    def _put(self, body: nn.Module) -> None:
        if self.prefix:
            setattr(self.model, self.prefix, body)
        else:
            self.model = body

    def inputs(self, ids: torch.Tensor) -> dict[str, torch.Tensor]:
        """What transformers' models are given for token ids (B, L) int64."""
        mask = (ids != self.padding).long()
        given = {"input_ids": ids, "attention_mask": mask}
        if self.two_types:
            given["token_type_ids"] = self.second(ids).long() * mask
        return given

    def second(self, ids: torch.Tensor) -> torch.Tensor:
        """(B, L) bool: what comes after the first separator, the second text and its end."""
        ends = (ids == self.separator).long()
        return (ends.cumsum(1) - ends) > 0

    def train(self, mode: bool = True) -> FineTuned:
        """A frozen body has no dropout of its own."""
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

    def plain(self) -> PreTrainedModel | None:
        """A copy without peft's parts, as transformers saves it; None where that cannot be."""
        if self.train_what == "prefix":
            return None
        alone = copy.deepcopy(self)
        if self.train_what == "lora":
            alone._put(cast(Any, alone.body).merge_and_unload())
        return cast(PreTrainedModel, alone.model)


def _model(source: Source, config: EncoderConfig, auto: Any, sizes: dict[str, Any]) -> nn.Module:
    shape = AutoConfig.from_pretrained(source.folder, **sizes)
    if type(shape) not in MODEL_FOR_MASKED_LM_MAPPING:
        wanted = "an encoder, such as BERT, RoBERTa, DistilBERT or MiniLM"
        raise unusable(source.name, f"a model of type {shape.model_type}", wanted)
    if config.weights == "none":
        return cast(nn.Module, auto.from_config(shape))
    return loaded(source, auto, shape, new_head=auto is not AutoModel)


def _addition(config: EncoderConfig) -> Any:
    from peft import LoraConfig, PrefixTuningConfig, TaskType

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
