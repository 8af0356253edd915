"""S3-compatible object stores; the only module that imports boto3."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from pydantic import BaseModel, ConfigDict

from components.datasets.base import ObjectInfo
from components.errors import DataUnavailableError, ObjectStoreError
from components.settings import Settings

S3 = "s3://"
PART_BYTES = 8 << 20
ATTEMPTS = 4
PASSING = (
    "ConnectionError",
    "EndpointConnectionError",
    "ConnectionClosedError",
    "ConnectTimeoutError",
    "ReadTimeoutError",
    "ResponseStreamingError",
    "IncompleteReadError",
)


class S3Settings(BaseModel):
    """Which service to speak to; credentials come from the AWS_* variables or profile files."""

    model_config = ConfigDict(frozen=True)

    endpoint: str | None = None
    region: str | None = None

    @classmethod
    def of(cls, settings: Settings) -> S3Settings:
        """Those of this installation."""
        return cls(endpoint=settings.s3_endpoint, region=settings.s3_region)


def split_url(url: str) -> tuple[str, str]:
    """("bucket", "some/prefix") of s3://bucket/some/prefix.

    Raises:
        ObjectStoreError: If the address has another form.
    """
    bucket, _, prefix = url.removeprefix(S3).partition("/")
    if not url.startswith(S3) or not bucket:
        raise ObjectStoreError(
            f"address {url!r}",
            got="no bucket",
            wanted="s3://BUCKET or s3://BUCKET/PREFIX",
            remedy="Correct the address.",
        )
    return bucket, prefix.strip("/")


def open_store(url: str, settings: S3Settings) -> ObjectStore:
    """The store behind s3://bucket/prefix; nothing is sent yet.

    Raises:
        ObjectStoreError: If the address has another form.
    """
    import boto3
    from botocore.config import Config

    bucket, prefix = split_url(url)
    config = Config(
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        connect_timeout=5,
        read_timeout=30,
        # Other services than Amazon's do not know the newer checksums, nor buckets as host names.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={"addressing_style": "path"} if settings.endpoint else {},
    )
    client = boto3.client(
        "s3",
        endpoint_url=settings.endpoint,
        region_name=settings.region or (None if not settings.endpoint else "us-east-1"),
        config=config,
    )
    return ObjectStore(client, bucket, prefix)


class ObjectStore:
    """The objects of one bucket below one prefix; keys are relative to it."""

    def __init__(self, client: Any, bucket: str, prefix: str) -> None:
        self._client, self.bucket, self._prefix = client, bucket, prefix

    def _key(self, key: str) -> str:
        return f"{self._prefix}/{key}" if self._prefix else key

    def list(self, prefix: str = "", page_size: int = 1000) -> Iterator[ObjectInfo]:
        """All objects below `prefix`, page by page.

        Raises:
            DataUnavailableError: If the service cannot be reached.
            ObjectStoreError: If it refuses.
        """
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket,
            Prefix=self._key(prefix),
            PaginationConfig={"PageSize": page_size},
        )
        strip = len(self._prefix) + 1 if self._prefix else 0
        with self._translated("list"):
            for page in pages:
                for item in page.get("Contents", ()):
                    if not item["Key"].endswith("/"):
                        etag = item["ETag"].strip('"')
                        yield ObjectInfo(item["Key"][strip:], item["Size"], etag)

    def get_file(self, key: str, path: Path) -> None:
        """Bring an object to `path`, whole or not at all.

        boto3's transfer manager resumes parts of large objects; a cut connection is tried again.

        Raises:
            DataUnavailableError: If the service cannot be reached, or cuts every attempt.
            ObjectStoreError: If it refuses, or there is no such object.
        """
        from boto3.s3.transfer import TransferConfig

        part = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.part")
        try:
            with self._translated(key):
                config = TransferConfig(
                    multipart_threshold=PART_BYTES,
                    multipart_chunksize=PART_BYTES,
                    num_download_attempts=ATTEMPTS,
                )
                self._client.download_file(self.bucket, self._key(key), str(part), Config=config)
            with part.open("rb") as stream:
                os.fsync(stream.fileno())
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)

    def put_file(self, path: Path, key: str) -> None:
        """Store a file, in parts of 8 MB when it is larger.

        Raises:
            DataUnavailableError: If the service cannot be reached.
            ObjectStoreError: If it refuses.
        """
        from boto3.s3.transfer import TransferConfig

        config = TransferConfig(multipart_threshold=PART_BYTES, multipart_chunksize=PART_BYTES)
        with self._translated(key):
            self._client.upload_file(str(path), self.bucket, self._key(key), Config=config)

    def get_bytes(self, key: str) -> bytes:
        """A small object's content; errors as for `get_file`."""
        with self._translated(key):
            content: bytes = self._client.get_object(Bucket=self.bucket, Key=self._key(key))[
                "Body"
            ].read()
        return content

    def put_bytes(self, key: str, content: bytes) -> None:
        """Store a small object; errors as for `put_file`."""
        with self._translated(key):
            self._client.put_object(Bucket=self.bucket, Key=self._key(key), Body=content)

    def delete(self, key: str) -> None:
        """Remove an object; errors as for `put_file`."""
        with self._translated(key):
            self._client.delete_object(Bucket=self.bucket, Key=self._key(key))

    def ensure_bucket(self) -> None:
        """Create the bucket if it is missing, and prove that it can be written, read and cleared.

        Raises:
            DataUnavailableError: If the service cannot be reached.
            ObjectStoreError: If credentials, rights or the bucket's name are wrong.
        """
        from botocore.exceptions import ClientError

        with self._translated("bucket"):
            try:
                self._client.head_bucket(Bucket=self.bucket)
            except ClientError as error:
                if error.response["ResponseMetadata"]["HTTPStatusCode"] != 404:
                    raise
                self._create_bucket()
        key, content = f"nightforge-probe-{uuid4().hex}", uuid4().bytes
        self.put_bytes(key, content)
        back = self.get_bytes(key)
        self.delete(key)
        if back != content:
            raise ObjectStoreError(
                f"bucket {self.bucket}",
                got=f"{len(back)} other bytes than were written",
                wanted="an object store that returns what it is given",
                remedy="Check what else stands behind this endpoint.",
            )

    def _create_bucket(self) -> None:
        region = self._client.meta.region_name
        amazon = self._client.meta.endpoint_url.endswith("amazonaws.com")
        elsewhere = amazon and region != "us-east-1"
        where = {"CreateBucketConfiguration": {"LocationConstraint": region}} if elsewhere else {}
        self._client.create_bucket(Bucket=self.bucket, **where)

    @contextmanager
    def _translated(self, what: str) -> Iterator[None]:
        """The libraries' errors as this project's; neither keys nor signatures are in them."""
        from boto3.exceptions import Boto3Error
        from botocore.exceptions import BotoCoreError, ClientError

        subject = f"object store {S3}{self.bucket}/{self._prefix} ({what})"
        try:
            yield
        except ClientError as error:
            raise _refusal(subject, error.response) from None
        except (BotoCoreError, Boto3Error) as error:
            if _passing(error):
                raise DataUnavailableError(
                    subject,
                    got=f"no answer from {self._client.meta.endpoint_url}",
                    wanted="a reachable S3 service",
                    remedy="Check NIGHTFORGE_S3_ENDPOINT and the network, then try again.",
                ) from None
            raise ObjectStoreError(
                subject,
                got=" ".join(str(error).split()),
                wanted="a request that can be sent",
                remedy="Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and check the address.",
            ) from None


