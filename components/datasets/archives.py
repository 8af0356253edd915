"""Folders, zips and tars of files from strangers: listed, checked, and only then read."""

from __future__ import annotations

import lzma
import re
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Protocol

from components.errors import CorruptDataError, DataError, DataUnavailableError

ZIP_SUFFIXES = (".zip",)
TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
ARCHIVE_SUFFIXES = (*ZIP_SUFFIXES, *TAR_SUFFIXES)
IGNORED = frozenset({"__MACOSX", "Thumbs.db", "desktop.ini"})
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
DRIVE = re.compile(r"^[A-Za-z]:")
CHUNK = 1 << 20
UTF8_FLAG, ENCRYPTED_FLAG = 0x800, 0x1
BROKEN = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
)


@dataclass(frozen=True)
class Limits:
    """Above these a source is refused; they are far beyond honest image collections.

    Attributes:
        members: Files.
        expanded_bytes: All files together.
        member_bytes: One file.
        ratio: Expanded to packed size of an archive, looked at above `ratio_floor` bytes.
        ratio_floor: Expanded bytes below which any ratio is harmless.
    """

    members: int = 1_000_000
    expanded_bytes: int = 50 << 30
    member_bytes: int = 256 << 20
    ratio: float = 200.0
    ratio_floor: int = 100 << 20


LIMITS = Limits()


@dataclass(frozen=True)
class Member:
    """One file of a source; `path` is relative, `size` in bytes as the source states it."""

    path: PurePosixPath
    size: int


class ImageSource(Protocol):
    """A checked folder or zip whose files can be read in any order."""

    def members(self) -> Sequence[Member]:
        """All files that matter, sorted by path."""

    def read(self, member: Member) -> bytes:
        """One file's bytes; safe to call from several threads."""

    def reopen(self) -> None:
        """Stop sharing an open file with the process this one was forked from."""


def checked_path(name: str, source: object) -> PurePosixPath | None:
    """A member's name as a safe relative path; None for what may be passed over.

    Raises:
        CorruptDataError: If it is absolute, climbs out, or holds characters no name should.
    """
    parts = name.split("/")
    problem = None
    if name.startswith("/") or DRIVE.match(name) or "\\" in name:
        problem = "an absolute or Windows path"
    elif ".." in parts:
        problem = "a path that climbs out of its folder"
    elif CONTROL.search(name):
        problem = "a name with control characters"
    elif any("\ud800" <= character <= "\udfff" for character in name):
        problem = "a name that is not UTF-8"
    if problem:
        raise _refused(source, f"{problem} ({name!r})", "plain relative names", "Pack it again.")
    path = PurePosixPath(name)
    hidden = any(part.startswith(".") or part in IGNORED for part in path.parts)
    return None if hidden or not path.parts else path


@contextmanager
def open_source(path: Path, limits: Limits = LIMITS) -> Iterator[ImageSource]:
    """Open a folder or a zip for reading; unpack tars with `unpack` first.

    Raises:
        DataUnavailableError: If nothing is there.
        CorruptDataError: If it is no archive, or its list of members is hostile.
    """
    if path.is_dir():
        yield _Folder(path, limits)
        return
    with _translated(path):
        archive = zipfile.ZipFile(path)
    with archive:
        yield _Zip(path, archive, limits)


def unpack(source: Path, destination: Path, limits: Limits = LIMITS) -> list[Member]:
    """Bring every file of a folder, zip or tar into the new folder `destination`.

    Returns:
        What was written, sorted by path.

    Raises:
        DataUnavailableError: If the source is not there, or vanishes half-way.
        CorruptDataError: If it is hostile, broken, or no archive; nothing outside of
            `destination` is touched.
    """
    destination.mkdir(parents=True)
    if source.is_dir() or source.name.lower().endswith(ZIP_SUFFIXES):
        with open_source(source, limits) as opened:
            members = opened.members()
            for member in members:
                target = destination / member.path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(opened.read(member))
        return list(members)
    if source.name.lower().endswith(TAR_SUFFIXES) or not source.exists():
        return _unpack_tar(source, destination, limits)
    raise _refused(
        source, "a file of another kind", "a folder or one of " + ", ".join(ARCHIVE_SUFFIXES)
    )


class _Folder:
    def __init__(self, root: Path, limits: Limits) -> None:
        self._root, self._limits = root, limits

    def members(self) -> list[Member]:
        found = []
        for path in _walk(self._root):
            name = path.relative_to(self._root).as_posix()
            checked = checked_path(name, self._root)
            if checked is None:
                continue
            if path.is_symlink():
                raise _refused(self._root, f"a symbolic link ({name!r})", "files")
            found.append(Member(checked, path.stat().st_size))
        return _checked(found, self._root, self._limits)

    def reopen(self) -> None:
        """A folder is opened file by file."""

    def read(self, member: Member) -> bytes:
        path = self._root / member.path
        try:
            with path.open("rb") as stream:
                data = stream.read(self._limits.member_bytes + 1)
        except FileNotFoundError:
            raise DataUnavailableError(
                f"file {path}",
                got="a file that is gone since its folder was listed",
                wanted="a source that stays as it is while it is read",
                remedy="Run it again once nothing changes the folder.",
            ) from None
        if len(data) != member.size:
            raise DataError(
                f"file {path}",
                got=f"{len(data)} bytes",
                wanted=f"the {member.size} it had when its folder was listed",
                remedy="Run it again once nothing changes the folder.",
            )
        return data


