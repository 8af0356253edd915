"""CIFAR-10 (Krizhevsky, 2009): 60,000 colour pictures of 32 x 32 pixels in 10 classes.

The binary archive, not the Python one: reading it needs no pickle.
"""

from __future__ import annotations

import tarfile
import zlib
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
from components.datasets.fetch import fetch_files, verify
from components.errors import CorruptDataError

TITLE = "CIFAR-10"
CLASS_NAMES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
SHAPE = (3, 32, 32)
RECORD = 1 + 3 * 32 * 32
IMAGES_PER_FILE = 10_000
ARCHIVE = RawFile("cifar-10-binary.tar.gz", "c32a1d4ab5d03f1284b67883e8d87530", "md5")
FOLDER = "cifar-10-batches-bin"
TRAIN = tuple(f"{FOLDER}/data_batch_{number}.bin" for number in range(1, 6))
TEST = (f"{FOLDER}/test_batch.bin",)


def _fetch(request: FetchRequest[DownloadConfig]) -> str:
    return fetch_files(request, [ARCHIVE], TITLE)


def parse_records(payload: bytes, name: str) -> Arrays:
    """Records of one label byte and 3,072 pixel bytes (red, green, blue planes).

    Raises:
        CorruptDataError: If the length is no multiple of a record or a label is out of range.
    """
    if not payload or len(payload) % RECORD:
        raise _corrupt(name, f"{len(payload)} bytes", f"records of {RECORD} bytes")
    records = np.frombuffer(payload, np.uint8).reshape(-1, RECORD)
    labels = records[:, 0].astype(np.int64)
    if labels.max() >= len(CLASS_NAMES):
        raise _corrupt(name, f"label {labels.max()}", f"labels 0 to {len(CLASS_NAMES) - 1}")
    return Arrays(records[:, 1:].reshape(-1, *SHAPE), labels)


def _read(request: ReadRequest[HoldOutConfig]) -> RawImages:
    path = request.raw / ARCHIVE.name
    if not path.is_file():
        raise _corrupt(str(path), "no such file", "the file the fetch stage left there")
    verify(path, ARCHIVE, request.raw.parent.parent / "quarantine", request.raw)
    return read_archive(path)


def read_archive(path: Path) -> RawImages:
    """Parse the archive; its members are read, never extracted.

    Returns:
        50,000 training and 10,000 test images in the real archive.

    Raises:
        CorruptDataError: If a member is missing, of another size, or not what it claims.
    """
    try:
        with tarfile.open(path) as archive:
            train, test = (
                _joined([_member(archive, name, path) for name in names]) for names in (TRAIN, TEST)
            )
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        if isinstance(error, FileNotFoundError | PermissionError):
            raise
        raise _corrupt(str(path), f"a broken archive ({error})", "a whole tar.gz") from None
    return RawImages(CLASS_NAMES, train, test)


def _joined(files: list[Arrays]) -> Arrays:
    images = np.concatenate([file.images for file in files])
    return Arrays(images, np.concatenate([file.labels for file in files]))


def _member(archive: tarfile.TarFile, name: str, path: Path) -> Arrays:
    try:
        member = archive.getmember(name)
    except KeyError:
        raise _corrupt(str(path), f"no member {name}", "the six files of the archive") from None
    limit = RECORD * IMAGES_PER_FILE
    stream = archive.extractfile(member) if member.isfile() else None
    if stream is None or member.size > limit:
        raise _corrupt(name, f"{member.size} bytes", f"a file of at most {limit} bytes")
    return parse_records(stream.read(), name)


def _corrupt(name: str, got: str, wanted: str) -> CorruptDataError:
    return CorruptDataError(
        name, got=got, wanted=wanted, remedy="Fetch the archive again from its source."
    )


SPEC = DatasetSpec(
    name="cifar10",
    title=TITLE,
    licence="not stated by its authors; cite Krizhevsky (2009)",
    homepage="https://www.cs.toronto.edu/~kriz/cifar.html",
    fetch=_fetch,
    read=_read,
    fetch_config=DownloadConfig,
    prepare_config=HoldOutConfig,
    optional=True,
)
