"""The prepared form of a dataset on disk: a card and arrays that load memory-mapped."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from components.datasets.base import (
    Arrays,
    Split,
    Tensors,
    Text,
    TextTask,
    Unreadable,
)
from components.errors import CorruptDataError

CARD = "dataset.json"
Finite = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Card(BaseModel):
    """What dataset.json states about any prepared dataset."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    title: str
    licence: str
    homepage: str
    sample: bool
    counts: dict[Split, int]


class ImageCard(Card):
    """What dataset.json states about images.

    Attributes:
        mean: Of the training pixels scaled to [0, 1], one for each channel.
        std: Their standard deviations.
        duplicates: Training images that are there more than once, byte for byte.
        shared_with_test: Training images left out because the test part has them as well.
        unreadable: Files left out.
    """

    kind: Literal["images"] = "images"
    class_names: tuple[str, ...]
    image_shape: tuple[int, int, int]
    counts_per_class: dict[Split, tuple[int, ...]]
    mean: tuple[Finite, ...]
    std: tuple[Positive, ...]
    duplicates: int
    shared_with_test: int
    unreadable: tuple[Unreadable, ...]


class TensorCard(Card):
    """What dataset.json states about a generated problem; `truth` is what it was made from."""

    kind: Literal["tensors"] = "tensors"
    feature_width: int
    target_width: int
    truth: dict[str, Any]


class TextCard(Card):
    """What dataset.json states about texts.

    Attributes:
        task: What there is to learn.
        class_names: Empty where there are no classes.
        counts_per_class: Examples of each class; for TOKENS entities.
        pairs: Whether an example is two texts.
        longest: Characters of the longest example.
        truth: How they were made.
    """

    kind: Literal["texts"] = "texts"
    task: TextTask
    class_names: tuple[str, ...]
    counts_per_class: dict[Split, tuple[int, ...]]
    pairs: bool
    longest: int
    truth: dict[str, Any]


AnyCard = Annotated[ImageCard | TensorCard | TextCard, Field(discriminator="kind")]
_CARD: TypeAdapter[ImageCard | TensorCard | TextCard] = TypeAdapter(AnyCard)


@dataclass(frozen=True)
class PreparedDataset:
    """Prepared images, memory-mapped; see `components.datasets.prepare`."""

    card: ImageCard
    splits: Mapping[Split, Arrays]

    def count(self, split: Split) -> int:
        """Number of images in `split`."""
        return len(self.splits[split].labels)


@dataclass(frozen=True)
class PreparedTensors:
    """A prepared problem, in memory."""

    card: TensorCard
    splits: Mapping[Split, Tensors]


@dataclass(frozen=True)
class PreparedTexts:
    """Prepared labelled texts, in memory."""

    card: TextCard
    splits: Mapping[Split, Sequence[Text]]


Prepared = PreparedDataset | PreparedTensors | PreparedTexts
WHAT: Mapping[type, str] = {
    PreparedDataset: "images",
    PreparedTensors: "tensors of a generated problem",
    PreparedTexts: "texts",
}


