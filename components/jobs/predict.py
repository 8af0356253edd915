"""Classify files with a registered version, prepared as its training data were."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import nn

from components.datasets.archives import Member
from components.datasets.base import Float32Array, UInt8Array, Unreadable
from components.datasets.images import decode_many
from components.errors import ConfigError, CorruptDataError, DataError
from components.jobs.context import JobContext
from components.jobs.contracts import (
    Contract,
    ImageContract,
    Inputs,
    TextContract,
    bad_text,
    check_width,
    contract_of,
    parse_text,
    takes_texts,
    unit_images,
)
from components.models.spec import Pair
from components.tracking.base import ModelVersion

BATCH = 256
SHOWN = 3
TEXT_SUFFIXES = frozenset([".txt", ".jsonl"])
IMAGE_SUFFIXES = frozenset(
    [".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm"]
)


class Prediction(BaseModel):
    """What the model says of one file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str = Field(description="Of the file; of a text with the number of its line")
    class_name: str = Field(serialization_alias="class")
    probability: float = Field(description="Of that class, in [0, 1]")
    probabilities: dict[str, float] = Field(description="Of every class")

    def top(self, count: int) -> list[tuple[str, float]]:
        """The most probable classes, the first one first."""
        return sorted(self.probabilities.items(), key=lambda one: -one[1])[:count]


class Predictions(BaseModel):
    """What `nightforge predict` found; `skipped` files of the folders were of another kind."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    version: int
    run_id: str
    skipped: int
    predictions: tuple[Prediction, ...]


def predict(context: JobContext, version: ModelVersion, inputs: Sequence[Path]) -> Predictions:
    """Classify files and all fitting files below folders: images, or texts.

    Every file is read before the model is asked for anything.

    Raises:
        ConfigError: If an input does not exist, or there is nothing to classify.
        DataError: If a file cannot be read or is unusable.
        PromotionError: If the version is not a classifier that a night has evaluated.
        TrackingError: If it cannot be loaded.
    """
    model = context.registry.load(version) if takes_texts(version) else None
    contract = contract_of(context, version, model)
    if isinstance(contract, TextContract):
        files, skipped = find_files(inputs, TEXT_SUFFIXES)
        texts = read_texts(files)
        places = [text.place for text in texts]
        batch: Inputs = contract.tokeniser.encode([text.pair for text in texts])
    else:
        assert isinstance(contract, ImageContract)
        files, skipped = find_files(inputs, IMAGE_SUFFIXES)
        batch, places = unit_images(read_images(files, contract)), [str(path) for path in files]
    found = probabilities(model or context.registry.load(version), batch)
    check_width(version, found.shape[1], contract)
    return Predictions(
        model=version.name,
        version=version.version,
        run_id=version.run_id,
        skipped=skipped,
        predictions=tuple(
            said(place, row, contract) for place, row in zip(places, found, strict=True)
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


def find_files(inputs: Sequence[Path], suffixes: frozenset[str]) -> tuple[list[Path], int]:
    """Files that were named, and those below folders whose names end fittingly.

    Returns:
        The files, folders sorted by path, and how many others lie in the folders.

    Raises:
        ConfigError: If an input does not exist, or there is no such file.
    """
    files: list[Path] = []
    skipped = 0
    for given in inputs:
        if not given.exists():
            raise ConfigError(
                f"input {given}",
                got="nothing there",
                wanted="a file or a folder",
                remedy="Correct the path.",
            )
        if not given.is_dir():
            files.append(given)
            continue
        below = sorted(path for path in given.rglob("*") if path.is_file())
        fitting = [path for path in below if path.suffix.lower() in suffixes]
        files += fitting
        skipped += len(below) - len(fitting)
    if not files:
        raise ConfigError(
            "inputs",
            got=f"nothing to classify ({skipped} other files)",
            wanted="at least one file that ends in " + ", ".join(sorted(suffixes)),
            remedy="Name files or a folder with some.",
        )
    return files, skipped


@dataclass(frozen=True)
class PlacedText:
    """A text, or two, and where they stand."""

    place: str
    pair: Pair


def read_texts(paths: Sequence[Path]) -> list[PlacedText]:
    """The texts of files: one on each line, which may be JSON; empty lines are skipped.

    Raises:
        DataError: If a file cannot be read, or a text is unusable; it names file and line.
    """
    found = []
    for path in paths:
        try:
            lines = path.read_bytes().splitlines()
        except OSError as error:
            reason = error.strerror or str(error)
            raise _refused([Unreadable(str(path), reason)], len(paths), "text files") from error
        for number, line in enumerate(lines, 1):
            if line.strip():
                place = f"{path}:{number}"
                found.append(PlacedText(place, parse_text(line, place)))
    if not found:
        raise bad_text(", ".join(map(str, paths[:SHOWN])), "no text", "one on each line")
    return found


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


def read_images(paths: Sequence[Path], contract: ImageContract) -> UInt8Array:
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


def _refused(bad: Sequence[Unreadable], count: int, wanted: str = "image files") -> DataError:
    first = ", ".join(f"{item.path} ({item.reason})" for item in bad[:SHOWN])
    return CorruptDataError(
        "inputs",
        got=f"{len(bad)} unreadable of {count} files: {first}"
        + (" and others" if len(bad) > SHOWN else ""),
        wanted=wanted,
        remedy="Repair them or leave them out; nothing was predicted.",
    )


@torch.inference_mode()
def probabilities(model: nn.Module, inputs: Inputs) -> Float32Array:
    """(N, classes) probabilities for images (N, C, H, W) in [0, 1] or token ids (N, L)."""
    batches = torch.split(torch.from_numpy(inputs), BATCH)
    found: Float32Array = torch.cat([model(batch) for batch in batches]).softmax(1).numpy()
    return found
