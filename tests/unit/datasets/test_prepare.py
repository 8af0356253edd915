from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.datasets.base import Arrays, HoldOutConfig, RawImages, Split
from components.datasets.fashion_mnist import CLASS_NAMES
from components.datasets.fashion_mnist_sample import SPEC
from components.datasets.prepare import (
    choose_by_rank,
    content_rank,
    pixel_statistics,
    prepare,
    replace_directory,
)
from components.datasets.prepared import CARD, load_prepared
from components.errors import ConfigError, CorruptDataError
from components.params import check

CONFIG = HoldOutConfig(validation_fraction=0.2)


def pictures(n: int, seed: int = 0) -> Arrays:
    images = np.random.default_rng(seed).integers(0, 256, (n, 1, 28, 28)).astype(np.uint8)
    return Arrays(images, (np.arange(n) % 10).astype(np.int64))


def prepared(folder: Path, train: Arrays, test: Arrays, config: HoldOutConfig = CONFIG) -> Path:
    folder.mkdir(parents=True)
    raw = RawImages(CLASS_NAMES, train, test)
    prepare(replace(SPEC, read=lambda request: raw), config, folder, folder)
    return folder


def sums(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.iterdir())}


def rows(arrays: Arrays) -> set[bytes]:
    return {image.tobytes() for image in arrays.images}


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    one = prepared(tmp_path / "a", pictures(200), pictures(50, 1))
    two = prepared(tmp_path / "b", pictures(200), pictures(50, 1))
    assert sums(one) == sums(two)
    assert set(sums(one)) == {CARD} | {f"{s}_{k}.npy" for s in Split for k in ("images", "labels")}


def test_another_seed_gives_another_split_of_the_same_images(tmp_path: Path) -> None:
    splits = []
    for seed in (0, 1):
        config = HoldOutConfig(validation_fraction=0.2, seed=seed)
        folder = prepared(tmp_path / str(seed), pictures(200), pictures(50, 1), config)
        splits.append(load_prepared(folder).splits)
    held_out = [rows(split[Split.VALIDATION]) for split in splits]
    assert held_out[0] != held_out[1]
    both = [rows(split[Split.TRAIN]) | rows(split[Split.VALIDATION]) for split in splits]
    assert both[0] == both[1]


def test_validation_takes_its_share_of_every_class_and_test_is_left_alone(tmp_path: Path) -> None:
    test = pictures(50, 1)
    data = load_prepared(prepared(tmp_path / "a", pictures(200), test))
    assert {split: data.count(split) for split in Split} == {
        "train": 160,
        "validation": 40,
        "test": 50,
    }
    assert np.bincount(data.splits[Split.VALIDATION].labels).tolist() == [4] * 10
    assert np.array_equal(data.splits[Split.TEST].images, test.images)
    assert not rows(data.splits[Split.TRAIN]) & rows(data.splits[Split.VALIDATION])


def test_images_keep_their_labels(tmp_path: Path) -> None:
    train = pictures(200)
    known = {i.tobytes(): label for i, label in zip(train.images, train.labels, strict=True)}
    data = load_prepared(prepared(tmp_path / "a", train, pictures(50, 1)))
    for split in (Split.TRAIN, Split.VALIDATION):
        arrays = data.splits[split]
        for image, label in zip(arrays.images, arrays.labels, strict=True):
            assert known[image.tobytes()] == label


@settings(max_examples=50, deadline=None)
@given(
    copies=st.lists(st.integers(0, 11), min_size=1, max_size=80),
    labels=st.data(),
    fraction=st.floats(0.01, 0.99),
    seed=st.integers(0, 2**31),
)
def test_copies_of_an_image_are_never_on_both_sides(copies, labels, fraction, seed) -> None:
    base = np.random.default_rng(0).integers(0, 256, (12, 1, 2, 2)).astype(np.uint8)
    images = base[copies]
    drawn = labels.draw(st.lists(st.integers(0, 2), min_size=len(copies), max_size=len(copies)))
    rank = content_rank(images, seed)
    held_out = choose_by_rank(rank, np.array(drawn), fraction)
    inside, outside = (rows(Arrays(images[side], images)) for side in (held_out, ~held_out))
    assert not inside & outside


def test_the_rank_depends_on_bytes_and_seed_alone() -> None:
    images = pictures(20).images
    rank = content_rank(images, 3)
    assert np.array_equal(content_rank(images[::-1], 3), rank[::-1])
    assert len(set(rank.tolist())) == 20
    assert not np.array_equal(content_rank(images, 4), rank)


@pytest.mark.parametrize("seed", [2**31 - 1, 2**64])
def test_a_seed_is_either_refused_or_can_be_used(seed: int) -> None:
    try:
        config = check(HoldOutConfig, {"seed": seed}, "data.toy")
    except ConfigError:
        return
    assert len(content_rank(pictures(2).images, config.seed)) == 2


def test_an_image_of_the_test_part_leaves_the_training_part(tmp_path: Path) -> None:
    train, test = pictures(200), pictures(50, 1)
    train.images[17] = test.images[3]
    data = load_prepared(prepared(tmp_path / "a", train, test))
    assert data.card.shared_with_test == 1
    assert data.count(Split.TRAIN) + data.count(Split.VALIDATION) == 199
    for split in (Split.TRAIN, Split.VALIDATION):
        assert not rows(data.splits[split]) & rows(data.splits[Split.TEST])


