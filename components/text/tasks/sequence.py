"""Classifiers of whole texts, transformers' own and ours, in the form that pipelines take."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import nn
from transformers import AutoModel, AutoModelForSequenceClassification, PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput

from components.text.encoder import mean_pooled
from components.text.package import head_of
from components.text.tasks.base import ModelFiles


class MeanPooledClassifier(PreTrainedModel):  # type: ignore[no-untyped-call]
    """An encoder whose outputs are averaged before the head; see `components.text.encoder`."""

    _supports_sdpa = True

    def __init__(self, body: PreTrainedModel, head: nn.Linear) -> None:
        super().__init__(cast(Any, body).config)
        self.body, self.head = body, head

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, **others: torch.Tensor
    ) -> SequenceClassifierOutput:
        """Scores (B, classes) for ids and mask (B, L)."""
        hidden = self.body(input_ids, attention_mask=attention_mask, **others).last_hidden_state
        return SequenceClassifierOutput(logits=self.head(mean_pooled(hidden, attention_mask)))


def sequence_classifier(files: ModelFiles) -> Any:
    """The classifier in a folder.

    Raises:
        ConfigError: If the files are damaged or of another kind of model.
    """
    head = head_of(files.folder)
    if head is None:
        return files.model(AutoModelForSequenceClassification)
    model: Any = MeanPooledClassifier(files.model(AutoModel), head)
    return model.eval()
