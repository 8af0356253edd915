"""Fashion-MNIST (Xiao, Rasul and Vollgraf, 2017): 70,000 pictures of clothes in 10 classes."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from components.datasets.base import (
    Arrays,
    DatasetSpec,
    DownloadConfig,
    FetchRequest,
    HoldOutConfig,
    RawFile,
    RawImages,
    ReadRequest,
)
from components.datasets.fetch import fetch_files, read_gzip, verify
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
HOMEPAGE = "https://github.com/zalandoresearch/fashion-mnist"
SHAPE = (1, 28, 28)

Files = tuple[RawFile, RawFile, RawFile, RawFile]
FILES: Files = (
    RawFile(
        "train-images-idx3-ubyte.gz",
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        payload=True,
    ),
    RawFile(
        "train-labels-idx1-ubyte.gz",
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        payload=True,
    ),
    RawFile(
        "t10k-images-idx3-ubyte.gz",
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        payload=True,
    ),
    RawFile(
        "t10k-labels-idx1-ubyte.gz",
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        payload=True,
    ),
)


def _fetch(request: FetchRequest[DownloadConfig]) -> str:
    return fetch_files(request, FILES, TITLE)


def read_raw(request: ReadRequest[HoldOutConfig], files: Files) -> RawImages:
    """Verify and parse the four files.

    Args:
        request: Its folder is what the fetch stage filled.
        files: Names and sums of train images, train labels, test images, test labels.

    Returns:
        The official parts; images (N, 1, 28, 28) uint8, labels (N,) int64.

    Raises:
        DataError: If a file is missing, is not the expected one, or does not fit its pair.
    """
    raw = request.raw
    for file in files:
        if not (raw / file.name).is_file():
            raise CorruptDataError(
                str(raw / file.name),
                got="no such file",
                wanted="the file the fetch stage left there",
                remedy="Run the data flow again.",
            )
        verify(raw / file.name, file, raw.parent.parent / "quarantine", raw)
    return RawImages(CLASS_NAMES, _read_pair(raw, *files[:2]), _read_pair(raw, *files[2:]))


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
    homepage=HOMEPAGE,
    fetch=_fetch,
    read=partial(read_raw, files=FILES),
    fetch_config=DownloadConfig,
    prepare_config=HoldOutConfig,
    fallback="fashion_mnist_sample",
)