def test_pixel_statistics_are_those_of_numpy() -> None:
    images = pictures(30).images
    colour = np.concatenate([images, images // 2, images * 0 + 9], axis=1)
    mean, std = pixel_statistics(colour)
    unit = colour / 255
    assert mean == pytest.approx(unit.mean((0, 2, 3)), rel=1e-12)
    assert std[:2] == pytest.approx(unit.std((0, 2, 3))[:2], rel=1e-12)
    assert std[2] == 1 / 255  # a constant channel can still be divided by


def test_the_card_counts_every_class(tmp_path: Path) -> None:
    folder = prepared(tmp_path / "a", pictures(200), pictures(50, 1))
    card = json.loads((folder / CARD).read_text("utf-8"))
    assert card["counts"] == {"train": 160, "validation": 40, "test": 50}
    assert card["counts_per_class"]["test"] == [5] * 10
    assert card["sample"] is True
    assert card["licence"] == "MIT"


# Reading back


def card_with(**changes: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        card = json.loads((folder / CARD).read_text("utf-8"))
        (folder / CARD).write_text(json.dumps(card | changes), encoding="utf-8")

    return change


def card_text(text: str) -> Callable[[Path], None]:
    return lambda folder: (folder / CARD).write_text(text, encoding="utf-8") and None


def array(name: str, make: Callable[[np.ndarray], np.ndarray]) -> Callable[[Path], None]:
    return lambda folder: np.save(folder / f"{name}.npy", make(np.load(folder / f"{name}.npy")))


def raw(name: str, make: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / f"{name}.npy"
        path.write_bytes(make(path.read_bytes()))

    return change


def zipped(folder: Path) -> None:
    with (folder / "test_labels.npy").open("wb") as stream:
        np.savez(stream, labels=np.zeros(50, np.int64))


DAMAGES = {
    "no card": lambda folder: (folder / CARD).unlink(),
    "card is no JSON": card_text("{"),
    "card is a list": card_text("[]"),
    "card is a number": card_text("3"),
    "counts are no mapping": card_with(counts=3),
    "counts lack a split": card_with(counts={"train": 160}),
    "a count is wrong": card_with(counts={"train": 160, "validation": 41, "test": 50}),
    "class names are no list": card_with(class_names="shoes"),
    "shape is no list": card_with(image_shape=None),
    "shape is another": card_with(image_shape=[3, 28, 28]),
    "mean is no number": card_with(mean=["grey"]),
    "deviation is zero": card_with(std=[0.0]),
    "deviation is not finite": card_with(std=[float("nan")]),
    "images are missing": lambda folder: (folder / "train_images.npy").unlink(),
    "labels are missing": lambda folder: (folder / "test_labels.npy").unlink(),
    "images of another type": array("train_images", lambda a: a.astype(np.float32)),
    "images of another shape": array("validation_images", lambda a: a[:, 0]),
    "an image is missing": array("validation_images", lambda a: a[1:]),
    "labels of another type": array("test_labels", lambda a: a.astype(np.int32)),
    "a label too high": array("test_labels", lambda a: a + 1),
    "a label below zero": array("test_labels", lambda a: a - 1),
    "labels of another shape": array("test_labels", lambda a: a[:, None]),
    "images truncated": raw("train_images", lambda data: data[:-1]),
    "labels truncated": raw("train_labels", lambda data: data[:-1]),
    "a file without content": raw("test_labels", lambda data: b""),
    "a file without a header": raw("train_images", lambda data: data[:20]),
    "a file that is not numpy's": raw("test_labels", lambda data: b"x" * 200),
    "an archive in place of an array": zipped,
    "pickled objects": array("test_labels", lambda a: np.array([{}, []], dtype=object)),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_damaged_prepared_data_are_refused_with_one_clear_error(tmp_path: Path, damage) -> None:
    folder = prepared(tmp_path / "a", pictures(200), pictures(50, 1))
    damage(folder)
    with pytest.raises(CorruptDataError) as caught:
        load_prepared(folder)
    assert str(folder) in caught.value.subject
    assert "\n" not in str(caught.value)


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CorruptDataError):
        load_prepared(tmp_path / "none")


def test_images_are_mapped_not_read(tmp_path: Path) -> None:
    data = load_prepared(prepared(tmp_path / "a", pictures(200), pictures(50, 1)))
    assert all(isinstance(arrays.images, np.memmap) for arrays in data.splits.values())


# Replacing a folder


def folder_of(path: Path, text: str) -> Path:
    path.mkdir(parents=True)
    (path / "content").write_text(text, encoding="utf-8")
    return path


def test_a_folder_takes_the_place_of_another(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "target"
    for text in ("one", "two"):
        replace_directory(folder_of(tmp_path / text, text), target)
        assert (target / "content").read_text("utf-8") == text
    assert [path.name for path in target.parent.iterdir()] == ["target"]


@pytest.mark.parametrize("at", [1, 2])
def test_a_kill_while_replacing_leaves_the_old_content_somewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    import os

    target = folder_of(tmp_path / "target", "old")
    new = folder_of(tmp_path / "new", "new")
    calls = iter(range(1, 9))
    real = os.rename

    def killed(source: Path, to: Path) -> None:
        if next(calls) == at:
            raise KeyboardInterrupt
        real(source, to)

    monkeypatch.setattr(os, "rename", killed)
    with pytest.raises(KeyboardInterrupt):
        replace_directory(new, target)
    monkeypatch.undo()
    found = {path.read_text("utf-8") for path in tmp_path.glob("target*/content")}
    assert "old" in found
    replace_directory(new, target)
    assert (target / "content").read_text("utf-8") == "new"
