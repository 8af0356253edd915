"""Evaluation tasks under their names in transformers' pipelines: one file and one line for each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from components.catalog import Catalog

if TYPE_CHECKING:
    from components.text.tasks.base import EvaluationTask

EVALUATION_TASKS: Catalog[EvaluationTask] = Catalog(
    "evaluation task",
    {
        "sentiment-analysis": "components.text.tasks.sentiment_analysis:TASK",
        "zero-shot-classification": "components.text.tasks.zero_shot:TASK",
        "text-generation": "components.text.tasks.text_generation:TASK",
        "fill-mask": "components.text.tasks.fill_mask:TASK",
        "ner": "components.text.tasks.ner:TASK",
        "question-answering": "components.text.tasks.question_answering:TASK",
        "summarization": "components.text.tasks.sequence_to_sequence:SUMMARIZATION",
        "translation": "components.text.tasks.sequence_to_sequence:TRANSLATION",
        "feature-extraction": "components.text.tasks.feature_extraction:TASK",
    },
)
