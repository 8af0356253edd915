"""From raw files to arrays that load memory-mapped: split, measured, written atomically."""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from components.datasets.base import (
    Arrays,
    DatasetSpec,
    HoldOutConfig,
    Int64Array,
    PrepareConfig,
    RawImages,
    RawTensors,
    RawTexts,
    ReadRequest,
    Split,
    SplitConfig,
    Text,
    UInt8Array,
)
from components.datasets.prepared import CARD, Card, ImageCard, TensorCard, TextCard, texts_file
from components.errors import CorruptDataError

BLOCK_BYTES = 4 << 20  # pixels handled at a time, so that no second copy of a split is in memory

T = TypeVar("T")
Masks = Mapping[Split, np.ndarray]


def prepare(spec: DatasetSpec, config: PrepareConfig, raw: Path, destination: Path) -> None:
    """Write the prepared form of a raw dataset into the empty folder `destination`.

    Images: for each split `<split>_images.npy` (N, C, H, W) uint8 and `<split>_labels.npy` (N,)
    int64. Tensors: `<split>_features.npy` (N, d) and `<split>_targets.npy` (N, k), float32. Texts:
    `<split>.jsonl`, an object with text, label and second on each line. `dataset.json` is the card.
    The same raw files and configuration give the same bytes.

    Raises:
        DataError: If the raw files are not usable.
    """
    with tempfile.TemporaryDirectory(dir=destination.parent, prefix="scratch-") as scratch:
        data = spec.read(ReadRequest(raw, config, Path(scratch)))
        if isinstance(data, RawTensors):
            card: Card = _write_tensors(spec, data, destination)
        elif isinstance(data, RawTexts):
            card = _write_texts(spec, data, destination)
        else:
            card = _write_images(spec, config, data, destination)
    (destination / CARD).write_text(card.model_dump_json(indent=2) + "\n", encoding="utf-8")


def _write_tensors(spec: DatasetSpec, data: RawTensors, destination: Path) -> TensorCard:
    for split, tensors in data.splits.items():
        np.save(destination / f"{split}_features.npy", tensors.features, allow_pickle=False)
        np.save(destination / f"{split}_targets.npy", tensors.targets, allow_pickle=False)
    train = data.splits[Split.TRAIN]
    return TensorCard(
        **_identity(spec),
        counts={split: len(tensors.features) for split, tensors in data.splits.items()},
        feature_width=train.features.shape[1],
        target_width=train.targets.shape[1],
        truth=dict(data.truth),
    )


def _write_texts(spec: DatasetSpec, data: RawTexts, destination: Path) -> TextCard:
    counts = {}
    for split, texts in data.splits.items():
        lines = [json.dumps(_filled(text), ensure_ascii=False) + "\n" for text in texts]
        (destination / texts_file(split)).write_text("".join(lines), encoding="utf-8")
        found = Counter(text.label for text in texts)
        found.update(name for text in texts for _, _, name in text.spans)
        counts[split] = tuple(found[name] for name in data.class_names)
    texts = [text for split in data.splits.values() for text in split]
    return TextCard(
        **_identity(spec),
        counts={split: len(texts) for split, texts in data.splits.items()},
        counts_per_class=counts,
        task=data.task,
        class_names=data.class_names,
        pairs=any(text.second for text in texts),
        longest=max(len(text.text) + len(text.second) for text in texts),
        truth=dict(data.truth),
    )


def _filled(text: Text) -> dict[str, object]:
    """The fields that an example has."""
    return {name: value for name, value in asdict(text).items() if value}


def _identity(spec: DatasetSpec) -> dict[str, Any]:
    return {key: getattr(spec, key) for key in ("name", "title", "licence", "homepage", "sample")}


def _write_images(
    spec: DatasetSpec, config: PrepareConfig, data: RawImages, destination: Path
) -> ImageCard:
    assert isinstance(config, HoldOutConfig)
    rank = content_rank(data.train.images, config.seed)
    if data.test is None:
        assert isinstance(config, SplitConfig)
        masks, shared = split_by_threshold(rank, config), 0
        parts = dict.fromkeys(Split, data.train)
    else:
        masks, shared = _split_official(rank, data.train.labels, data.test, config)
        parts = dict.fromkeys(Split, data.train) | {Split.TEST: data.test}
    _refuse_unusable(spec, masks, data)
    for split, mask in masks.items():
        _write_split(destination, split, parts[split], mask)
    train = np.lib.format.open_memmap(destination / f"{Split.TRAIN}_images.npy", mode="r")
    mean, std = pixel_statistics(train)
    return ImageCard(
        **_identity(spec),
        class_names=data.class_names,
        image_shape=train.shape[1:],
        counts={split: int(mask.sum()) for split, mask in masks.items()},
        counts_per_class={
            split: _class_counts(parts[split].labels[mask], len(data.class_names))
            for split, mask in masks.items()
        },
        mean=mean,
        std=std,
        duplicates=len(rank) - len(np.unique(rank)),
        shared_with_test=shared,
        unreadable=data.unreadable,
    )


def _class_counts(labels: np.ndarray, classes: int) -> tuple[int, ...]:
    return tuple(np.bincount(labels, minlength=classes).tolist())


