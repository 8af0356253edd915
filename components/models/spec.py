"""What the catalog of models holds: how to build networks, and for which data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt


class ModelKind(StrEnum):
    """What a model learns, from which data, and what its builder is given and returns.

    - CLASSIFIER, images with labels: image shape (C, H, W) and number of classes; a module from
      (B, C, H, W) float to (B, classes) unnormalised scores.
    - REGRESSOR, generated problems: number of features and of targets; a module from
      (B, features) to (B, targets).
    - IMAGE_GAN, images: image shape; a `Gan`.
    - POINT_GAN, generated problems: number of coordinates; a `Gan`.
    - TEXT_CLASSIFIER, labelled texts: size of the vocabulary and number of classes; a module from
      (B, L) int64 token ids to (B, classes) unnormalised scores.
    - The other text models: the same sizes; a module from ids to (B, P, choices) scores for P
      positions: the tags of each token, the first and the last token of an answer (P = 2), the
      words at each place, at the next one, or of the text that is written.
    """

    CLASSIFIER = "classifier"
    REGRESSOR = "regressor"
    IMAGE_GAN = "image GAN"
    POINT_GAN = "point GAN"
    TEXT_CLASSIFIER = "text classifier"
    TOKEN_CLASSIFIER = "token classifier"  # noqa: S105 - no password
    SPAN_EXTRACTOR = "span extractor"
    MASKED_LM = "masked-lm"
    CAUSAL_LM = "causal-lm"
    SEQ2SEQ = "seq2seq"

    @property
    def task(self) -> str | None:
        """What it learns from texts, as their card says; None if it learns from something else."""
        return _TASKS.get(self)

    @property
    def tasks(self) -> frozenset[str]:
        """The texts that it can learn from; a language model reads the first text of any."""
        every = frozenset(_TASKS.values())
        return every if self.task == "language modelling" else every & {self.task or ""}

    @property
    def data(self) -> str:
        """What it learns from: images, tensors or texts, as a dataset's card says."""
        if self.task:
            return "texts"
        return "images" if self in (ModelKind.CLASSIFIER, ModelKind.IMAGE_GAN) else "tensors"

    @property
    def role(self) -> str:
        """What a trained one is in the registry, such as classifier, regressor or generator."""
        return "generator" if self.gan else str(self).rpartition(" ")[2]

    @property
    def gan(self) -> bool:
        """Whether the section `gan` rather than `training` says how it is trained."""
        return self in (ModelKind.IMAGE_GAN, ModelKind.POINT_GAN)


_TASKS = {
    ModelKind.TEXT_CLASSIFIER: "classification",
    ModelKind.TOKEN_CLASSIFIER: "token classification",
    ModelKind.SPAN_EXTRACTOR: "span extraction",
    ModelKind.MASKED_LM: "language modelling",
    ModelKind.CAUSAL_LM: "language modelling",
    ModelKind.SEQ2SEQ: "text to text",
}

# Text models whose answer is several choices: a tag for each token, a word at each place.
SEQUENCE_KINDS = (
    ModelKind.TOKEN_CLASSIFIER,
    ModelKind.SPAN_EXTRACTOR,
    ModelKind.MASKED_LM,
    ModelKind.CAUSAL_LM,
    ModelKind.SEQ2SEQ,
)

Pair = tuple[str, str]  # a text, and a second one or nothing


class Tokeniser(Protocol):
    """Turns texts into numbers, the same for training, evaluation and use."""

    @property
    def vocabulary(self) -> int:
        """Ids are below it."""

    @property
    def padding(self) -> int:
        """The id that fills short texts at their end."""

    def encode(self, texts: Sequence[Pair]) -> npt.NDArray[np.int64]:
        """Ids (N, L) of texts; longer ones are cut."""

    def stored(self) -> bytes:
        """Everything it is, to be kept with the model."""


@runtime_checkable
class Staged(Protocol):
    """A network of which more learns as training goes on."""

    def begin_epoch(self, epoch: int, epochs: int) -> None:
        """Decide what learns in an epoch; 1 is the first."""


@dataclass(frozen=True)
class ModelSpec:
    """An entry of the catalog.

    Attributes:
        kind: Decides what `build` is given and returns.
        build: Sizes, and then the section's values where there is one, to fresh networks.
        section: Field of `NetworkConfig` that holds its options.
        tokeniser: Of a text model: training texts, and then the section's values where there is
            one, to what turns texts into ids.
        targets: Of a text model that is no classifier: tokeniser, examples and class names to ids
            (N, L) and to what should be at each position (N, P), -100 where nothing is asked.
            There may be more rows than examples.
        owners: Where there are: tokeniser and examples to the example of each row (N,).
    """

    kind: ModelKind
    build: Callable[..., Any]
    section: str | None = None
    tokeniser: Callable[..., Tokeniser] | None = None
    targets: Callable[..., tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]] | None = None
    owners: Callable[..., npt.NDArray[np.int64]] | None = None
