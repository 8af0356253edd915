"""Images in class folders, of one archive or folder: what pokemon, sprites and own data share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated

import numpy as np
from pydantic import Field

from components.datasets.archives import Member, open_source
from components.datasets.base import (
    Arrays,
    Int64Array,
    RawImages,
    ReadRequest,
    SplitConfig,
    UInt8Array,
    Unreadable,
)
from components.datasets.decode_pool import decode_all
from components.datasets.prepare import blocks
from components.errors import CorruptDataError

TRAINING_FOLDERS = frozenset({"train", "training", "val", "valid", "validation"})
TEST_FOLDERS = frozenset({"test", "testing"})


class PoolConfig(SplitConfig):
    """For image files."""

    size: int = Field(
        64, ge=16, le=512, multiple_of=4, description="Height and width of prepared images, pixels"
    )
    grayscale: bool = Field(False, description="One channel instead of three")
    background: tuple[Annotated[int, Field(ge=0, le=255)], ...] = Field(
        (255, 255, 255),
        min_length=3,
        max_length=3,
        description="Red, green and blue from 0 to 255 behind transparent and missing parts",
    )
    max_unreadable: float = Field(
        0.01, ge=0, lt=1, description="Share of unreadable files above which the data are refused"
    )


@dataclass(frozen=True)
class Layout:
    """What the paths say.

    Attributes:
        class_names: Sorted.
        labels: (N,) int64.
        official_test: (N,) bool where the paths name a test part; None where they do not.
    """

    class_names: tuple[str, ...]
    labels: Int64Array
    official_test: np.ndarray | None


def layout(paths: Sequence[PurePosixPath], title: str) -> Layout:
    """Read classes, and a test part if there is one, off the images' paths.

    An image's class is the folder it lies in. Where the folders above the classes are all called
    train, validation, test or the like, and test is among them, that is the test split.

    Args:
        paths: As in the source: [anything/][train|test/]CLASS/IMAGE.
        title: For error messages.

    Raises:
        CorruptDataError: If there is no image, one without a class folder, or only one class.
    """
    if not paths:
        raise _refused(title, "no image", "images in class folders")
    for path in paths:
        if len(path.parts) < 2:
            raise _refused(title, f"{path} outside of any class folder", "CLASS/IMAGE")
    classes = [path.parts[-2] for path in paths]
    names = tuple(sorted(set(classes)))
    if len(names) < 2:
        raise _refused(title, f"one class only ({names[0]!r})", "at least two class folders")
    number = {name: index for index, name in enumerate(names)}
    labels = np.array([number[name] for name in classes], dtype=np.int64)
    above = [path.parts[-3].lower() if len(path.parts) > 2 else "" for path in paths]
    test = np.array([folder in TEST_FOLDERS for folder in above])
    official = test.any() and all(folder in TRAINING_FOLDERS | TEST_FOLDERS for folder in above)
    return Layout(names, labels, test if official else None)


def read_pool(source: Path, request: ReadRequest[PoolConfig], title: str) -> RawImages:
    """Decode every image of a folder or archive to one size.

    Args:
        source: The folder or archive.
        request: Size, channels, background and the share of unreadable files that is accepted.
        title: For error messages.

    Returns:
        Images (N, C, size, size) uint8 in the order of their paths, mapped from the scratch
        folder: however many there are, memory holds few of them.

    Raises:
        CorruptDataError: If the source is hostile, or too many files are unreadable.
    """
    config = request.config
    with open_source(source) as opened:
        members = opened.members()
        found = layout([member.path for member in members], title)
        shape = (len(members), 1 if config.grayscale else 3, config.size, config.size)
        path = request.scratch / "images.npy"
        images = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)
        background = (config.background[0], config.background[1], config.background[2])
        unreadable = decode_all(opened, members, background, images)
    _refuse_too_many(unreadable, members, config.max_unreadable, title)
    bad = {item.path for item in unreadable}
    keep = np.array([str(member.path) not in bad for member in members])
    kept = _compacted(images, keep)
    whole = Arrays(kept, found.labels[keep])
    if found.official_test is None:
        return RawImages(found.class_names, whole, None, tuple(unreadable))
    test = found.official_test[keep]
    return RawImages(
        found.class_names,
        Arrays(_taken(kept, ~test, request.scratch / "train.npy"), whole.labels[~test]),
        Arrays(_taken(kept, test, request.scratch / "test.npy"), whole.labels[test]),
        tuple(unreadable),
    )


def _refuse_too_many(
    unreadable: Sequence[Unreadable], members: Sequence[Member], limit: float, title: str
) -> None:
    if len(unreadable) <= limit * len(members):
        return
    first = ", ".join(f"{item.path} ({item.reason})" for item in unreadable[:3])
    raise CorruptDataError(
        title,
        got=f"{len(unreadable)} unreadable files among {len(members)}: {first}"
        + (" and others" if len(unreadable) > 3 else ""),
        wanted=f"at most {limit:.1%} (max_unreadable)",
        remedy="Remove or repair them, or raise max_unreadable.",
    )


def _compacted(images: UInt8Array, keep: np.ndarray) -> UInt8Array:
    """Close the gaps in place; every row moves to a lower place, so none is overwritten unread."""
    chosen = np.flatnonzero(keep)
    if len(chosen) < len(images):
        for rows in blocks(images, len(chosen)):
            images[rows] = images[chosen[rows]]
    return images[: len(chosen)]


def _taken(images: UInt8Array, mask: np.ndarray, path: Path) -> UInt8Array:
    chosen = np.flatnonzero(mask)
    shape = (len(chosen), *images.shape[1:])
    out = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)
    for rows in blocks(images, len(chosen)):
        out[rows] = images[chosen[rows]]
    return out


def _refused(title: str, got: str, wanted: str) -> CorruptDataError:
    return CorruptDataError(
        title,
        got=got,
        wanted=wanted,
        remedy="Put every image into a folder that is named after its class.",
    )