def _write_split(destination: Path, split: Split, arrays: Arrays, mask: np.ndarray) -> None:
    chosen = np.flatnonzero(mask)
    shape = (len(chosen), *arrays.images.shape[1:])
    path = destination / f"{split}_images.npy"
    out = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)

    def copy(rows: slice) -> None:
        # Not "raise": that goes through a buffer; the rows are known to exist.
        np.take(arrays.images, chosen[rows], axis=0, out=out[rows], mode="clip")

    _in_threads(copy, blocks(arrays.images, len(chosen)))
    np.save(destination / f"{split}_labels.npy", arrays.labels[mask], allow_pickle=False)


def _split_official(
    rank: np.ndarray, labels: Int64Array, test: Arrays, config: HoldOutConfig
) -> tuple[Masks, int]:
    """The source's test part stays whole; what it shares with the training part leaves that."""
    shared = np.isin(rank, content_rank(test.images, config.seed))
    held_out = choose_by_rank(rank, labels, config.validation_fraction) & ~shared
    masks = {
        Split.TRAIN: ~held_out & ~shared,
        Split.VALIDATION: held_out,
        Split.TEST: np.ones(len(test.labels), dtype=bool),
    }
    return masks, int(shared.sum())


def split_by_threshold(rank: np.ndarray, config: SplitConfig) -> Masks:
    """Split by the examples' own hashes, so that growing data never move one to another split.

    Args:
        rank: (N,) uint64 as from `content_rank`.
        config: The shares; they are met on average.

    Returns:
        For each split, (N,) bool; all copies of an example are in the same one.
    """
    place = rank / 2.0**64
    test = place < config.test_fraction
    validation = ~test & (place < config.test_fraction + config.validation_fraction)
    return {Split.TRAIN: ~test & ~validation, Split.VALIDATION: validation, Split.TEST: test}


def _in_threads(work: Callable[[slice], T], slices: Iterator[slice]) -> list[T]:
    """Results in order; hashing, sums and copies of arrays free the interpreter's lock."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(work, slices))


def blocks(images: UInt8Array, count: int) -> Iterator[slice]:
    """Slices of at most BLOCK_BYTES of images (but at least one image) that cover `count` rows."""
    step = max(1, BLOCK_BYTES // max(1, math.prod(images.shape[1:])))
    for start in range(0, count, step):
        yield slice(start, min(start + step, count))


def _refuse_unusable(spec: DatasetSpec, masks: Masks, data: RawImages) -> None:
    counts = {str(split): int(mask.sum()) for split, mask in masks.items()}
    problem = None
    if len(data.class_names) < 2:
        problem = f"{len(data.class_names)} class", "at least two classes"
    elif not all(counts.values()):
        problem = f"splits of {counts} images", "at least one image in each split"
    if problem:
        raise CorruptDataError(
            spec.title,
            got=problem[0],
            wanted=problem[1],
            remedy="Add images, or raise validation_fraction and test_fraction.",
        )


def content_rank(images: UInt8Array, seed: int) -> np.ndarray:
    """A pseudo-random uint64 for each image that depends on its bytes and the seed alone.

    Byte-identical images get the same rank, so a split by rank never separates them.
    """
    key = seed.to_bytes(8, "little")

    def digests(rows: slice) -> bytes:
        return b"".join(
            hashlib.blake2b(image.tobytes(), digest_size=8, key=key).digest()
            for image in images[rows]
        )

    return np.frombuffer(b"".join(_in_threads(digests, blocks(images, len(images)))), np.uint64)


def choose_by_rank(rank: np.ndarray, labels: Int64Array, fraction: float) -> np.ndarray:
    """Hold out about `fraction` of each class: the images with the lowest ranks.

    Args:
        rank: (N,) as from `content_rank`.
        labels: (N,) class of each image.
        fraction: Share to hold out, in (0, 1).

    Returns:
        (N,) bool; all copies of an image are on the same side, whatever their labels.
    """
    held_out = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        of_class = np.flatnonzero(labels == label)
        ordered = of_class[np.argsort(rank[of_class], kind="stable")]
        held_out[ordered[: round(len(of_class) * fraction)]] = True
    outside = np.unique(rank[~held_out])
    return held_out & ~np.isin(rank, outside)


def pixel_statistics(images: UInt8Array) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of pixels scaled to [0, 1], for each channel, exactly.

    Args:
        images: (N, C, H, W) uint8.

    Returns:
        C means and C standard deviations; a channel of one value has the deviation 1 / 255, so
        that dividing by it is possible.
    """
    channels = images.shape[1]

    def sums(rows: slice) -> np.ndarray:
        pixels = images[rows].reshape(-1, channels, math.prod(images.shape[2:]))
        squares = np.square(pixels, dtype=np.uint16)
        return np.stack([part.sum((0, 2), dtype=np.uint64) for part in (pixels, squares)])

    total: np.ndarray = np.sum(_in_threads(sums, blocks(images, len(images))), axis=0)
    count = images.size // channels
    means, deviations = [], []
    for first, second in total.T.tolist():
        means.append(first / (255 * count))
        # In whole numbers, so that nothing cancels out.
        variance = (count * second - first * first) / (count * count)
        deviations.append(variance**0.5 / 255 if variance else 1 / 255)
    return tuple(means), tuple(deviations)


def recover_directory(target: Path) -> None:
    """Bring back what a kill in the middle of `replace_directory` left under its other name."""
    old = target.with_name(target.name + ".old")
    if old.exists() and not target.exists():
        os.rename(old, target)


def replace_directory(new: Path, target: Path) -> None:
    """Put folder `new` in the place of `target`; what was there survives until it is."""
    recover_directory(target)
    old = target.with_name(target.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        os.rename(target, old)
    os.rename(new, target)
    shutil.rmtree(old, ignore_errors=True)
