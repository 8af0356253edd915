"""A person's own images in class folders: a folder, a zip, a tar or an s3:// prefix, and an inbox.

Images that are put into the inbox later belong to the dataset as if they were in its source; an
image of the same path replaces the source's.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from pydantic import Field

from components.datasets.archives import ARCHIVE_SUFFIXES, checked_path
from components.datasets.base import (
    DatasetSpec,
    FetchConfig,
    FetchRequest,
    Objects,
    PoolConfig,
    RawImages,
    ReadRequest,
)
from components.datasets.image_pool import read_pool
from components.datasets.tars import unpack
from components.errors import DataUnavailableError

IMAGES = "images"
OBJECTS_FILE = "objects.json"
S3 = "s3://"


class ImageFolderConfig(FetchConfig):
    """Where a person's own images are."""

    source: str = Field(min_length=1, description="Folder, zip, tar or s3:// prefix")
    inbox: str = Field("", description="Folder or s3:// prefix that grows; empty for none")


def own_dataset(name: str) -> DatasetSpec:
    """The specification of a person's own dataset."""
    return DatasetSpec(
        name=name,
        title=f"Own images: {name}",
        licence="the owner's",
        homepage="",
        fetch=_fetch,
        read=_read,
        fetch_config=ImageFolderConfig,
        prepare_config=PoolConfig,
    )


def _fetch(request: FetchRequest[ImageFolderConfig]) -> str:
    config, images = request.config, request.destination / IMAGES
    images.mkdir()
    _bring(config.source, images, request, required=True)
    if config.inbox:
        _bring(config.inbox, images, request, required=False)
    return config.source + (f" and {config.inbox}" if config.inbox else "")


def _read(request: ReadRequest[PoolConfig]) -> RawImages:
    return read_pool(request.raw / IMAGES, request, "own images")


def _bring(
    source: str, images: Path, request: FetchRequest[ImageFolderConfig], *, required: bool
) -> None:
    if source.startswith(S3):
        _bring_objects(source, images, request)
    elif required or Path(source).is_dir():
        _bring_files(_there(Path(source)), images, request.destination / "unpacked")


def _there(source: Path) -> Path:
    if source.exists():
        return source
    raise DataUnavailableError(
        f"source {source}",
        got="nothing there",
        wanted="the folder or archive that the dataset was added from",
        remedy="Mount or restore it, or add the dataset again from another place.",
    )


def _bring_files(source: Path, images: Path, scratch: Path) -> None:
    for member in unpack(source, scratch):
        _put(scratch / member.path, images / member.path)
    shutil.rmtree(scratch, ignore_errors=True)


def _put(file: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    file.replace(target)


def _bring_objects(source: str, images: Path, request: FetchRequest[ImageFolderConfig]) -> None:
    """Fetch what is new or changed; what an earlier fetch left is taken from there."""
    if source.lower().endswith(ARCHIVE_SUFFIXES):
        folder, _, name = source.rpartition("/")
        archive = request.destination / name
        with request.objects(folder) as store:
            store.get_file(name, archive)
        _bring_files(archive, images, request.destination / "unpacked")
        archive.unlink()
        return
    listed, before = {}, _known_objects(request.present / OBJECTS_FILE)
    with request.objects(source) as store:
        for found in store.list():
            path = checked_path(found.key, source)
            if path is None or found.key.endswith("/"):
                continue
            listed[f"{source}/{path}"] = identity = f"{found.size} {found.etag}"
            target, kept = images / path, request.present / IMAGES / path
            target.parent.mkdir(parents=True, exist_ok=True)
            if before.get(f"{source}/{path}") == identity and kept.is_file():
                shutil.copyfile(kept, target)
            else:
                store.get_file(found.key, target)
    note = request.destination / OBJECTS_FILE
    note.write_text(json.dumps(_known_objects(note) | listed, indent=0), encoding="utf-8")


def _known_objects(path: Path) -> dict[str, str]:
    known: dict[str, str] = json.loads(path.read_text("utf-8")) if path.exists() else {}
    return known


def describe_source(config: ImageFolderConfig, objects: Objects) -> Iterator[str]:
    """One line for each file or object of source and inbox that changes when it does.

    Cheap enough for every night: sizes and times of files, sizes and ETags of objects.

    Raises:
        DataUnavailableError: If the source is not there.
    """
    for place in (config.source, config.inbox):
        if place.startswith(S3):
            yield from _describe_objects(place, objects, required=place == config.source)
        elif place == config.source or (place and Path(place).is_dir()):
            yield from _describe_files(_there(Path(place)))


def _describe_objects(place: str, objects: Objects, *, required: bool) -> Iterator[str]:
    if place.lower().endswith(ARCHIVE_SUFFIXES):
        folder, _, name = place.rpartition("/")
        with objects(folder) as store:
            found = [item for item in store.list(name) if item.key == name]
    else:
        with objects(place) as store:
            found = sorted(store.list(), key=lambda item: item.key)
    if not found and required:
        raise DataUnavailableError(
            f"source {place}",
            got="no object",
            wanted="images in class folders",
            remedy="Check bucket and prefix, or upload the images first.",
        )
    for item in found:
        yield f"{place} {item.key} {item.size} {item.etag}"


def _describe_files(place: Path) -> Iterator[str]:
    for path in [place] if place.is_file() else sorted(place.rglob("*")):
        if path.is_file():
            state = path.stat()
            name = PurePosixPath(path.relative_to(place.parent))
            yield f"{name} {state.st_size} {state.st_mtime_ns}"
