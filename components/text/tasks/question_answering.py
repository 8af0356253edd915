"""Answers as spans of a passage, or none if it does not say.

transformers 5 has no pipeline for this.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torchmetrics.functional.text import squad
from transformers import AutoModelForQuestionAnswering

from components.datasets.base import Text, TextTask
from components.errors import ConfigError
from components.evaluation.resampling import Metric
from components.text.tasks.base import (
    BATCH,
    EvaluationTask,
    ModelFiles,
    Prediction,
    Scores,
    trimmed,
)

LONGEST_ANSWER = 30  # tokens
WINDOW = 384  # tokens, where the model reads as many
NOTHING = "(not in the passage)"


@dataclass(frozen=True)
class _Window:
    """A part of a passage behind its question.

    Attributes:
        example: Whose it is.
        inputs: As the tokeniser returned them, without padding.
        offsets: Place of each token in the passage; None for tokens of the question.
    """

    example: int
    inputs: dict[str, list[int]]
    offsets: Sequence[tuple[int, int] | None]


@dataclass
class _Best:
    score: float = -torch.inf
    span: tuple[int, int] = (0, 0)
    chance: float = 0.0
    nothing: float = torch.inf
    nothing_chance: float = 0.0


class QuestionAnswering:
    """Decodes the best span over overlapping windows (Devlin et al., 2019, sections 4.2 and 4.3).

    Args:
        files: An extractive question answerer.
        class_names: Not needed.

    Raises:
        ConfigError: If the files are damaged or of another kind of model.
    """

    def __init__(self, files: ModelFiles, class_names: Sequence[str]) -> None:
        self._model: Any = files.model(AutoModelForQuestionAnswering)
        self._tokenizer = files.tokenizer
        self._length = min(WINDOW, int(files.tokenizer.model_max_length))
        if not files.tokenizer.is_fast:
            raise ConfigError(
                f"model {files.source.name}",
                got="a slow tokeniser",
                wanted="a fast one, which knows where its tokens stand in the text",
                remedy="Save the model with its fast tokeniser.",
            )

    def predict(self, examples: Sequence[Text]) -> Sequence[Prediction]:
        """See `Predictor`; `spans` is empty if the passage does not say."""
        windows = sorted(self._windows(examples), key=lambda one: -len(one.offsets))
        found = [_Best() for _ in examples]
        for start in range(0, len(windows), BATCH):
            batch = windows[start : start + BATCH]
            for window, scores in zip(batch, self._scores(batch), strict=True):
                _decode(window, scores, found[window.example])
        return [_prediction(text, best) for text, best in zip(examples, found, strict=True)]

    def _windows(self, examples: Sequence[Text]) -> Iterator[_Window]:
        questions = self._tokenizer([text.text for text in examples], add_special_tokens=False)
        most = self._length // 2
        asked = [
            self._tokenizer.decode(ids[:most]) if len(ids) > most else text.text
            for text, ids in zip(examples, questions["input_ids"], strict=True)
        ]
        found: Any = self._tokenizer(
            asked,
            [text.second for text in examples],
            truncation="only_second",
            max_length=self._length,
            stride=self._length // 4,
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
        )
        for row, example in enumerate(found["overflow_to_sample_mapping"]):
            inputs = {name: found[name][row] for name in self._tokenizer.model_input_names}
            parts = found.sequence_ids(row)
            places = zip(parts, found["offset_mapping"][row], strict=True)
            yield _Window(example, inputs, [at if part == 1 else None for part, at in places])

    @torch.inference_mode()
    def _scores(self, windows: Sequence[_Window]) -> Iterator[torch.Tensor]:
        """(2, L) of each window: as first and as last token."""
        batch = self._tokenizer.pad([one.inputs for one in windows], return_tensors="pt")
        found = self._model(**batch)
        for row, window in enumerate(windows):
            size = len(window.offsets)
            yield torch.stack(
                [found.start_logits[row, :size], found.end_logits[row, :size]]
            ).float()


def _decode(window: _Window, scores: torch.Tensor, best: _Best) -> None:
    """Take note of the best span of a window, and of the least score for no answer."""
    inside = torch.tensor([at is not None for at in window.offsets])
    if not inside.any():
        return
    possible = inside.clone()
    possible[0] = True
    both = float(scores[:, possible].logsumexp(1).sum())  # of all starts and of all ends
    if (nothing := float(scores[0, 0] + scores[1, 0])) < best.nothing:
        best.nothing, best.nothing_chance = nothing, math.exp(nothing - both)
    size = len(window.offsets)
    sums = scores[0].unsqueeze(1) + scores[1].unsqueeze(0)
    places = torch.arange(size)
    apart = places.unsqueeze(0) - places.unsqueeze(1)
    spans = inside.unsqueeze(1) & inside.unsqueeze(0) & (apart >= 0) & (apart < LONGEST_ANSWER)
    sums = sums.masked_fill(~spans, -torch.inf)
    place = int(sums.argmax())
    first, last = window.offsets[place // size], window.offsets[place % size]
    if float(sums.flatten()[place]) > best.score and first and last:
        best.score, best.span = float(sums.flatten()[place]), (first[0], last[1])
        best.chance = math.exp(best.score - both)


def _prediction(text: Text, best: _Best) -> Prediction:
    if best.score <= best.nothing:
        return Prediction(NOTHING, best.nothing_chance)
    start, end = trimmed(text.second, *best.span)
    return Prediction(text.second[start:end], best.chance, ((start, end, "answer"),))


def score(
    examples: Sequence[Text], said: Sequence[Prediction], class_names: Sequence[str]
) -> Scores:
    """Exact match and token F1, as for SQuAD (Rajpurkar et al., 2016; 2018)."""
    exact, f1 = [], []
    for place, (text, one) in enumerate(zip(examples, said, strict=True)):
        answer = one.text if one.spans else ""
        found = squad(
            {"prediction_text": answer, "id": str(place)},
            {
                "answers": {"answer_start": [0], "text": [_answer(text)]},
                "id": str(place),
            },
        )
        exact.append(float(found["exact_match"]) / 100)
        f1.append(float(found["f1"]) / 100)
    seen = [
        float(bool(one.spans) == bool(text.spans)) for text, one in zip(examples, said, strict=True)
    ]
    metrics = [
        Metric.average("exact_match", exact),
        Metric.average("f1", f1),
        Metric.average("answerable", seen),  # whether it was seen that there is an answer
    ]
    return Scores(metrics, f1, [_answer(text) or NOTHING for text in examples])


def _answer(text: Text) -> str:
    return text.second[slice(*text.spans[0][:2])] if text.spans else ""


TASK = EvaluationTask((TextTask.SPANS,), QuestionAnswering, score)
