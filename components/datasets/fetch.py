"""Getting raw files: from folders and addresses, resumed, verified, never half-written."""

from __future__ import annotations

import gzip
import hashlib
import http.client
import json
import os
import shutil
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from components.datasets.base import SOURCE_FILE, DownloadConfig, FetchRequest, RawFile
from components.datasets.progress import Progress
from components.errors import ChecksumError, CorruptDataError, DataError, DataUnavailableError

CHUNK = 1 << 20
MAX_PAYLOAD = 1 << 30
ATTEMPTS = 3
BACKOFF_SECONDS = 0.5
# Not every OSError: a full disk here does not mean that the source is away.
UNREACHABLE = (
    urllib.error.URLError,
    http.client.HTTPException,
    ConnectionError,
    TimeoutError,
)


def fetch_files(request: FetchRequest[DownloadConfig], files: Sequence[RawFile], title: str) -> str:
    """Bring files with known sums into `request.destination`, from the first source with all.

    Sources in order: what an earlier fetch left, the folder a person named, the configured
    folders, the configured addresses. A source (other than the first) that has a file with a
    wrong sum is an error, never passed over.

    Returns:
        The folder or address the files came from.

    Raises:
        DataUnavailableError: If no source can be reached.
        ChecksumError: If a file's payload is not the expected one.
        CorruptDataError: If a file cannot be decompressed.
    """
    if source := _still_good(request, files):
        return source
    named = [request.data_dir] if request.data_dir else []
    folders = [*named, *(Path(folder) for folder in request.config.folders)]
    for folder in folders:
        if all((folder / file.name).is_file() for file in files):
            for file in files:
                shutil.copyfile(folder / file.name, request.destination / file.name)
                verify(request.destination / file.name, file, request.quarantine, folder)
            return str(folder)
    problems = [f"{folder} (not there)" for folder in folders]
    for url in request.config.urls:
        try:
            for file in files:
                _download_verified(url, file, request)
            for file in files:
                os.replace(request.partial / file.name, request.destination / file.name)
            return url
        except UNREACHABLE as error:
            problems.append(f"{url} ({_reason(error)})")
    raise DataUnavailableError(
        title,
        got="no answer from " + ", ".join(problems or ["no source at all"]),
        wanted="one source that has " + ", ".join(file.name for file in files),
        remedy="Put the files into a folder and set NIGHTFORGE_DATA_DIR to it.",
    )


def _still_good(request: FetchRequest[DownloadConfig], files: Sequence[RawFile]) -> str | None:
    present = request.present
    try:
        source: str = json.loads((present / SOURCE_FILE).read_text("utf-8"))["source"]
        for file in files:
            verify(present / file.name, file, request.quarantine, present)
            shutil.copyfile(present / file.name, request.destination / file.name)
    except (OSError, ValueError, KeyError, DataError) as error:
        if isinstance(error, DataError):
            print(f"what was fetched before is damaged, fetching again: {error}")
        return None
    return source


def _reason(error: Exception) -> str:
    inner = getattr(error, "reason", None) or error
    return " ".join(str(inner).split()) or type(inner).__name__


def _download_verified(base: str, file: RawFile, request: FetchRequest[DownloadConfig]) -> None:
    """Leave the verified file in `request.partial`, where it survives a kill during the next."""
    whole = request.partial / file.name
    if whole.exists():
        try:
            verify(whole, file, request.quarantine, request.partial)
            return
        except DataError:
            whole.unlink()
    part = request.partial / (file.name + ".part")
    url = f"{base.rstrip('/')}/{file.name}"
    resumed = part.exists()
    download(url, part, timeout=request.config.timeout)
    try:
        _verify_or_drop(part, file, request.quarantine, base)
    except DataError:
        if not resumed:
            raise
        # The two halves may be of different files: a mirror compresses otherwise.
        download(url, part, timeout=request.config.timeout)
        _verify_or_drop(part, file, request.quarantine, base)
    os.replace(part, whole)


def _verify_or_drop(part: Path, file: RawFile, quarantine: Path, source: object) -> None:
    try:
        verify(part, file, quarantine, source)
    except DataError:
        part.unlink()
        raise


