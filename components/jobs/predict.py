"""Classify image files with a registered version, prepared as its training data were."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import nn

from components.datasets import DATASETS
from components.datasets.archives import Member
from components.datasets.base import Float32Array, PoolConfig, UInt8Array, Unreadable
from components.datasets.images import Colour, decode_many
from components.errors import (
    ConfigError,
    CorruptDataError,
    DataError,
    PromotionError,
    TrackingError,
    TrackingUnavailableError,
)
from components.evaluation.report import EvaluationReport
from components.jobs.context import JobContext, input_shape, registered_model
from components.jobs.evaluate import CANDIDATE_REPORT
from components.models.spec import ModelKind
from components.tracking.base import ModelVersion, Tag

BATCH = 256
SHOWN = 3
BLACK: Colour = (0, 0, 0)
ENDING = registered_model("", ModelKind.CLASSIFIER)  # of the name of every classifier
SUFFIXES = frozenset(
    [".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm"]
)


@dataclass(frozen=True)
class Contract:
    """What a classifier takes and says.

    Attributes:
        class_names: In the order of its scores.
        image_shape: (C, H, W).
        background: Red, green and blue behind transparent and missing parts of an image.
    """

    class_names: tuple[str, ...]
    image_shape: tuple[int, int, int]
    background: Colour


class Prediction(BaseModel):
    """What the model says of one file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str
    class_name: str = Field(serialization_alias="class")
    probability: float = Field(description="Of that class, in [0, 1]")
    probabilities: dict[str, float] = Field(description="Of every class")

    def top(self, count: int) -> list[tuple[str, float]]:
        """The most probable classes, the first one first."""
        return sorted(self.probabilities.items(), key=lambda one: -one[1])[:count]


class Predictions(BaseModel):
    """What `nightforge predict` found; `skipped` files of the folders were no images."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    version: int
    run_id: str
    skipped: int
    predictions: tuple[Prediction, ...]


def predict(context: JobContext, version: ModelVersion, inputs: Sequence[Path]) -> Predictions:
    """Classify image files and all image files below folders.

    Every file is decoded before the model is asked for anything.

    Raises:
        ConfigError: If an input does not exist, or there is no image.
        DataError: If a file cannot be read or is no image.
        PromotionError: If the version is not a classifier that a night has evaluated.
        TrackingError: If it cannot be loaded.
    """
    contract = contract_of(context, version)
    files, skipped = find_images(inputs)
    images = read_images(files, contract)
    found = probabilities(context.registry.load(version), images)
    check_width(version, found.shape[1], contract)
    return Predictions(
        model=version.name,
        version=version.version,
        run_id=version.run_id,
        skipped=skipped,
        predictions=tuple(
            said(str(path), row, contract) for path, row in zip(files, found, strict=True)
        ),
    )


def said(path: str, row: Float32Array, contract: Contract) -> Prediction:
    """The prediction for one image from its (classes,) probabilities."""
    best = int(row.argmax())
    named = dict(zip(contract.class_names, row.tolist(), strict=True))
    return Prediction(
        path=path,
        class_name=contract.class_names[best],
        probability=float(row[best]),
        probabilities=named,
    )


def contract_of(context: JobContext, version: ModelVersion) -> Contract:
    """What a version takes and says.

    Raises:
        PromotionError: If it is no classifier, or was never evaluated.
        TrackingError: If the server does not answer, or the version does not state its input.
    """
    if not version.name.endswith(ENDING):
        raise PromotionError(
            f"model {version.name}",
            got="a model that is not a classifier",
            wanted=f"one whose name ends in {ENDING}",
            remedy="Only classifiers take images and answer with a class.",
        )
    class_names = _class_names(context, version)
    label = f"model {version.name} version {version.version}"
    channels, height, width = input_shape(version.tags, label)
    return Contract(class_names, (channels, height, width), _background(context, version))


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
            got=f"{width} scores for an image",
            wanted=f"one for each of its {len(contract.class_names)} classes",
            remedy="Choose another version.",
        )


def find_images(inputs: Sequence[Path]) -> tuple[list[Path], int]:
    """Files that were named, and those below folders whose names end like an image's.

    Returns:
        The files, folders sorted by path, and how many others lie in the folders.

    Raises:
        ConfigError: If an input does not exist, or there is no image.
    """
    files: list[Path] = []
    skipped = 0
    for given in inputs:
        if not given.exists():
            raise ConfigError(
                f"input {given}",
                got="nothing there",
                wanted="an image file or a folder",
                remedy="Correct the path.",
            )
        if not given.is_dir():
            files.append(given)
            continue
        below = sorted(path for path in given.rglob("*") if path.is_file())
        images = [path for path in below if path.suffix.lower() in SUFFIXES]
        files += images
        skipped += len(below) - len(images)
    if not files:
        raise ConfigError(
            "inputs",
            got=f"no image ({skipped} other files)",
            wanted="at least one file that ends in " + ", ".join(sorted(SUFFIXES)),
            remedy="Name image files or a folder with some.",
        )
    return files, skipped


class _Files:
    """Files of this machine as the decoder wants them."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths

    def members(self) -> list[Member]:
        return [Member(PurePosixPath(path), path.stat().st_size) for path in self._paths]

    def read(self, member: Member) -> bytes:
        try:
            return Path(member.path).read_bytes()
        except OSError as error:
            unreadable = Unreadable(str(member.path), error.strerror or str(error))
            raise _refused([unreadable], len(self._paths)) from error

    def reopen(self) -> None:
        """Nothing is kept open."""


def read_images(paths: Sequence[Path], contract: Contract) -> UInt8Array:
    """Decode all files as the data preparation does: (N, C, H, W) uint8.

    Raises:
        DataError: If one cannot be read or is no image; it names the file.
    """
    images = np.zeros((len(paths), *contract.image_shape), np.uint8)
    channels, *size = contract.image_shape
    source, frame = _Files(paths), (size[0], size[1])
    bad = decode_many(source, source.members(), frame, channels, contract.background, images)
    if bad:
        raise _refused(bad, len(paths))
    return images


def _refused(bad: Sequence[Unreadable], count: int) -> DataError:
    first = ", ".join(f"{item.path} ({item.reason})" for item in bad[:SHOWN])
    return CorruptDataError(
        "inputs",
        got=f"{len(bad)} unreadable of {count} files: {first}"
        + (" and others" if len(bad) > SHOWN else ""),
        wanted="image files",
        remedy="Repair them or leave them out; nothing was predicted.",
    )


def unit_images(images: UInt8Array) -> torch.Tensor:
    """(N, C, H, W) float32 in [0, 1], with the arithmetic of the evaluation."""
    return torch.from_numpy(images).float().div_(255)


@torch.inference_mode()
def probabilities(model: nn.Module, images: UInt8Array) -> Float32Array:
    """(N, classes) probabilities for images (N, C, H, W) uint8."""
    starts = range(0, len(images), BATCH)
    scores = [model(unit_images(images[start : start + BATCH])) for start in starts]
    found: Float32Array = torch.cat(scores).softmax(1).numpy()
    return found
