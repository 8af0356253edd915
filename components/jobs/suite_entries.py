"""Evaluation suites as params.yaml states them: lists of (task, model, data, floors)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, RootModel

from components.catalog import unknown_key
from components.errors import ConfigError
from components.models import MODELS
from components.params import check, load_params
from components.settings import Settings
from components.text.tasks import EVALUATION_TASKS

TRAINED, REGISTERED = "train://", "models:/"
TOLERANCE = 0.001


class Published(BaseModel):
    """What a model's authors print for an example."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: Annotated[str, Field(description="What is predicted, as the tables show it")]
    score: Annotated[float | None, Field(description="Its probability, to four digits")] = None

    def fits(self, text: str, score: float) -> bool:
        """Whether a prediction is the same, up to rounding and other versions of libraries."""
        return self.text == text and (self.score is None or abs(self.score - score) < TOLERANCE)


class SuiteEntry(BaseModel):
    """One evaluation of a suite (params.yaml: suites)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    task: Annotated[str, Field(description="As transformers' pipelines are called, such as ner")]
    model: Annotated[
        str,
        Field(
            description="train://DATASET/MODEL, which is trained first if it has not been; "
            "models:/NAME@alias of the registry; a folder; NAME@revision of the Hugging Face hub; "
            "minilm"
        ),
    ]
    data: Annotated[
        str,
        Field(
            description="A dataset, of which the test split is used; a .jsonl, .csv or .parquet "
            "file; hub://NAME@revision/FILE"
        ),
    ]
    floors: Annotated[
        dict[str, float],
        Field(min_length=1, description="What each metric has to reach; of perplexity, the most"),
    ]
    limit: Annotated[int, Field(ge=0, description="Use the first so many examples; all if 0")] = 0
    labels: Annotated[
        tuple[str, ...], Field(description="Of a file: names of the classes, in order")
    ] = ()
    columns: Annotated[
        dict[str, str],
        Field(description="Of a file: text, second, label, spans to the names they have"),
    ] = {}
    published: Annotated[
        tuple[Published, ...],
        Field(description="Predictions to compare with, in order; the metric is as_published"),
    ] = ()
    required: Annotated[
        bool, Field(description="Whether the suite fails if this cannot be evaluated")
    ] = True

    @property
    def trained(self) -> tuple[str, str] | None:
        """Dataset and model of what is to be trained, if that is so."""
        if not self.model.startswith(TRAINED):
            return None
        dataset, slash, model = self.model.removeprefix(TRAINED).partition("/")
        if not slash or not dataset or not model:
            raise ConfigError(
                f"model of {self.task}",
                got=self.model,
                wanted=f"{TRAINED}DATASET/MODEL",
                remedy=f"Write it like {TRAINED}reviews/encoder.",
            )
        return dataset, model


class Suites(RootModel[dict[str, tuple[SuiteEntry, ...]]]):
    """All suites, by name."""


def suite(settings: Settings, name: str) -> tuple[SuiteEntry, ...]:
    """The entries of a suite.

    Raises:
        ConfigError: If there is no such suite, or it is not usable.
    """
    suites = check(
        Suites, load_params(settings.params_file).get("suites") or {}, "params.yaml: suites"
    )
    if name not in suites.root:
        raise unknown_key("suite", name, suites.root)
    entries = suites.root[name]
    for entry in entries:
        EVALUATION_TASKS.module(entry.task)
        _ = entry.trained
    return entries


def import_for(entries: Sequence[SuiteEntry]) -> None:
    """Import what evaluating and training will need, ahead of time.

    Raises:
        UnknownKeyError: If an entry is to train a model that does not exist.
    """
    for entry in entries:
        if entry.trained:
            MODELS.get(entry.trained[1])
        EVALUATION_TASKS.get(entry.task)
