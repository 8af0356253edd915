"""Pokemon sprites as Dive into Deep Learning 20.2 ships them: PNGs in one folder per species."""

from __future__ import annotations

from components.datasets.base import (
    DatasetSpec,
    DownloadConfig,
    FetchRequest,
    RawFile,
    RawImages,
    ReadRequest,
)
from components.datasets.fetch import fetch_files, verify
from components.datasets.image_pool import PoolConfig, read_pool
from components.errors import CorruptDataError

TITLE = "Pokemon sprites"
ARCHIVE = RawFile("pokemon.zip", "c065c0e2593b8b161a2d7873e42418bf6a21106c", "sha1")


def _fetch(request: FetchRequest[DownloadConfig]) -> str:
    return fetch_files(request, [ARCHIVE], TITLE)


def _read(request: ReadRequest[PoolConfig]) -> RawImages:
    path = request.raw / ARCHIVE.name
    if not path.is_file():
        raise CorruptDataError(
            str(path),
            got="no such file",
            wanted="the archive the fetch stage left there",
            remedy="Run the data flow again.",
        )
    verify(path, ARCHIVE, request.raw.parent.parent / "quarantine", request.raw)
    return read_pool(path, request, TITLE)


SPEC = DatasetSpec(
    name="pokemon",
    title=TITLE,
    licence="images are the property of their owners; for research only, not redistributable",
    homepage="https://d2l.ai/chapter_generative-adversarial-networks/dcgan.html",
    fetch=_fetch,
    read=_read,
    fetch_config=DownloadConfig,
    prepare_config=PoolConfig,
    optional=True,
)
