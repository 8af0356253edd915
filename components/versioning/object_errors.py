"""What an object store can answer, in words and classes of our own tree.

A passing trouble (no connection, an overloaded server) is a DataUnavailableError, which callers may
retry; everything a person has to correct is an ObjectStoreError. Causes are told by code; where an
unknown message is quoted, whatever looks like a key or a token is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from boto3.exceptions import S3UploadFailedError
from botocore import exceptions as botocore
from s3transfer import exceptions as transfer

from components.errors import DataUnavailableError, NightforgeError, ObjectStoreError

MAX_QUOTED = 200
LIKE_A_SECRET = re.compile(r"[\w+/=-]{16,}")


@dataclass(frozen=True)
class _Cause:
    got: str
    wanted: str
    remedy: str


_SET = "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (or AWS_PROFILE)"
_NO_CREDENTIALS = _Cause("no usable credentials", "an access key and its secret", f"{_SET}.")
_WRONG_CREDENTIALS = _Cause(
    "wrong credentials", "a key and secret that the server knows", f"{_SET} to the right ones."
)
_DENIED = _Cause(
    "access denied",
    "credentials that may list, read, write and delete here",
    "Check the credentials, and ask the owner of the bucket for these rights.",
)
_REGION = _Cause("another region", "the region of the bucket", "Correct the region.")
_BAD_NAME = _Cause(
    "an invalid bucket name",
    "3 to 63 lower-case letters, digits and hyphens",
    "Correct the bucket in the address.",
)
_NO_BUCKET = _Cause(
    "no such bucket", "a bucket that exists", "Create it or correct the bucket in the address."
)
_NO_OBJECT = _Cause(
    "no such object", "an object that exists", "Check the key and the prefix of the address."
)
_CLOCK = _Cause(
    "clocks that differ too much", "the server's time within minutes", "Set this machine's clock."
)
_CERTIFICATE = _Cause(
    "a certificate that cannot be verified",
    "one that this machine trusts",
    "Set AWS_CA_BUNDLE to the server's certificate authority.",
)
_CHANGED = _Cause(
    "another object than at the start of the reading",
    "one that stays the same meanwhile",
    "Try again.",
)

_BY_CODE = {
    **dict.fromkeys(("InvalidAccessKeyId", "SignatureDoesNotMatch"), _WRONG_CREDENTIALS),
    **dict.fromkeys(("InvalidToken", "ExpiredToken", "401"), _WRONG_CREDENTIALS),
    **dict.fromkeys(("AccessDenied", "AllAccessDisabled", "Forbidden", "403"), _DENIED),
    **dict.fromkeys(("AuthorizationHeaderMalformed", "PermanentRedirect", "301"), _REGION),
    **dict.fromkeys(("InvalidBucketName", "InvalidBucketNameLength"), _BAD_NAME),
    **dict.fromkeys(("NoSuchKey", "404"), _NO_OBJECT),
    "NoSuchBucket": _NO_BUCKET,
    "RequestTimeTooSkewed": _CLOCK,
}
_PASSING_CODES = {"SlowDown", "RequestTimeout", "OperationAborted", "PreconditionFailed"}
_PASSING_STATUS = {408, 429}

_LOGIN = (
    botocore.NoCredentialsError,
    botocore.PartialCredentialsError,
    botocore.CredentialRetrievalError,
    botocore.NoAuthTokenError,
    botocore.TokenRetrievalError,
    botocore.SSOError,
    botocore.LoginError,
    botocore.ProfileNotFound,
)
_UNREACHABLE = (
    botocore.ConnectionError,
    botocore.HTTPClientError,
    botocore.IncompleteReadError,
    ConnectionError,
    TimeoutError,
    transfer.RetriesExceededError,
)
_KNOWN = (
    botocore.BotoCoreError,
    botocore.ClientError,
    S3UploadFailedError,
    transfer.RetriesExceededError,
    transfer.S3DownloadFailedError,
    transfer.S3ValidationError,
    OSError,
)


@contextmanager
def explained(subject: str) -> Iterator[None]:
    """Turn what boto3 raises inside the block into an error of our own.

    Args:
        subject: What the work is about: an address and the server it is on.

    Raises:
        DataUnavailableError: For what may pass.
        ObjectStoreError: For what may not.
    """
    try:
        yield
    except _KNOWN as error:
        # boto3 hides the server's answer behind the failed upload.
        wrapped = isinstance(error, S3UploadFailedError) and error.__context__
        raise _translated(subject, wrapped or error) from None


def _translated(subject: str, error: BaseException) -> NightforgeError:
    if isinstance(error, botocore.ClientError):
        return _answered(subject, error.response)
    if isinstance(error, botocore.SSLError):
        return _final(subject, _CERTIFICATE)
    if isinstance(error, _LOGIN):
        return _final(subject, _NO_CREDENTIALS)
    if isinstance(error, _UNREACHABLE):
        return _passing(subject, f"no answer or a broken connection ({type(error).__name__})")
    if isinstance(error, transfer.S3DownloadFailedError | transfer.S3ValidationError):
        return DataUnavailableError(subject, **vars(_CHANGED))
    if isinstance(error, botocore.ParamValidationError) and "bucket name" in str(error):
        return _final(subject, _BAD_NAME)
    if isinstance(error, OSError):
        return _final(subject, _local(error))
    return _final(subject, _unknown(type(error).__name__, str(error)))


def _answered(subject: str, response: dict[str, Any]) -> NightforgeError:
    """What the server itself said."""
    code = str(response.get("Error", {}).get("Code", "no code"))
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in _PASSING_CODES or status in _PASSING_STATUS or status >= 500:
        return _passing(subject, f"{code} (HTTP status {status})")
    message = str(response.get("Error", {}).get("Message", ""))
    return _final(subject, _BY_CODE.get(code) or _unknown(code, message))


def _unknown(name: str, message: str) -> _Cause:
    quoted = " ".join(LIKE_A_SECRET.sub("…", message).split())[:MAX_QUOTED]
    return _Cause(
        f"{name}: {quoted}", "a service that speaks S3", "Check the address and the server's log."
    )


def _local(error: OSError) -> _Cause:
    return _Cause(
        f"{error.strerror or error} ({error.filename or 'local file'})",
        "a local file that can be read or written, with space left",
        "Free space or correct the path or its permissions.",
    )


def _final(subject: str, cause: _Cause) -> ObjectStoreError:
    return ObjectStoreError(subject, **vars(cause))


def _passing(subject: str, got: str) -> DataUnavailableError:
    return DataUnavailableError(
        subject,
        got=got,
        wanted="a reachable object store",
        remedy="Check that the server runs and that the endpoint is right, then try again.",
    )