def _passing(error: BaseException | None) -> bool:
    """Whether the error, or what it wraps, is of the network."""
    while error is not None:
        if any(kind.__name__ in PASSING for kind in type(error).__mro__):
            return True
        if "Retries" in type(error).__name__:
            return True
        error = error.__cause__ or error.__context__
    return False


_REMEDIES = {
    "InvalidAccessKeyId": "Check AWS_ACCESS_KEY_ID.",
    "SignatureDoesNotMatch": "Check AWS_SECRET_ACCESS_KEY.",
    "AccessDenied": "Give this account the right to list, read, write and delete there.",
    "NoSuchBucket": "Run `nightforge data push`, which creates it, or correct the name.",
    "InvalidBucketName": "Bucket names have 3 to 63 lower-case letters, digits, dots and hyphens.",
}


def _refusal(subject: str, response: Any) -> ObjectStoreError:
    code = str(response.get("Error", {}).get("Code", "unknown"))
    message = str(response.get("Error", {}).get("Message", ""))
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", "no")
    denied = "Check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and this account's rights."
    return ObjectStoreError(
        subject,
        got=f"{code} (HTTP status {status}) {message}".strip(),
        wanted="leave to do this",
        remedy=_REMEDIES.get(code, denied if status in (401, 403) else "Check the address."),
    )