def read_card(directory: Path) -> ImageCard | TensorCard | TextCard:
    """The card of a prepared dataset.

    Raises:
        CorruptDataError: If it is missing or is no card.
    """
    try:
        return _CARD.validate_json((directory / CARD).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _corrupt(directory, error) from None


def load(directory: Path) -> Prepared:
    """Open any prepared dataset; images are mapped, not read.

    Raises:
        CorruptDataError: If a file is missing or contradicts the card.
    """
    card = read_card(directory)
    try:
        if isinstance(card, ImageCard):
            return PreparedDataset(card, {s: _load_images(directory, s, card) for s in Split})
        if isinstance(card, TextCard):
            return PreparedTexts(card, {s: _load_texts(directory, s, card) for s in Split})
        return PreparedTensors(card, {s: _load_tensors(directory, s, card) for s in Split})
    except (OSError, ValueError, TypeError, EOFError) as error:
        raise _corrupt(directory, error) from None


def load_prepared(directory: Path) -> PreparedDataset:
    """Open prepared images without reading them.

    Args:
        directory: A folder written by `components.datasets.prepare.prepare`.

    Raises:
        CorruptDataError: If a file is missing or contradicts the card, or the data are no images.
    """
    prepared = load(directory)
    if not isinstance(prepared, PreparedDataset):
        raise CorruptDataError(
            f"dataset {prepared.card.name}",
            got=WHAT[type(prepared)],
            wanted="images with class labels",
            remedy="Choose an image dataset for this model.",
        )
    return prepared


def texts_file(split: Split) -> str:
    """Name of the file that holds the texts of a split."""
    return f"{split}.jsonl"


def _corrupt(directory: Path, error: Exception) -> CorruptDataError:
    return CorruptDataError(
        f"prepared dataset {directory}",
        got=" ".join(str(error).split()) or type(error).__name__,
        wanted="the arrays and the card that the prepare stage wrote",
        remedy="Delete the folder and run the data flow again.",
    )


def _load_images(directory: Path, split: Split, card: ImageCard) -> Arrays:
    images = _load_array(directory / f"{split}_images.npy", np.uint8, mapped=True)
    labels = _load_array(directory / f"{split}_labels.npy", np.int64, mapped=False)
    n = card.counts.get(split)
    if images.shape != (n, *card.image_shape) or labels.shape != (n,):
        raise ValueError(f"{split} images {images.shape} and labels {labels.shape}, card says {n}")
    if n and not (labels.min() >= 0 and labels.max() < len(card.class_names)):
        raise ValueError(f"{split} labels outside 0..{len(card.class_names) - 1}")
    if not len(card.mean) == len(card.std) == card.image_shape[0]:
        raise ValueError(f"{len(card.mean)} means for images {card.image_shape}")
    return Arrays(images, labels)


def _load_tensors(directory: Path, split: Split, card: TensorCard) -> Tensors:
    features = _load_array(directory / f"{split}_features.npy", np.float32, mapped=False)
    targets = _load_array(directory / f"{split}_targets.npy", np.float32, mapped=False)
    n = card.counts.get(split)
    if features.shape != (n, card.feature_width) or targets.shape != (n, card.target_width):
        raise ValueError(f"{split} {features.shape} and {targets.shape}, card says {n}")
    return Tensors(features, targets)


def _load_texts(directory: Path, split: Split, card: TextCard) -> Sequence[Text]:
    file = texts_file(split)
    with (directory / file).open(encoding="utf-8") as lines:  # splitlines() knows other ends, too
        texts = tuple(_text(json.loads(line)) for line in lines)
    if len(texts) != card.counts.get(split):
        raise ValueError(f"{len(texts)} texts in {file}, card says {card.counts.get(split)}")
    for number, text in enumerate(texts, 1):
        if problem := unfit(text, card.task, card.class_names):
            raise ValueError(f"line {number} of {file} has {problem}")
    return texts


def _text(fields: dict[str, Any]) -> Text:
    spans = tuple((int(start), int(end), str(name)) for start, end, name in fields.pop("spans", ()))
    return Text(**fields, spans=spans)


def unfit(text: Text, task: TextTask, class_names: Sequence[str]) -> str:
    """What an example has that its task cannot use, empty if nothing."""
    if task is TextTask.CLASSIFICATION and text.label not in class_names:
        return f"the unknown label {text.label!r}; known are {', '.join(class_names)}"
    if task is TextTask.GENERATION and not text.second:
        return "no second text, which is what should be written"
    if task is TextTask.SPANS and not text.second:
        return "no second text, in which the answer should stand"
    place = 0
    for start, end, name in text.spans:
        if not place <= start < end <= len(text.second if task is TextTask.SPANS else text.text):
            return f"the span {start} to {end}, which is empty, out of order or outside the text"
        if task is TextTask.TOKENS and name not in class_names:
            return f"the unknown class {name!r}; known are {', '.join(class_names)}"
        place = end
    return ""


def _load_array(path: Path, dtype: type[np.generic], *, mapped: bool) -> np.ndarray:
    # Not np.load, which would also open archives.
    if mapped:
        array: np.ndarray = np.lib.format.open_memmap(path, mode="r")
    else:
        with path.open("rb") as stream:
            array = np.lib.format.read_array(stream, allow_pickle=False)
    if array.dtype != dtype:
        raise ValueError(f"{path.name} is not an array of {dtype.__name__}")
    return array
