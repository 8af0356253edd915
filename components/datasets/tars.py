"""Tars from strangers, unpacked; and any source brought into a folder."""

from __future__ import annotations

import bz2
import gzip
import lzma
import shutil
import tarfile
from pathlib import Path
from typing import IO

from components.datasets.archives import (
    ARCHIVE_SUFFIXES,
    LIMITS,
    Limits,
    Member,
    check_count,
    check_size,
    check_total,
    checked_members,
    checked_path,
    open_source,
    refused,
    translated,
)

CHUNK = 1 << 20
EXTENSION_BYTES = 1 << 20  # of a header that only carries a long name or attributes
TRAILING_BYTES = 1 << 20  # after the end mark; tar pads to 10 KiB
EXTENSIONS = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)
_MODULES = {b"\x1f\x8b": gzip, b"BZh": bz2, b"\xfd7zXZ\0": lzma}
ZIP_MAGIC = (b"PK\x03\x04", b"PK\x05\x06")


class _HeaderInfo(tarfile.TarInfo):
    """Looks at each header before tarfile acts on it: it reads extensions whole into memory."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> _HeaderInfo:
        info = super().frombuf(buf, encoding, errors)
        if info.size < 0 or (info.type in EXTENSIONS and info.size > EXTENSION_BYTES):
            raise tarfile.ReadError(f"a header that states {info.size} bytes")
        return info


def unpack(source: Path, destination: Path, limits: Limits = LIMITS) -> list[Member]:
    """Bring every file of a folder, zip or tar into the new folder `destination`.

    What a file is, is read off its first bytes, not off its name.

    Returns:
        What was written, sorted by path.

    Raises:
        DataUnavailableError: If the source is not there, or vanishes half-way.
        CorruptDataError: If it is hostile, broken, or no archive; nothing outside of
            `destination` is touched.
    """
    destination.mkdir(parents=True)
    if source.is_dir() or _magic(source).startswith(ZIP_MAGIC):
        with open_source(source, limits) as opened:
            members = opened.members()
            for member in members:
                target = destination / member.path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(opened.read(member))
        return list(members)
    return _unpack_tar(source, destination, limits)


def _magic(path: Path) -> bytes:
    with translated(path), path.open("rb") as stream:
        return stream.read(8)


def _open(path: Path) -> IO[bytes]:
    magic = _magic(path)
    for start, module in _MODULES.items():
        if magic.startswith(start):
            opened: IO[bytes] = getattr(module, "open")(path)  # noqa: B009 - three modules, one name
            return opened
    return path.open("rb")


def _unpack_tar(source: Path, destination: Path, limits: Limits) -> list[Member]:
    found: list[Member] = []
    with translated(source), _open(source) as stream:
        try:
            archive = tarfile.open(  # noqa: SIM115 - closed below
                fileobj=stream, mode="r:", tarinfo=_HeaderInfo, errors="surrogateescape"
            )
        except tarfile.ReadError:
            raise refused(
                source, "no archive", "a folder or one of " + ", ".join(ARCHIVE_SUFFIXES)
            ) from None
        with archive:
            _unpack_members(archive, source, destination, limits, found)
            _check_end(archive, stream)
    return checked_members(found, source, limits, source.stat().st_size)


def _unpack_members(
    archive: tarfile.TarFile, source: Path, destination: Path, limits: Limits, found: list[Member]
) -> None:
    packed, total = source.stat().st_size, 0
    for number, info in enumerate(archive, start=1):
        # Before going on: what is ignored has to be decompressed as well.
        total += info.size
        check_count(number, source, limits)
        check_size(info.name, info.size, source, limits)
        check_total(total, source, limits, packed)
        path = checked_path(info.name.removeprefix("./") or ".", source)
        if info.isdir() or path is None:
            continue
        if not info.isreg() or info.sparse is not None:
            raise refused(source, f"a link, device or sparse file ({info.name!r})", "files")
        content = archive.extractfile(info)
        assert content is not None
        found.append(Member(path, info.size))
        checked_members(found[-1:], source, limits)
        _write(content, destination / path, info.size)


def _write(content: IO[bytes], target: Path, size: int) -> None:
    if target.exists() or any(parent.is_file() for parent in target.parents):
        raise ValueError(f"two members called {target.name!r}")
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as out:
        shutil.copyfileobj(content, out, CHUNK)
    if target.stat().st_size != size:
        raise EOFError(f"{target.name!r} ends early")


def _check_end(archive: tarfile.TarFile, stream: IO[bytes]) -> None:
    """Tarfile takes a damaged header, or a missing rest, for the end: look for the end mark."""
    stream.seek(archive.offset)
    if stream.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise tarfile.ReadError("a damaged header, or no end mark")
    rest = 0
    while chunk := stream.read(CHUNK):  # to the end, where gzip has its sum
        rest += len(chunk)
        if rest > TRAILING_BYTES:
            raise tarfile.ReadError("data after the end mark")
