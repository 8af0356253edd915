"""Folders, zips and tars of files from strangers: listed, checked, and only then read."""

from __future__ import annotations

import lzma
import re
import stat
import tarfile
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

from components.errors import CorruptDataError, DataError, DataUnavailableError

ARCHIVE_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
IGNORED = frozenset({"__MACOSX", "Thumbs.db", "desktop.ini"})
PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
DRIVE = re.compile(r"^[A-Za-z]:")
PATH_BYTES, NAME_BYTES = 1024, 255  # what every file system can hold
LOCAL_HEADER_BYTES = 30
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # the others expand without a bound
UTF8_FLAG, ENCRYPTED_FLAG = 0x800, 0x1
BROKEN = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    EOFError,
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
    if PLAIN.fullmatch(name) and len(name) <= NAME_BYTES:  # nearly always
        path = PurePosixPath(name)
        return None if IGNORED & set(path.parts) else path
    parts = name.split("/")
    problem = None
    if len(name.encode("utf-8", "replace")) > PATH_BYTES or any(
        len(part.encode("utf-8", "replace")) > NAME_BYTES for part in parts
    ):
        problem, name = "a name too long for a file system", name[:80] + "..."
    elif name.startswith("/") or DRIVE.match(name) or "\\" in name:
        problem = "an absolute or Windows path"
    elif ".." in parts:
        problem = "a path that climbs out of its folder"
    elif CONTROL.search(name):
        problem = "a name with control characters"
    elif any("\ud800" <= character <= "\udfff" for character in name):
        problem = "a name that is not UTF-8"
    if problem:
        raise refused(source, f"{problem} ({name!r})", "plain relative names", "Pack it again.")
    path = PurePosixPath(name)
    ignored = any(_is_ignored(part) for part in path.parts)
    return None if ignored or not path.parts else path


def _is_ignored(part: str) -> bool:
    return part.startswith(".") or part in IGNORED


@contextmanager
def open_source(path: Path, limits: Limits = LIMITS) -> Iterator[ImageSource]:
    """Open a folder or a zip for reading; a tar is unpacked first (`tars.unpack_tar`).

    Raises:
        DataUnavailableError: If nothing is there.
        CorruptDataError: If it is no archive, or its list of members is hostile.
    """
    if path.is_dir():
        yield _Folder(path, limits)
        return
    with translated(path):
        archive = zipfile.ZipFile(path)
    with archive:
        yield _Zip(path, archive, limits)


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
                raise refused(self._root, f"a symbolic link ({name!r})", "files")
            found.append(Member(checked, path.stat().st_size))
        return checked_members(found, self._root, self._limits)

    def reopen(self) -> None:
        """A folder is opened file by file."""

    def read(self, member: Member) -> bytes:
        path = self._root / member.path
        try:
            with path.open("rb") as stream:
                data = stream.read(self._limits.member_bytes + 1)
        except (FileNotFoundError, NotADirectoryError):
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
        if _is_ignored(entry.name):
            continue
        if entry.is_dir() and not entry.is_symlink():
            yield from _walk(entry)
        elif entry.is_symlink() or entry.is_file():
            yield entry
        else:
            raise refused(root, f"a device or pipe ({entry.name!r})", "files")


class _Zip:
    def __init__(self, path: Path, archive: zipfile.ZipFile, limits: Limits) -> None:
        self._path, self._archive, self._limits = path, archive, limits
        self._infos: dict[PurePosixPath, zipfile.ZipInfo] = {}

    def members(self) -> list[Member]:
        infos = self._archive.infolist()
        check_count(len(infos), self._path, self._limits)
        found = []
        for info in infos:
            checked = _checked_zip_entry(info, self._path)
            if checked is not None:
                found.append(Member(checked, info.file_size))
                self._infos[checked] = info
        self._refuse_overlaps(infos)
        packed = self._path.stat().st_size
        return checked_members(found, self._path, self._limits, packed)

    def _refuse_overlaps(self, infos: Sequence[zipfile.ZipInfo]) -> None:
        """Many entries over the same bytes are how the densest bombs are built."""
        ordered = sorted(infos, key=lambda info: info.header_offset)
        ends = [*(info.header_offset for info in ordered[1:]), self._archive.start_dir]
        for info, end in zip(ordered, ends, strict=True):
            body = LOCAL_HEADER_BYTES + len(info.orig_filename) + info.compress_size
            if info.header_offset + body > end:
                raise refused(self._path, f"overlapping entries ({info.orig_filename!r})", "none")

    def reopen(self) -> None:
        # A new handle alone: reading the list of members again would cost as much as it saves.
        self._archive.fp = self._path.open("rb")

    def read(self, member: Member) -> bytes:
        with translated(self._path, str(member.path)):
            with self._archive.open(self._infos[member.path]) as stream:
                data = stream.read(member.size + 1)
            if len(data) != member.size:
                raise zipfile.BadZipFile(f"{len(data)} bytes where {member.size} are stated")
        return data


