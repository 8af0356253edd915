"""A small part of Fashion-MNIST that comes with the project: for machines without a route to it.

Made by `python -m components.datasets.sample`; stratified, 6,000 + 1,000 images.
"""

from __future__ import annotations

import shutil
from functools import partial

from components.datasets.base import (
    DatasetSpec,
    FetchConfig,
    FetchRequest,
    HoldOutConfig,
    RawFile,
)
from components.datasets.fashion_mnist import HOMEPAGE, TITLE, Files, read_raw
from components.datasets.fetch import verify

FILES: Files = (
    RawFile(
        "train-images-idx3-ubyte.gz",
        "0611469aef6e3da9c184f3527f825309993ea05b70489a61c1b0d1038bee70e6",
        payload=True,
    ),
    RawFile(
        "train-labels-idx1-ubyte.gz",
        "6a3a57aaa21d22b9e210140f5dd6e4a6aff9203de1d7439c16ea2e47e294adae",
        payload=True,
    ),
    RawFile(
        "t10k-images-idx3-ubyte.gz",
        "34f28dfdd03a387dff90f6e937e1dca9e70e1a04bd7651c246d124298786c0d9",
        payload=True,
    ),
    RawFile(
        "t10k-labels-idx1-ubyte.gz",
        "b3699fc51d2916be0227b7ea75b2ae14b24a12cb3463cae3553873c2e7f29190",
        payload=True,
    ),
)


def _fetch(request: FetchRequest[FetchConfig]) -> str:
    folder = request.samples / "fashion_mnist"
    for file in FILES:
        shutil.copyfile(folder / file.name, request.destination / file.name)
        verify(request.destination / file.name, file, request.quarantine, folder)
    return "bundled sample"


SPEC = DatasetSpec(
    name="fashion_mnist_sample",
    title=f"{TITLE}, bundled sample",
    licence="MIT",
    homepage=HOMEPAGE,
    fetch=_fetch,
    read=partial(read_raw, files=FILES),
    prepare_config=HoldOutConfig,
    sample=True,
)
