"""What every evaluation task of a suite is: examples in, predictions out, and a score for each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, cast

from transformers import AutoConfig, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from components.datasets.base import Span, Text, TextTask
from components.errors import CorruptDataError, NightforgeError
from components.evaluation.resampling import Metric
from components.text.sources import Source, loaded, unusable

BATCH = 32
VOCABULARIES = (
    "tokenizer.json",
    "vocab.txt",
    "vocab.json",
    "spiece.model",
    "sentencepiece.bpe.model",
    "tokenizer.model",
    "source.spm",
)
DEFAULT_LENGTH = 512  # of tokenisers that do not know what their model can read


@dataclass(frozen=True)
class Prediction:
    """What a model said about an example; each task uses some of the fields.

    Attributes:
        text: A label, an answer, what was written; what a person reads in the table.
        score: Its probability or similarity; 0 where there is none.
        spans: Entities found.
        choices: Answers, the best first.
        numbers: Further values that the task's metrics need.
    """

    text: str
    score: float = 0.0
    spans: tuple[Span, ...] = ()
    choices: tuple[str, ...] = ()
    numbers: tuple[float, ...] = ()


@dataclass(frozen=True)
class Scores:
    """How good predictions are.

    Attributes:
        metrics: Over all examples.
        each: Of each example, 1 for the best; orders the table, the worst first.
        expected: What was right, as a person reads it.
        confusion: True class to predicted class to number; empty where there are no classes.
    """

    metrics: Sequence[Metric]
    each: Sequence[float]
    expected: Sequence[str]
    confusion: dict[str, dict[str, int]] = field(default_factory=dict)


class Predictor(Protocol):
    """A model ready for one task."""

    def predict(self, examples: Sequence[Text]) -> Sequence[Prediction]:
        """A prediction for each example, in order."""


@dataclass(frozen=True)
class ModelFiles:
    """A model in transformers' layout, loaded once for all tasks that use it."""

    source: Source
    _models: dict[Any, PreTrainedModel] = field(default_factory=dict, compare=False)

    @property
    def folder(self) -> Path:
        """Where its files are."""
        return self.source.folder

    @cached_property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """Its tokeniser.

        Raises:
            ConfigError: If it has none.
        """
        if not any((self.folder / name).is_file() for name in VOCABULARIES):
            # transformers would make one that knows no word.
            raise unusable(self.source.name, f"no tokeniser in {self.folder}", "one of its files")
        try:
            found = cast(PreTrainedTokenizerBase, AutoTokenizer.from_pretrained(self.folder))
        except (OSError, ValueError, KeyError, TypeError) as error:
            said = " ".join(str(error).split())[:200]
            raise unusable(self.source.name, f"no tokeniser ({said})", "one beside it") from error
        if found.model_max_length > 10**6:
            found.model_max_length = DEFAULT_LENGTH
        config = AutoConfig.from_pretrained(self.folder)
        if places := getattr(config, "max_position_embeddings", None):
            found.model_max_length = min(found.model_max_length, int(places))
        found.padding_side = "right"
        if found.pad_token is None:
            found.pad_token = found.eos_token
        return found

    def model(self, auto: Any) -> PreTrainedModel:
        """The model with a head for the task.

        Args:
            auto: Class of transformers, such as AutoModelForTokenClassification.

        Raises:
            ConfigError: If the files are damaged or have no such head.
        """
        if auto not in self._models:
            self._models[auto] = loaded(self.source, auto)
        return self._models[auto]


@dataclass(frozen=True)
class EvaluationTask:
    """An entry of the catalog.

    Attributes:
        data: Kinds of examples that it can use; JSON lines are of the first.
        open: Model files and the names of the classes to what predicts.
        score: Examples, predictions and the names of the classes to scores.
    """

    data: tuple[TextTask, ...]
    open: Callable[[ModelFiles, Sequence[str]], Predictor]
    score: Callable[[Sequence[Text], Sequence[Prediction], Sequence[str]], Scores]


def pipeline_of(kind: Any, model: Any, files: ModelFiles, **options: Any) -> Any:
    """One of transformers' pipelines, whose classes say little about their types."""
    return kind(model=model, tokenizer=files.tokenizer, **options)


def trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """A span without the spaces around it, which some tokenisers count to a word."""
    inside = text[start:end]
    start += len(inside) - len(inside.lstrip())
    return start, start + len(inside.strip())


def by_length(examples: Sequence[Text]) -> list[int]:
    """Places of the examples, the longest first, so that a batch has little padding.

    Memory is thus needed at the start or not at all.
    """
    size = [len(text.text) + len(text.second) for text in examples]
    return sorted(range(len(examples)), key=lambda place: (-size[place], place))


def restored(order: Sequence[int], found: Sequence[Any]) -> list[Any]:
    """What was found for examples in `order`, in the order of the examples."""
    result: list[Any] = [None] * len(order)
    for place, one in zip(order, found, strict=True):
        result[place] = one
    return result


def no_such(example: int, got: str, wanted: str, remedy: str) -> NightforgeError:
    """The error about an example that cannot be used; 1 is the first."""
    return CorruptDataError(f"example {example}", got=got, wanted=wanted, remedy=remedy)
