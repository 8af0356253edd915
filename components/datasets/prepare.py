"""From raw files to arrays that load memory-mapped: split, measured, written atomically."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import numpy as np

from components.datasets.base import (
    CARD,
    Arrays,
    DataConfig,
    DatasetCard,
    DatasetSpec,
    Int64Array,
    Split,
    UInt8Array,
)
from components.errors import CorruptDataError


def prepare(spec: DatasetSpec, config: DataConfig, raw: Path, destination: Path) -> None:
    """Write the prepared form of a raw dataset into the empty folder `destination`.

    For each split `<split>_images.npy` (N, C, H, W) uint8 and `<split>_labels.npy` (N,) int64,
    and `dataset.json` with names, counts and the training images' mean and standard deviation
    (of pixel values scaled to [0, 1]). The same raw files and configuration give the same bytes.

    Raises:
        DataError: If the raw files are not usable.
    """
    train, test = spec.read(raw)
    rank = content_rank(train.images, config.seed)
    rank_test = content_rank(test.images, config.seed)
    if shared := len(np.intersect1d(rank, rank_test)):
        raise CorruptDataError(
            spec.title,
            got=f"{shared} images that are in the training and in the test part",
            wanted="disjoint parts",
            remedy="Remove them from the training part at the source.",
        )
    held_out = choose_by_rank(rank, train.labels, config.validation_fraction)
    splits = {
        Split.TRAIN: _take(train, ~held_out),
        Split.VALIDATION: _take(train, held_out),
        Split.TEST: test,
    }
    for split, arrays in splits.items():
        np.save(destination / f"{split}_images.npy", arrays.images, allow_pickle=False)
        np.save(destination / f"{split}_labels.npy", arrays.labels, allow_pickle=False)
    mean, std = pixel_statistics(splits[Split.TRAIN].images)
    card = DatasetCard(
        name=spec.name,
        title=spec.title,
        licence=spec.licence,
        homepage=spec.homepage,
        sample=spec.sample,
        class_names=spec.class_names,
        image_shape=spec.image_shape,
        counts={split: len(arrays.labels) for split, arrays in splits.items()},
        counts_per_class={
            split: tuple(np.bincount(arrays.labels, minlength=len(spec.class_names)).tolist())
            for split, arrays in splits.items()
        },
        mean=mean,
        std=std,
    )
    (destination / CARD).write_text(card.model_dump_json(indent=2) + "\n", encoding="utf-8")


def _take(arrays: Arrays, keep: np.ndarray) -> Arrays:
    return Arrays(arrays.images[keep], arrays.labels[keep])


def content_rank(images: UInt8Array, seed: int) -> np.ndarray:
    """A pseudo-random uint64 for each image that depends on its bytes and the seed alone.

    Byte-identical images get the same rank, so a split by rank never separates them.
    """
    key = seed.to_bytes(8, "little")
    digests = (
        hashlib.blake2b(image.tobytes(), digest_size=8, key=key).digest() for image in images
    )
    return np.frombuffer(b"".join(digests), np.uint64)


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


def pixel_statistics(images: UInt8Array) -> tuple[float, float]:
    """Mean and standard deviation of pixel values scaled to [0, 1], exactly, from counts."""
    counts = np.bincount(images.reshape(-1), minlength=256).astype(np.float64)
    values = np.arange(256) / 255
    mean = float((counts * values).sum() / counts.sum())
    variance = float((counts * (values - mean) ** 2).sum() / counts.sum())
    return mean, variance**0.5


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
