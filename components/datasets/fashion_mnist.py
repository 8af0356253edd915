"""Fashion-MNIST (Xiao, Rasul and Vollgraf, 2017): 70,000 pictures of clothes in 10 classes."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path

import numpy as np

from components.datasets.base import Arrays, DatasetSpec, FetchRequest, RawFile
from components.datasets.fetch import fetch_gzip_files, read_gzip, verify
from components.datasets.idx import parse_idx
from components.errors import CorruptDataError

CLASS_NAMES = (
    "t-shirt",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
)
TITLE = "Fashion-MNIST"
SHAPE = (1, 28, 28)

Files = tuple[RawFile, RawFile, RawFile, RawFile]
FILES: Files = (
    RawFile(
        "train-images-idx3-ubyte.gz",
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    ),
    RawFile(
        "train-labels-idx1-ubyte.gz",
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    ),
    RawFile(
        "t10k-images-idx3-ubyte.gz",
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    ),
    RawFile(
        "t10k-labels-idx1-ubyte.gz",
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    ),
)
# Made by `python -m components.datasets.sample`; stratified, 6,000 + 1,000 images.
SAMPLE_FILES: Files = (
    RawFile(
        "train-images-idx3-ubyte.gz",
        "0611469aef6e3da9c184f3527f825309993ea05b70489a61c1b0d1038bee70e6",
    ),
    RawFile(
        "train-labels-idx1-ubyte.gz",
        "6a3a57aaa21d22b9e210140f5dd6e4a6aff9203de1d7439c16ea2e47e294adae",
    ),
    RawFile(
        "t10k-images-idx3-ubyte.gz",
        "34f28dfdd03a387dff90f6e937e1dca9e70e1a04bd7651c246d124298786c0d9",
    ),
    RawFile(
        "t10k-labels-idx1-ubyte.gz",
        "b3699fc51d2916be0227b7ea75b2ae14b24a12cb3463cae3553873c2e7f29190",
    ),
)


def _fetch(request: FetchRequest) -> str:
    return fetch_gzip_files(request, FILES, TITLE)


def _fetch_sample(request: FetchRequest) -> str:
    folder = request.samples / "fashion_mnist"
    for file in SAMPLE_FILES:
        shutil.copyfile(folder / file.name, request.destination / file.name)
        verify(request.destination / file.name, file, request.quarantine, folder)
    return "bundled sample"


def read_raw(raw: Path, files: Files) -> tuple[Arrays, Arrays]:
    """Verify and parse the four files.

    Args:
        raw: The folder the fetch stage filled.
        files: Names and sums of train images, train labels, test images, test labels.

    Returns:
        The official train and test parts; images (N, 1, 28, 28) uint8, labels (N,) int64.

    Raises:
        DataError: If a file is missing, is not the expected one, or does not fit its pair.
    """
    for file in files:
        if not (raw / file.name).is_file():
            raise CorruptDataError(
                str(raw / file.name),
                got="no such file",
                wanted="the file the fetch stage left there",
                remedy="Run the data flow again.",
            )
        verify(raw / file.name, file, raw.parent.parent / "quarantine", raw)
    return _read_pair(raw, *files[:2]), _read_pair(raw, *files[2:])


def _read_pair(raw: Path, images: RawFile, labels: RawFile) -> Arrays:
    pixels = parse_idx(read_gzip(raw / images.name), images.name, dimensions=3)
    classes = parse_idx(read_gzip(raw / labels.name), labels.name, dimensions=1)
    check_pair(pixels.shape, classes, labels.name)
    return Arrays(pixels.reshape(-1, *SHAPE), classes.astype(np.int64))


def check_pair(shape: tuple[int, ...], labels: np.ndarray, name: str) -> None:
    """Check that images and labels belong together.

    Raises:
        CorruptDataError: If sizes differ, images are not 28x28, or a label is out of range.
    """
    problem = None
    if shape[1:] != SHAPE[1:]:
        problem = (f"images of {shape[1:]}", "28 x 28")
    elif shape[0] != len(labels):
        problem = (f"{len(labels)} labels", f"{shape[0]}, one for each image")
    elif len(labels) and labels.max() >= len(CLASS_NAMES):
        problem = (f"label {labels.max()}", f"labels 0 to {len(CLASS_NAMES) - 1}")
    if problem:
        raise CorruptDataError(
            name, got=problem[0], wanted=problem[1], remedy="Fetch the files again."
        )


SPEC = DatasetSpec(
    name="fashion_mnist",
    title=TITLE,
    licence="MIT",
    homepage="https://github.com/zalandoresearch/fashion-mnist",
    class_names=CLASS_NAMES,
    image_shape=SHAPE,
    fetch=_fetch,
    read=partial(read_raw, files=FILES),
    fallback="fashion_mnist_sample",
)
SAMPLE = DatasetSpec(
    name="fashion_mnist_sample",
    title=f"{TITLE}, bundled sample",
    licence="MIT",
    homepage=SPEC.homepage,
    class_names=CLASS_NAMES,
    image_shape=SHAPE,
    fetch=_fetch_sample,
    read=partial(read_raw, files=SAMPLE_FILES),
    sample=True,
)
