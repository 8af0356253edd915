"""A person's own data: images in class folders or files of texts, from a source and an inbox.

Files that are put into the inbox later belong to the dataset as if they were in its source; an
image of the same path replaces the source's.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath

from pydantic import Field

from components.datasets.archives import ARCHIVE_SUFFIXES, checked_path
from components.datasets.base import (
    DataKind,
    DatasetSpec,
    FetchConfig,
    FetchRequest,
    Objects,
    RawImages,
    RawTexts,
    ReadRequest,
    TextTask,
)
from components.datasets.image_pool import PoolConfig, read_pool
from components.datasets.rows import TEXT_SUFFIXES
from components.datasets.tars import unpack
from components.datasets.text_pool import TextPoolConfig, read_texts
from components.errors import DataUnavailableError

IMAGES, TEXTS = "images", "texts"
ONE_OBJECT = (*ARCHIVE_SUFFIXES, *TEXT_SUFFIXES)
OBJECTS_FILE = "objects.json"
S3 = "s3://"


class OwnConfig(FetchConfig):
    """Where a person's own data are."""

    source: str = Field(
        min_length=1, description="Images: folder, zip, tar or s3:// prefix; texts: a file of them"
    )
    inbox: str = Field("", description="Folder or s3:// prefix that grows; empty for none")


def own_dataset(name: str, section: object) -> DatasetSpec:
    """The specification of a person's own dataset.

    Args:
        name: Chosen by the person.
        section: As datasets.yaml holds it; the source decides what the data are, the task what
            there is to learn from texts. What is wrong with it is found when it is read.
    """
    images = DatasetSpec(
        name=name,
        title=f"Own images: {name}",
        licence="the owner's",
        homepage="",
        fetch=_fetch,
        read=_read,
        fetch_config=OwnConfig,
        prepare_config=PoolConfig,
    )
    if not is_texts(str(_part(section, "fetch").get("source", ""))):
        return images
    wanted = _part(section, "prepare").get("task", TextTask.CLASSIFICATION)
    return replace(
        images,
        title=f"Own texts: {name}",
        read=_read_texts,
        prepare_config=TextPoolConfig,
        kind=DataKind.TEXTS,
        task=next((task for task in TextTask if task == wanted), None),
    )


def is_texts(source: str) -> bool:
    """Whether a person's own data are texts rather than images."""
    return source.lower().endswith(TEXT_SUFFIXES)


def _part(section: object, key: str) -> Mapping[str, object]:
    part = section.get(key) if isinstance(section, Mapping) else None
    return part if isinstance(part, Mapping) else {}


def _fetch(request: FetchRequest[OwnConfig]) -> str:
    config = request.config
    folder = request.destination / (TEXTS if is_texts(config.source) else IMAGES)
    folder.mkdir()
    _bring(config.source, folder, request, required=True)
    if config.inbox:
        _bring(config.inbox, folder, request, required=False)
    return config.source + (f" and {config.inbox}" if config.inbox else "")


def _read(request: ReadRequest[PoolConfig]) -> RawImages:
    return read_pool(request.raw / IMAGES, request, "own images")


def _read_texts(request: ReadRequest[TextPoolConfig]) -> RawTexts:
    return read_texts(request.raw / TEXTS, request, "own texts")


def _bring(source: str, folder: Path, request: FetchRequest[OwnConfig], *, required: bool) -> None:
    if source.startswith(S3):
        _bring_objects(source, folder, request)
    elif required or Path(source).is_dir():
        _bring_files(_there(Path(source)), folder, request.destination / "unpacked")


def _there(source: Path) -> Path:
    if source.exists():
        return source
    raise DataUnavailableError(
        f"source {source}",
        got="nothing there",
        wanted="what the dataset was added from",
        remedy="Mount or restore it, or add the dataset again from another place.",
    )


def _bring_files(source: Path, folder: Path, scratch: Path) -> None:
    if source.is_file() and is_texts(source.name):
        shutil.copyfile(source, folder / source.name)
        return
    for member in unpack(source, scratch):
        _put(scratch / member.path, folder / member.path)
    shutil.rmtree(scratch, ignore_errors=True)


def _put(file: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    file.replace(target)


def _bring_objects(source: str, folder: Path, request: FetchRequest[OwnConfig]) -> None:
    """Fetch what is new or changed; what an earlier fetch left is taken from there."""
    if source.lower().endswith(ONE_OBJECT):
        prefix, _, name = source.rpartition("/")
        one = request.destination / name
        with request.objects(prefix) as store:
            store.get_file(name, one)
        _bring_files(one, folder, request.destination / "unpacked")
        one.unlink()
        return
    listed, before = {}, _known_objects(request.present / OBJECTS_FILE)
    with request.objects(source) as store:
        for found in store.list():
            path = checked_path(found.key, source)
            if path is None or found.key.endswith("/"):
                continue
            listed[f"{source}/{path}"] = identity = f"{found.size} {found.etag}"
            target, kept = folder / path, request.present / folder.name / path
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


def describe_source(config: OwnConfig, objects: Objects) -> Iterator[str]:
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
    if place.lower().endswith(ONE_OBJECT):
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
            wanted="images in class folders, or a file of texts",
            remedy="Check bucket and prefix, or upload the data first.",
        )
    for item in found:
        yield f"{place} {item.key} {item.size} {item.etag}"


def _describe_files(place: Path) -> Iterator[str]:
    for path in [place] if place.is_file() else sorted(place.rglob("*")):
        if path.is_file():
            state = path.stat()
            name = PurePosixPath(path.relative_to(place.parent))
            yield f"{name} {state.st_size} {state.st_mtime_ns}"