def download(url: str, part: Path, *, timeout: float) -> None:
    """Download `url` to `part`, going on where an earlier attempt stopped.

    Args:
        url: http(s) address.
        part: Temporary name; its present length is where the download resumes.
        timeout: Seconds without a byte before an attempt fails.

    Raises:
        OSError: If all attempts fail; `part` keeps what arrived.
    """
    part.parent.mkdir(parents=True, exist_ok=True)
    for attempt in range(ATTEMPTS):
        try:
            _attempt(url, part, timeout)
            return
        except UNREACHABLE as error:
            permanent = isinstance(error, urllib.error.HTTPError) and 400 <= error.code < 500
            if permanent or attempt + 1 == ATTEMPTS:
                raise
            time.sleep(BACKOFF_SECONDS * 2**attempt)


def _attempt(url: str, part: Path, timeout: float) -> None:
    have = part.stat().st_size if part.exists() else 0
    headers = {"User-Agent": "nightforge", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    try:
        request = urllib.request.Request(url, headers=headers)  # noqa: S310 - from params.yaml
        response = urllib.request.urlopen(request, timeout=timeout)  # noqa: S310
    except urllib.error.HTTPError as error:
        error.close()
        if have and error.code == 416:  # the whole file is here already, or it shrank upstream
            _drop_unless_complete(error, part, have)
            return
        raise
    with response, part.open("ab" if response.status == 206 else "wb") as out:
        expected = response.length
        progress = Progress(url.rpartition("/")[2], out.tell(), expected)
        copied = _copy(response, out, progress)
        os.fsync(out.fileno())
    if expected is not None and copied < expected:
        raise ConnectionError(f"connection closed after {copied} of {expected} bytes")


def _copy(response: http.client.HTTPResponse, out: BinaryIO, progress: Progress) -> int:
    copied = 0
    while chunk := response.read1(CHUNK):
        out.write(chunk)
        copied += len(chunk)
        progress.advance(len(chunk))
    return copied


def _drop_unless_complete(error: urllib.error.HTTPError, part: Path, have: int) -> None:
    total = (error.headers.get("Content-Range") or "").rpartition("/")[2]
    if total != str(have):
        part.unlink()
        raise ConnectionError(
            f"the file upstream has {total or 'an unknown number of'} bytes, not {have}"
        )


def verify(path: Path, file: RawFile, quarantine: Path, source: object) -> None:
    """Check a file's sum (see RawFile); a bad file is copied aside first.

    Raises:
        ChecksumError: If the sums differ.
        CorruptDataError: If the file is not a whole gzip stream.
    """
    try:
        got = _digest(path, file)
    except CorruptDataError:
        _set_aside(path, file, quarantine)
        raise
    if got != file.digest:
        kept = _set_aside(path, file, quarantine)
        label = file.algorithm.upper().replace("SHA", "SHA-")
        raise ChecksumError(
            f"{file.name} from {source}",
            got=f"{label} {got}",
            wanted=f"{label} {file.digest}",
            remedy=f"Replace the file at its source; the bad copy is kept as {kept}.",
        )


def _digest(path: Path, file: RawFile) -> str:
    if file.payload:
        return hashlib.new(file.algorithm, read_gzip(path)).hexdigest()
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, file.algorithm).hexdigest()


def _set_aside(path: Path, file: RawFile, quarantine: Path) -> Path:
    quarantine.mkdir(parents=True, exist_ok=True)
    kept = quarantine / f"{file.name}.bad"
    shutil.copyfile(path, kept)
    return kept


def read_gzip(path: Path) -> bytes:
    """Decompress `path`, at most MAX_PAYLOAD bytes.

    Raises:
        CorruptDataError: If it is not a whole gzip stream, or expands beyond the limit.
    """
    try:
        with gzip.open(path) as stream:
            payload = stream.read(MAX_PAYLOAD + 1)
    except (OSError, EOFError, zlib.error) as error:
        if isinstance(error, FileNotFoundError | PermissionError):
            raise
        raise CorruptDataError(
            str(path),
            got=f"a broken gzip stream ({error})",
            wanted="a whole gzip file",
            remedy="Fetch the file again from its source.",
        ) from None
    if len(payload) > MAX_PAYLOAD:
        raise CorruptDataError(
            str(path),
            got=f"more than {MAX_PAYLOAD} bytes after decompression",
            wanted=f"at most {MAX_PAYLOAD}",
            remedy="This is not the file it claims to be; fetch it again.",
        )
    return payload