def _checked_zip_entry(info: zipfile.ZipInfo, source: Path) -> PurePosixPath | None:
    name = info.orig_filename
    if not info.flag_bits & UTF8_FLAG and not name.isascii():
        raise refused(source, f"a name that is not UTF-8 ({name!r})", "UTF-8 names")
    mode = info.external_attr >> 16
    if mode and stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise refused(source, f"a link or device ({name!r})", "files")
    checked = checked_path(name, source)
    if info.is_dir() or checked is None:
        return None
    if info.compress_type not in METHODS:
        got = f"packing method {info.compress_type} ({name!r})"
        raise refused(source, got, "stored or deflated files", "Pack it again as a plain zip.")
    if info.flag_bits & ENCRYPTED_FLAG:
        raise refused(source, f"an encrypted file ({name!r})", "an archive without a password")
    return checked


def checked_members(
    members: list[Member], source: Path, limits: Limits, packed: int | None = None
) -> list[Member]:
    """The members sorted by path, once number, sizes and names were found harmless.

    Args:
        members: As the source states them.
        source: For error messages.
        limits: What is accepted.
        packed: Size of the archive, in bytes; None for a folder.

    Raises:
        CorruptDataError: If a limit is exceeded, or two names cannot stand side by side.
    """
    check_count(len(members), source, limits)
    for member in members:
        check_size(str(member.path), member.size, source, limits)
    check_total(sum(member.size for member in members), source, limits, packed)
    _check_names(members, source)
    return sorted(members, key=lambda member: str(member.path))


def check_count(count: int, source: Path, limits: Limits) -> None:
    """Refuse more members than the limit."""
    if count > limits.members:
        raise refused(source, f"{count} members", f"at most {limits.members}")


def check_size(name: str, size: int, source: Path, limits: Limits) -> None:
    """Refuse one file that is too large, or of a negative size."""
    if not 0 <= size <= limits.member_bytes:
        got = f"{name} of {size} bytes"
        raise refused(source, got, f"files of at most {limits.member_bytes}")


def check_total(total: int, source: Path, limits: Limits, packed: int | None) -> None:
    """Refuse what expands too far."""
    if total > limits.expanded_bytes:
        raise refused(source, f"{total} expanded bytes", f"at most {limits.expanded_bytes}")
    if packed is not None and total > limits.ratio_floor and total > limits.ratio * packed:
        got = f"{packed} bytes that expand to {total} or more"
        raise refused(source, got, f"an expansion of at most {limits.ratio:g} times")


def _check_names(members: Sequence[Member], source: Path) -> None:
    """Names must stay apart where case and composed letters make no difference, folders too."""
    seen: dict[str, tuple[str, bool]] = {}
    for member in members:
        parts = member.path.parts
        for depth in range(1, len(parts) + 1):
            is_file, path = depth == len(parts), "/".join(parts[:depth])
            folded = path.lower() if path.isascii() else _folded(path)
            known = seen.get(folded)
            if known and (is_file or known != (path, False)):
                got = f"two names that differ at most in case ({known[0]} and {path})"
                raise refused(source, got, "names that are distinct everywhere", "Rename one.")
            seen[folded] = (path, is_file)


def _folded(path: str) -> str:
    return unicodedata.normalize("NFC", path).casefold()


@contextmanager
def translated(path: Path, member: str = "") -> Iterator[None]:
    """What the libraries raise about bad bytes, as this project's errors.

    Raises:
        DataUnavailableError: If the source is not there.
        CorruptDataError: If it is broken.
    """
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
        raise refused(label, f"a broken archive ({reason})", "a whole one") from None


def refused(
    source: object, got: str, wanted: str, remedy: str = "Get the source again, or pack it anew."
) -> CorruptDataError:
    """An error about a source that is not to be trusted."""
    return CorruptDataError(str(source), got=got, wanted=wanted, remedy=remedy)
