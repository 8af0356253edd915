"""Files in a bucket of an S3-compatible service: the only module that drives boto3."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO
from urllib.parse import urlsplit, urlunsplit

import boto3.session
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from pydantic import BaseModel, ConfigDict, Field

from components.errors import ConfigError, DataUnavailableError, ObjectStoreError
from components.params import check
from components.settings import ADDRESS, PREFIX, Settings
from components.versioning.object_errors import explained

MEGABYTE = 1 << 20
ATTEMPTS = 5
CONNECT_SECONDS, READ_SECONDS = 10, 60
PAGE_SIZE = 1000
PROBE = ".nightforge-probe-"
# Never the C runtime, whose retries and threads are others than the ones tested.
TRANSFER = TransferConfig(
    multipart_threshold=8 * MEGABYTE,
    multipart_chunksize=8 * MEGABYTE,
    num_download_attempts=ATTEMPTS,
    preferred_transfer_client="classic",
)
# Names that a server on a file system would resolve to somewhere above the prefix.
CLIMBING = {".", ".."}

OnBytes = Callable[[int], None]


class S3Settings(BaseModel):
    """Where the service is. Credentials are never kept here: AWS's own chain finds them.

    That chain is AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, then AWS_PROFILE
    and the files in ~/.aws, then the role of the machine.
    """

    # An address somebody put a password into is refused, and must not be shown in the refusal.
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    endpoint: str | None = Field(
        None,
        pattern=ADDRESS,
        description="Address of the S3-compatible service; empty means AWS",
    )
    region: str | None = Field(None, min_length=1, description="Region of the bucket")


@dataclass(frozen=True)
class ObjectInfo:
    """One stored object.

    Attributes:
        key: Name below the store's prefix.
        size: Bytes.
        etag: The server's tag of the content: an md5 for small objects only.
        modified: Time of the last write, with a time zone.
    """

    key: str
    size: int
    etag: str
    modified: datetime


def s3_settings(settings: Settings) -> S3Settings:
    """Those of this installation.

    Raises:
        ConfigError: If the endpoint is no usable address.
    """
    values = {"endpoint": settings.s3_endpoint, "region": settings.s3_region}
    return check(S3Settings, values, f"{PREFIX}S3")


def open_store(url: str, settings: S3Settings) -> ObjectStore:
    """A store over `url`; nothing is sent yet.

    Args:
        url: `s3://bucket` or `s3://bucket/prefix`.
        settings: Endpoint and region.

    Raises:
        ConfigError: If the address is not of that form.
        ObjectStoreError: If AWS_PROFILE names a profile that does not exist.
    """
    bucket, prefix = _split(url)
    with explained(f"s3://{bucket}"):
        # A session of its own: the default one is shared by the process and not thread-safe.
        client = boto3.session.Session().client(
            "s3",
            endpoint_url=settings.endpoint,
            region_name=settings.region,
            config=Config(
                connect_timeout=CONNECT_SECONDS,
                read_timeout=READ_SECONDS,
                retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
                # The newer checksums are unknown to many services that speak S3.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
                # Only AWS is sure to have a DNS name for each bucket.
                s3={"addressing_style": "path" if settings.endpoint else "auto"},
            ),
        )
    return ObjectStore(client, bucket, prefix)


class ObjectStore:
    """One prefix of one bucket.

    Keys are relative to the prefix and cannot leave it. Requests are repeated with growing pauses;
    what still fails is a DataUnavailableError if it may pass and an ObjectStoreError if a person
    has to act. Safe to use from several threads; close it, or use it in a `with`.
    """

    def __init__(self, client: Any, bucket: str, prefix: str) -> None:
        self._client, self._bucket = client, bucket
        self._prefix = f"{prefix}/" if prefix else ""

    @property
    def url(self) -> str:
        """`s3://bucket/prefix`, without a slash at the end."""
        return f"s3://{self._bucket}/{self._prefix}".rstrip("/")

    def __repr__(self) -> str:
        return f"ObjectStore({self.url})"

    def __enter__(self) -> ObjectStore:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def list(self, prefix: str = "", *, page_size: int = PAGE_SIZE) -> Iterator[ObjectInfo]:
        """All objects whose key starts with `prefix`, in the server's order.

        Args:
            prefix: Start of the keys wanted, below the store's own prefix.
            page_size: Objects per request, 1 to 1000.
        """
        pages = iter(
            self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket,
                Prefix=self._prefix + prefix,
                PaginationConfig={"PageSize": page_size},
            )
        )
        while page := self._next(pages):
            for found in page.get("Contents", ()):
                if key := found["Key"].removeprefix(self._prefix):
                    yield ObjectInfo(
                        key, found["Size"], found["ETag"].strip('"'), found["LastModified"]
                    )

    def _next(self, pages: Iterator[dict[str, Any]]) -> dict[str, Any] | None:
        with explained(self._subject()):
            return next(pages, None)

    def get_file(self, key: str, path: Path, on_bytes: OnBytes | None = None) -> None:
        """Copy an object to `path`, whose folder exists.

        The bytes go to a hidden `*.part` beside it, which gets the final name once it is whole and
        on the disk. Large objects are read in ranges; a broken connection repeats its range only.

        Args:
            key: The object.
            path: The file to write; one that exists is replaced.
            on_bytes: Told the number of new bytes, from several threads; negative when some
                have to be read again.

        Raises:
            DataUnavailableError: If the server cannot be reached, or the object changes meanwhile.
            ObjectStoreError: If the object does not exist or the file cannot be written.
        """
        subject, place = self._subject(key), self._place(key)
        with explained(subject), _replacing(path) as stream:
            wanted: int = self._client.head_object(**place)["ContentLength"]
            self._download(place, stream, on_bytes)
            stream.flush()
            if (got := os.fstat(stream.fileno()).st_size) != wanted:
                raise DataUnavailableError(
                    subject, got=f"{got} bytes", wanted=f"{wanted}", remedy="Try again."
                )

    def put_file(self, path: Path, key: str, on_bytes: OnBytes | None = None) -> None:
        """Store a file, in several parts above 8 MB; a reader never sees half of it.

        Raises:
            DataUnavailableError: If the server cannot be reached.
            ObjectStoreError: If it refuses, or the file cannot be read.
        """
        place = self._place(key)
        with explained(self._subject(key)):
            self._client.upload_file(str(path), **place, Callback=on_bytes, Config=TRANSFER)

    def get_bytes(self, key: str) -> bytes:
        """The content of an object that fits into memory."""
        content = BytesIO()
        with explained(self._subject(key)):
            self._download(self._place(key), content)
        return content.getvalue()

    def put_bytes(self, content: bytes, key: str) -> None:
        """Store a small object."""
        with explained(self._subject(key)):
            self._client.put_object(**self._place(key), Body=content)

    def delete(self, key: str) -> None:
        """Delete an object; one that does not exist is no error."""
        with explained(self._subject(key)):
            self._client.delete_object(**self._place(key))

    def exists(self, key: str) -> bool:
        """Whether there is such an object."""
        place = self._place(key)
        with explained(self._subject(key)):
            try:
                self._client.head_object(**place)
            except self._client.exceptions.ClientError as error:
                if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                    return False
                raise
        return True

    def ensure_bucket(self) -> None:
        """Create the bucket if it is missing; prove that objects can be written, read and deleted.

        Raises:
            DataUnavailableError: If the server cannot be reached.
            ObjectStoreError: If credentials are missing or wrong, a right is missing, the bucket
                has an invalid name, or the server does not do what it is told.
        """
        probe, content = PROBE + secrets.token_hex(8), secrets.token_bytes(32)
        self._put_probe(probe, content)
        try:
            same = self.get_bytes(probe) == content
        finally:
            self.delete(probe)
        if not same or self.exists(probe):
            raise ObjectStoreError(
                self._subject(),
                got="other bytes than were written" if not same else "an object after its deletion",
                wanted="a store that keeps what it is given and deletes what it is told",
                remedy="Check the server's log, and for a cache between it and this machine.",
            )

    def _put_probe(self, probe: str, content: bytes) -> None:
        # Asking for the bucket first would need one right more, and a HEAD has no words for a no.
        with explained(self._subject()):
            try:
                self._client.put_object(**self._place(probe), Body=content)
            except self._client.exceptions.NoSuchBucket:
                self._create_bucket()
                self._client.put_object(**self._place(probe), Body=content)

    def _create_bucket(self) -> None:
        region, known = self._client.meta.region_name, self._client.exceptions
        elsewhere = region not in (None, "aws-global", "us-east-1")
        where = {"CreateBucketConfiguration": {"LocationConstraint": region}} if elsewhere else {}
        # Another process may be faster; if it was another owner, the probe is refused.
        with suppress(known.BucketAlreadyExists, known.BucketAlreadyOwnedByYou):
            self._client.create_bucket(Bucket=self._bucket, **where)

    def _download(self, place: dict[str, str], out: BinaryIO, tell: OnBytes | None = None) -> None:
        self._client.download_fileobj(**place, Fileobj=out, Callback=tell, Config=TRANSFER)

    def _place(self, key: str) -> dict[str, str]:
        if not key or key.startswith("/") or CLIMBING & set(key.split("/")):
            raise ObjectStoreError(
                self._subject(),
                got=f"the key {key!r}",
                wanted="a name below the prefix, without '.' and '..' as parts",
                remedy="Rename the object.",
            )
        return {"Bucket": self._bucket, "Key": self._prefix + key}

    def _subject(self, key: str = "") -> str:
        endpoint = urlsplit(self._client.meta.endpoint_url)
        # AWS_ENDPOINT_URL may hold a password, which is nobody else's business.
        shown = urlunsplit(endpoint._replace(netloc=endpoint.netloc.rpartition("@")[2]))
        return f"{self.url}{'/' if key else ''}{key} at {shown}"


def _split(url: str) -> tuple[str, str]:
    scheme, separator, rest = url.partition("://")
    bucket, _, prefix = rest.partition("/")
    prefix = prefix.strip("/")
    usual = scheme == "s3" and separator and bucket and not set("@:?#") & set(bucket)
    if not usual or {"", *CLIMBING} & set(prefix.split("/") if prefix else ()):
        raise ConfigError(
            "address of the object store",
            # A password before an @ is not for the log.
            got="one with an @" if "@" in url else repr(url),
            wanted="s3://bucket or s3://bucket/prefix",
            remedy="Correct it; credentials belong into AWS_* variables or an AWS profile.",
        )
    return bucket, prefix


@contextmanager
def _replacing(path: Path) -> Iterator[BinaryIO]:
    """A stream to a temporary name that becomes `path` if the block ends well."""
    part = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        with part.open("xb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(part, path)
        _sync_directory(path.parent)
    finally:
        part.unlink(missing_ok=True)


def _sync_directory(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
