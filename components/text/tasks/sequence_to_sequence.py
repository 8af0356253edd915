"""Writing a text for a text, in transformers 5 without a pipeline: summaries and translations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from transformers import AutoModelForSeq2SeqLM

from components.datasets.base import Text, TextTask
from components.evaluation.resampling import Float64Array, Metric
from components.text.tasks.base import (
    BATCH,
    EvaluationTask,
    ModelFiles,
    Prediction,
    Scores,
    by_length,
    restored,
)

NEW_TOKENS = 128
ROUGE = ("rouge1", "rouge2", "rougeL")


class SequenceToSequence:
    """Greedy or beam search, as the model's own settings say, in batches of similar length.

    Args:
        files: A sequence-to-sequence model.
        class_names: Not needed.

    Raises:
        ConfigError: If the files are damaged or of another kind of model.
    """

    task = ""

    def __init__(self, files: ModelFiles, class_names: Sequence[str]) -> None:
        self._model: Any = files.model(AutoModelForSeq2SeqLM)
        self._tokenizer = files.tokenizer
        usual = getattr(self._model.config, "task_specific_params", None) or {}
        fitting = [options for name, options in usual.items() if name.startswith(self.task)]
        # T5 expects words that say what to do; where there are several, the data have to say them.
        self._prefix = str(fitting[0].get("prefix", "")) if len(fitting) == 1 else ""

    @torch.inference_mode()
    def predict(self, examples: Sequence[Text]) -> Sequence[Prediction]:
        """See `Predictor`."""
        order = by_length(examples)
        written: list[Prediction] = []
        for start in range(0, len(order), BATCH):
            texts = [self._prefix + examples[place].text for place in order[start : start + BATCH]]
            given = self._tokenizer(texts, truncation=True, padding=True, return_tensors="pt")
            ids = self._model.generate(
                input_ids=given["input_ids"],
                attention_mask=given["attention_mask"],
                max_new_tokens=NEW_TOKENS,
                do_sample=False,
            )
            found = self._tokenizer.batch_decode(ids, skip_special_tokens=True)
            written += [Prediction(text.strip()) for text in found]
        return restored(order, written)


class Summarization(SequenceToSequence):
    """See `SequenceToSequence`."""

    task = "summarization"


class Translation(SequenceToSequence):
    """See `SequenceToSequence`."""

    task = "translation"


def rouge(
    examples: Sequence[Text], said: Sequence[Prediction], class_names: Sequence[str]
) -> Scores:
    """ROUGE-1, -2 and -L, F (Lin, 2004), without stemming."""
    scorer = RougeScorer(list(ROUGE))
    found = [scorer.score(t.second, one.text) for t, one in zip(examples, said, strict=True)]
    values = {name: [one[name].fmeasure for one in found] for name in ROUGE}
    metrics = [Metric.average(name, each) for name, each in values.items()]
    return Scores(metrics, values["rougeL"], [text.second for text in examples])


def bleu(
    examples: Sequence[Text], said: Sequence[Prediction], class_names: Sequence[str]
) -> Scores:
    """BLEU of the whole (Papineni et al., 2002), chrF as a mean over texts (Popovic, 2015)."""
    sentence, characters = BLEU(effective_order=True), CHRF()
    rows, likeness, exact = [], [], []
    for text, one in zip(examples, said, strict=True):
        found: Any = sentence.sentence_score(one.text, [text.second])
        rows.append([*found.counts, *found.totals, found.sys_len, found.ref_len])
        likeness.append(characters.sentence_score(one.text, [text.second]).score)
        exact.append(float(one.text == text.second))
    metrics = [
        Metric("bleu", np.array(rows, np.float64), _bleu),
        Metric.average("chrf", likeness),
        Metric.average("exact", exact),
    ]
    return Scores(metrics, [one / 100 for one in likeness], [text.second for text in examples])


def _bleu(sums: Float64Array) -> Float64Array:
    """From sums of n-gram matches, n-grams, and both lengths (..., 10), in [0, 100]."""
    flat = sums.reshape(-1, sums.shape[-1])
    found = [
        BLEU.compute_bleu(
            row[:4].astype(int).tolist(),
            row[4:8].astype(int).tolist(),
            int(row[8]),
            int(row[9]),
            smooth_method="exp",
        ).score
        for row in flat
    ]
    return np.array(found).reshape(sums.shape[:-1])


SUMMARIZATION = EvaluationTask((TextTask.GENERATION,), Summarization, rouge)
TRANSLATION = EvaluationTask((TextTask.GENERATION,), Translation, bleu)
