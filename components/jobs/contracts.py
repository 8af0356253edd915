"""What a registered classifier takes and says: images, or texts."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from components.datasets import DATASETS
from components.datasets.image_pool import PoolConfig
from components.datasets.images import Colour, decode
from components.datasets.rows import unusable
from components.errors import (
    CorruptDataError,
    PromotionError,
    TrackingError,
    TrackingUnavailableError,
)
from components.evaluation.report import EvaluationReport
from components.jobs.context import JobContext, input_shape, registered_model
from components.jobs.evaluate import CANDIDATE_REPORT
from components.models.spec import ModelKind, Pair
from components.tracking.base import ModelVersion, Tag

if TYPE_CHECKING:
    from torch import nn

    from components.text.tokeniser import FastTokeniser

Inputs = npt.NDArray[np.float32] | npt.NDArray[np.int64]
BLACK: Colour = (0, 0, 0)
ENDING = registered_model("", ModelKind.CLASSIFIER)  # of the name of every classifier


@dataclass(frozen=True)
class Contract(ABC):
    """What a classifier takes and says.

    Attributes:
        class_names: In the order of its scores.
    """

    class_names: tuple[str, ...]

    @property
    @abstractmethod
    def input_shape(self) -> tuple[int, ...]:
        """Of one input."""

    @abstractmethod
    def read(self, data: bytes) -> Inputs:
        """A batch of one from what a client sent.

        Raises:
            CorruptDataError: If it is not what the model takes.
        """

    @abstractmethod
    def blank(self, count: int) -> Inputs:
        """A batch to try the model on."""


@dataclass(frozen=True)
class ImageContract(Contract):
    """Of a classifier of images.

    Attributes:
        image_shape: (C, H, W).
        background: Red, green and blue behind transparent and missing parts of an image.
    """

    image_shape: tuple[int, int, int]
    background: Colour

    @property
    def input_shape(self) -> tuple[int, ...]:
        """See `Contract`."""
        return self.image_shape

    def read(self, data: bytes) -> Inputs:
        """See `Contract`: one image file."""
        channels, height, width = self.image_shape
        image = decode(data, (height, width), channels, self.background)
        return unit_images(image[None].copy())

    def blank(self, count: int) -> Inputs:
        """See `Contract`: black images."""
        return np.zeros((count, *self.image_shape), np.float32)


@dataclass(frozen=True)
class TextContract(Contract):
    """Of a classifier of texts."""

    tokeniser: FastTokeniser

    @property
    def input_shape(self) -> tuple[int, ...]:
        """See `Contract`."""
        return (self.tokeniser.length,)

    def read(self, data: bytes) -> Inputs:
        """See `Contract`: a text, or JSON with text and second."""
        return self.tokeniser.encode([parse_text(data, "the text")])

    def blank(self, count: int) -> Inputs:
        """See `Contract`: texts of one word."""
        return self.tokeniser.encode([("text", "")] * count)


def unit_images(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """(N, C, H, W) float32 in [0, 1], with the arithmetic of the evaluation."""
    return images.astype(np.float32) / np.float32(255)


def parse_text(data: bytes, place: str) -> Pair:
    """One example: a text, or a JSON object with text and perhaps second.

    Args:
        data: UTF-8.
        place: How a person finds it, for the message.

    Raises:
        CorruptDataError: If it is empty, far too long, not UTF-8, or another object.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise bad_text(place, f"{data[error.start]:#04x} at byte {error.start}", "UTF-8") from None
    if not text.lstrip().startswith("{"):
        return check_pair((text.strip(), ""), place)
    try:
        found = json.loads(text)
    except ValueError as error:
        raise bad_text(place, " ".join(str(error).split()), "one JSON object") from None
    return pair_of(found, place)


def pair_of(found: Mapping[str, Any], place: str) -> Pair:
    """The text and the second text of a JSON object.

    Raises:
        CorruptDataError: If they are not there, or unusable.
    """
    text, second = found.get("text"), found.get("second", "")
    if not isinstance(text, str) or not isinstance(second, str):
        names = ", ".join(map(repr, found)) or "an empty object"
        raise bad_text(place, names, "the string 'text', and perhaps 'second'")
    return check_pair((text.strip(), second.strip()), place)


def check_pair(pair: Pair, place: str) -> Pair:
    """Refuse what no answer could be given about."""
    got, wanted = unusable(*pair)
    if got:
        raise bad_text(place, got, wanted)
    return pair


def bad_text(place: str, got: str, wanted: str) -> CorruptDataError:
    """The error about a text that cannot be classified."""
    return CorruptDataError(
        place, got=got, wanted=wanted, remedy="Correct it or leave it out; nothing was predicted."
    )


def takes_texts(version: ModelVersion) -> bool:
    """Whether a version classifies texts rather than images."""
    return version.tags.get(Tag.KIND) == ModelKind.TEXT_CLASSIFIER


def contract_of(
    context: JobContext, version: ModelVersion, model: nn.Module | None = None
) -> Contract:
    """What a version takes and says.

    Args:
        context: Where its report and its data are.
        version: A classifier.
        model: Itself, where it is loaded already; a text model carries its tokeniser.

    Raises:
        PromotionError: If it is no classifier, or was never evaluated.
        TrackingError: If the server does not answer, or the version does not state its input.
    """
    if not version.name.endswith(ENDING):
        raise PromotionError(
            f"model {version.name}",
            got="a model that is not a classifier",
            wanted=f"one whose name ends in {ENDING}",
            remedy="Only classifiers take images or texts and answer with a class.",
        )
    class_names = _class_names(context, version)
    label = f"model {version.name} version {version.version}"
    if takes_texts(version):
        # Only text models need Hugging Face's libraries.
        from components.text.deployable import tokeniser_of

        return TextContract(
            class_names, tokeniser_of(model or context.registry.load(version), label)
        )
    channels, height, width = input_shape(version.tags, label)
    shape = channels, height, width
    return ImageContract(class_names, shape, _background(context, version))


def _background(context: JobContext, version: ModelVersion) -> Colour:
    """That of the data it was trained on; where this machine does not know them, the usual one."""
    dataset = version.name.removesuffix(ENDING)
    for record in context.workspace.ledger.records(dataset):
        if record.version == version.tags.get(Tag.DATASET_VERSION):
            red, green, blue = record.section.get("prepare", {}).get("background", BLACK)
            return red, green, blue
    own = dataset not in DATASETS
    prepared = PoolConfig if own else DATASETS.get(dataset).prepare_config
    field = prepared.model_fields.get("background")
    red, green, blue = field.default if field else BLACK
    return red, green, blue


def _class_names(context: JobContext, version: ModelVersion) -> tuple[str, ...]:
    try:
        text = context.tracker.read_text(version.run_id, CANDIDATE_REPORT)
    except TrackingUnavailableError:
        raise
    except TrackingError as error:
        raise PromotionError(
            f"model {version.name} version {version.version}",
            got=f"no {CANDIDATE_REPORT} in its run, where the names of its classes stand",
            wanted="a version that a night has evaluated",
            remedy="Choose another version.",
        ) from error
    return EvaluationReport.model_validate_json(text).class_names


def check_width(version: ModelVersion, width: int, contract: Contract) -> None:
    """Refuse a model whose scores are not one for each class.

    Raises:
        PromotionError: If the numbers differ.
    """
    if width != len(contract.class_names):
        raise PromotionError(
            f"model {version.name} version {version.version}",
            got=f"{width} scores for one input",
            wanted=f"one for each of its {len(contract.class_names)} classes",
            remedy="Choose another version.",
        )
