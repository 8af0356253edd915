"""Small models of random weights for every evaluation task, in transformers' layout."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import (
    BertForMaskedLM,
    BertForQuestionAnswering,
    BertForSequenceClassification,
    BertForTokenClassification,
    BertModel,
)

from components.datasets.base import TextTask
from components.models import MODELS
from components.models.network import NetworkConfig
from components.models.spec import ModelKind
from components.models.transformer import TransformerConfig
from components.text.package import packager
from components.text.token_classifier import tags_of
from tests.texts import CLASS_NAMES, EXAMPLES
from tests.tiny_encoder import save

# Each task with the head of a model for it, and that model's labels.
HEADS: Mapping[str, tuple[Any, tuple[str, ...]]] = {
    "sentiment-analysis": (BertForSequenceClassification, ("bad", "good")),
    "zero-shot-classification": (
        BertForSequenceClassification,
        ("contradiction", "neutral", "entailment"),
    ),
    "ner": (BertForTokenClassification, tuple(tags_of(CLASS_NAMES[TextTask.TOKENS]))),
    "question-answering": (BertForQuestionAnswering, ()),
    "fill-mask": (BertForMaskedLM, ()),
    "feature-extraction": (BertModel, ()),
}
WRITERS = {"text-generation": "causal_lm", "summarization": "seq2seq", "translation": "seq2seq"}


def save_for(task: str, folder: Path) -> Path:
    """Write a small model that can do a task."""
    if task in WRITERS:
        return _writer(WRITERS[task], folder)
    head, labels = HEADS[task]
    options = {
        "id2label": dict(enumerate(labels)),
        "label2id": {n: i for i, n in enumerate(labels)},
    }
    return save(folder, head, **(options if labels else {}))


def _writer(name: str, folder: Path) -> Path:
    small = TransformerConfig(width=32, heads=2, length=64, vocabulary=300, dropout=0)
    network, spec = NetworkConfig(causal_lm=small, seq2seq=small), MODELS.get(name)
    generation = spec.kind is ModelKind.SEQ2SEQ
    texts = EXAMPLES[TextTask.GENERATION if generation else TextTask.LANGUAGE]
    tokeniser = network.tokeniser(spec, [(text.text, text.second) for text in texts])
    torch.manual_seed(0)
    pack = packager(spec.kind, network.build(spec, tokeniser.vocabulary, 0).eval(), tokeniser, ())
    assert pack
    folder.mkdir(parents=True, exist_ok=True)
    pack(folder)
    return folder