def _walk(root: Path) -> Iterator[Path]:
    """Files and links below `root`; linked folders are reported, not entered."""
    for entry in sorted(root.iterdir()):
        if entry.is_dir() and not entry.is_symlink():
            yield from _walk(entry)
        elif entry.is_symlink() or entry.is_file():
            yield entry
        else:
            raise _refused(root, f"a device or pipe ({entry.name!r})", "files")


class _Zip:
    def __init__(self, path: Path, archive: zipfile.ZipFile, limits: Limits) -> None:
        self._path, self._archive, self._limits = path, archive, limits
        self._infos: dict[PurePosixPath, zipfile.ZipInfo] = {}

    def members(self) -> list[Member]:
        infos = self._archive.infolist()
        _check_count(len(infos), self._path, self._limits)
        found = []
        for info in infos:
            checked = _checked_zip_entry(info, self._path)
            if checked is not None:
                found.append(Member(checked, info.file_size))
                self._infos[checked] = info
        packed = self._path.stat().st_size
        return _checked(found, self._path, self._limits, packed)

    def reopen(self) -> None:
        # A new handle alone: reading the list of members again would cost as much as it saves.
        self._archive.fp = self._path.open("rb")

    def read(self, member: Member) -> bytes:
        with _translated(self._path, str(member.path)):
            with self._archive.open(self._infos[member.path]) as stream:
                data = stream.read(member.size + 1)
            if len(data) != member.size:
                raise zipfile.BadZipFile(f"{len(data)} bytes where {member.size} are stated")
        return data


def _checked_zip_entry(info: zipfile.ZipInfo, source: Path) -> PurePosixPath | None:
    name = info.orig_filename
    if not info.flag_bits & UTF8_FLAG and not name.isascii():
        raise _refused(source, f"a name that is not UTF-8 ({name!r})", "UTF-8 names")
    mode = info.external_attr >> 16
    if mode and stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise _refused(source, f"a link or device ({name!r})", "files")
    checked = checked_path(name, source)
    if info.is_dir() or checked is None:
        return None
    if info.flag_bits & ENCRYPTED_FLAG:
        raise _refused(source, f"an encrypted file ({name!r})", "an archive without a password")
    return checked


def _unpack_tar(source: Path, destination: Path, limits: Limits) -> list[Member]:
    found: list[Member] = []
    with _translated(source), tarfile.open(source, errors="surrogateescape") as archive:
        packed = source.stat().st_size
        for info in archive:
            checked = checked_path(info.name.removeprefix("./") or ".", source)
            if info.isdir() or checked is None:
                continue
            if not info.isreg():
                raise _refused(source, f"a link or device ({info.name!r})", "files")
            found.append(Member(checked, info.size))
            _check_sizes(found[-1:], source, limits)
            _check_count(len(found), source, limits)
            stream = archive.extractfile(info)
            assert stream is not None
            _write_member(stream, destination / checked)
            # The list of a tar is only known at its end, hence checked as it grows.
            _check_total(sum_of(found), source, limits, packed)
    return _checked(found, source, limits, packed)


def _write_member(stream: IO[bytes], target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        raise ValueError(f"{target.name} is there twice")
    with target.open("wb") as out:
        shutil.copyfileobj(stream, out, CHUNK)


def sum_of(members: Sequence[Member]) -> int:
    """Bytes of all members."""
    return sum(member.size for member in members)


def _checked(
    members: list[Member], source: Path, limits: Limits, packed: int | None = None
) -> list[Member]:
    _check_count(len(members), source, limits)
    _check_sizes(members, source, limits)
    _check_total(sum_of(members), source, limits, packed)
    _check_names(members, source)
    return sorted(members, key=lambda member: str(member.path))


def _check_count(count: int, source: Path, limits: Limits) -> None:
    if count > limits.members:
        raise _refused(source, f"{count} members", f"at most {limits.members}")


def _check_sizes(members: Sequence[Member], source: Path, limits: Limits) -> None:
    for member in members:
        if member.size > limits.member_bytes:
            got = f"{member.path} of {member.size} bytes"
            raise _refused(source, got, f"files of at most {limits.member_bytes}")


def _check_total(total: int, source: Path, limits: Limits, packed: int | None) -> None:
    if total > limits.expanded_bytes:
        raise _refused(source, f"{total} expanded bytes", f"at most {limits.expanded_bytes}")
    if packed is not None and total > limits.ratio_floor and total > limits.ratio * packed:
        got = f"{packed} bytes that expand to {total} or more"
        raise _refused(source, got, f"an expansion of at most {limits.ratio:g} times")


def _check_names(members: Sequence[Member], source: Path) -> None:
    seen: dict[str, PurePosixPath] = {}
    for member in members:
        folded = str(member.path).casefold()
        if folded in seen:
            got = f"two names that differ at most in case ({seen[folded]} and {member.path})"
            raise _refused(source, got, "names that are distinct everywhere", "Rename one.")
        seen[folded] = member.path


@contextmanager
def _translated(path: Path, member: str = "") -> Iterator[None]:
    """What the libraries raise about bad bytes, as this project's errors."""
    label = f"{path}: {member}" if member else str(path)
    try:
        yield
    except FileNotFoundError:
        raise DataUnavailableError(
            label,
            got="nothing there",
            wanted="a readable folder or archive",
            remedy="Check the path.",
        ) from None
    except (*BROKEN, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # a full disk or a lost permission is not the archive's fault
        reason = " ".join(str(error).split()) or type(error).__name__
        raise _refused(label, f"a broken archive ({reason})", "a whole one") from None


def _refused(
    source: object, got: str, wanted: str, remedy: str = "Get the source again, or pack it anew."
) -> CorruptDataError:
    return CorruptDataError(str(source), got=got, wanted=wanted, remedy=remedy)
