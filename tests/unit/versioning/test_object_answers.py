"""What a server may answer, said by a small one over a real connection, and other troubles."""

from __future__ import annotations

import http.server
import os
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import Message
from pathlib import Path

import pytest
from botocore import exceptions as botocore
from pydantic import ValidationError
from s3transfer import exceptions as transfer

from components.errors import ConfigError, DataUnavailableError, NightforgeError, ObjectStoreError
from components.versioning.object_errors import explained
from components.versioning.objects import ObjectStore, S3Settings, open_store

SECRET = "5ecret-5ecret-5ecret"
ERROR = "<Error><Code>{code}</Code><Message>you said {secret}\nand more</Message></Error>"


@dataclass
class Answers:
    """What the server says next, and what it was asked."""

    status: int = 200
    code: str = ""
    claimed: int = 10
    sent: bytes = b"0123456789"
    seen: list[tuple[str, str, Message]] = field(default_factory=list)


@pytest.fixture
def answers() -> Answers:
    return Answers()


@pytest.fixture
def endpoint(answers: Answers) -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # clients wait for its "100 Continue"

        def answer(self) -> None:
            answers.seen.append((self.command, self.path, self.headers))
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            error = ERROR.format(code=answers.code, secret=SECRET).encode() if answers.code else b""
            body = error or (answers.sent if self.command == "GET" else b"")
            head = self.command == "HEAD"
            self.send_response(answers.status)
            self.send_header("Content-Length", str(answers.claimed if head else len(body)))
            self.send_header("ETag", '"tag"')
            self.send_header("Connection", "close")
            self.end_headers()
            if not head:
                self.wfile.write(body)

        do_GET = do_PUT = do_HEAD = do_DELETE = answer  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        yield f"http://localhost:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def logged_in(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in list(os.environ):
        if re.match(r"AWS_|(http|https|all)_proxy$", name, re.IGNORECASE):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody-known")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    return monkeypatch


@pytest.fixture
def store(endpoint: str, logged_in: pytest.MonkeyPatch) -> Iterator[ObjectStore]:
    with open_store("s3://bucket/prefix", S3Settings(endpoint=endpoint, region=None)) as made:
        yield made


@pytest.mark.parametrize(
    ("status", "code", "says"),
    [
        (403, "AccessDenied", "access denied"),
        (403, "InvalidAccessKeyId", "wrong credentials"),
        (403, "SignatureDoesNotMatch", "wrong credentials"),
        (400, "ExpiredToken", "wrong credentials"),
        (403, "RequestTimeTooSkewed", "clocks that differ"),
        (400, "AuthorizationHeaderMalformed", "another region"),
        (400, "InvalidBucketName", "an invalid bucket name"),
        (404, "NoSuchKey", "no such object"),
    ],
)
def test_a_refusal_is_explained_and_nothing_secret_repeated(
    store: ObjectStore, answers: Answers, status: int, code: str, says: str
) -> None:
    answers.status, answers.code = status, code
    with pytest.raises(ObjectStoreError, match=says) as caught:
        store.put_bytes(b"x", "key")
    assert len(answers.seen) == 1
    assert str(caught.value).startswith("s3://bucket/prefix/key at http://localhost:")
    assert SECRET not in str(caught.value)


def test_an_answer_nobody_expected_is_quoted_in_one_line(
    store: ObjectStore, answers: Answers
) -> None:
    answers.status, answers.code = 400, "Weird"
    with pytest.raises(ObjectStoreError, match="Weird: you said") as caught:
        store.put_bytes(b"x", "key")
    assert "… and more" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert SECRET not in str(caught.value)


def test_an_object_of_another_size_than_announced(
    store: ObjectStore, answers: Answers, tmp_path: Path
) -> None:
    answers.sent = b"01234"
    with pytest.raises(DataUnavailableError, match="got 5 bytes, wanted 10"):
        store.get_file("key", tmp_path / "file")
    assert list(tmp_path.iterdir()) == []


def test_a_store_that_forgets_is_found_out(store: ObjectStore, answers: Answers) -> None:
    with pytest.raises(ObjectStoreError, match="other bytes than were written"):
        store.ensure_bucket()
    assert answers.seen[-1][0] == "DELETE"


def test_requests_suit_services_other_than_aws(
    store: ObjectStore, answers: Answers, tmp_path: Path
) -> None:
    store.put_bytes(b"x", "key")
    store.get_file("key", tmp_path / "file")
    for _, path, headers in answers.seen:
        assert path.startswith("/bucket/prefix/key")
        assert "checksum" not in " ".join(headers.keys()).lower()


@pytest.mark.slow
def test_an_overloaded_server_is_asked_again(store: ObjectStore, answers: Answers) -> None:
    answers.status, answers.code = 503, "SlowDown"
    with pytest.raises(DataUnavailableError, match="SlowDown"):
        store.put_bytes(b"x", "key")
    assert len(answers.seen) == 5


@pytest.mark.parametrize(
    "trouble",
    [
        botocore.EndpointConnectionError(endpoint_url="http://a"),
        botocore.ReadTimeoutError(endpoint_url="http://a"),
        botocore.ConnectionClosedError(endpoint_url="http://a"),
        botocore.ResponseStreamingError(error="broken"),
        botocore.ClientError(
            {"Error": {}, "ResponseMetadata": {"HTTPStatusCode": 500}}, "PutObject"
        ),
        transfer.RetriesExceededError(TimeoutError()),
        transfer.S3DownloadFailedError("etag"),
        ConnectionResetError(),
    ],
    ids=lambda trouble: type(trouble).__name__,
)
def test_what_may_pass(trouble: Exception) -> None:
    with pytest.raises(DataUnavailableError), explained("s3://a"):
        raise trouble


@pytest.mark.parametrize(
    ("trouble", "says"),
    [
        (botocore.SSLError(endpoint_url="https://a", error="x"), "certificate"),
        (botocore.NoCredentialsError(), "no usable credentials"),
        (botocore.SSOTokenLoadError(error_msg="x"), "no usable credentials"),
        (botocore.InvalidRegionError(region_name="!"), "InvalidRegionError"),
        (OSError(28, "No space left on device", "/x"), "No space left"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_what_a_person_has_to_correct(trouble: Exception, says: str) -> None:
    with pytest.raises(ObjectStoreError, match=says), explained("s3://a"):
        raise trouble


def test_an_error_of_our_own_passes_unchanged() -> None:
    ours = ObjectStoreError("a", got="b", wanted="c", remedy="d")
    with pytest.raises(NightforgeError) as caught, explained("s3://a"):
        raise ours
    assert caught.value is ours


@pytest.mark.parametrize(
    "url",
    ["", "bucket", "http://bucket/a", "s3://", "s3:///a", "s3://b/../a", "s3://b/a//c", "s3://b?x"],
)
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(repr(url))):
        open_store(url, S3Settings(endpoint=None, region=None))


def test_a_password_in_an_address_is_not_repeated(logged_in: pytest.MonkeyPatch) -> None:
    for refuse in (
        lambda: open_store(f"s3://me:{SECRET}@bucket/a", S3Settings(endpoint=None, region=None)),
        lambda: S3Settings(endpoint=f"http://me:{SECRET}@host", region=None),
    ):
        with pytest.raises((ConfigError, ValidationError)) as caught:
            refuse()
        assert SECRET not in str(caught.value)
    logged_in.setenv("AWS_ENDPOINT_URL", f"http://me:{SECRET}@localhost:9")
    store = open_store("s3://bucket", S3Settings(endpoint=None, region=None))
    with store, pytest.raises(ObjectStoreError) as refused:
        store.exists("/")
    assert "at http://localhost:9" in str(refused.value)
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize("endpoint", ["localhost:9000", "ftp://a", "http://", "http://a b"])
def test_an_endpoint_that_is_none(endpoint: str) -> None:
    with pytest.raises(ValidationError):
        S3Settings(endpoint=endpoint, region=None)


@pytest.mark.parametrize(
    ("url", "shown"),
    [("s3://bucket", "s3://bucket"), ("s3://b-1/a/b/", "s3://b-1/a/b"), ("s3://b/", "s3://b")],
)
def test_an_address_is_kept_in_one_form(
    url: str, shown: str, logged_in: pytest.MonkeyPatch
) -> None:
    with open_store(url, S3Settings(endpoint=None, region=None)) as store:
        assert store.url == shown
        assert repr(store) == f"ObjectStore({shown})"


LISTING = """<ListBucketResult><Name>bucket</Name><IsTruncated>false</IsTruncated>
<Contents><Key>prefix/</Key><Size>0</Size><ETag>"e"</ETag>
<LastModified>2026-11-21T00:00:00Z</LastModified></Contents>
<Contents><Key>prefix/a%20b</Key><Size>3</Size><ETag>"abc-2"</ETag>
<LastModified>2026-11-21T00:00:00Z</LastModified></Contents>
<EncodingType>url</EncodingType></ListBucketResult>"""


def test_a_listing_as_aws_writes_it(store: ObjectStore, answers: Answers) -> None:
    answers.sent = LISTING.encode()
    (found,) = store.list()  # not the folder itself, which AWS's console leaves as an object
    assert (found.key, found.size, found.etag) == ("a b", 3, "abc-2")
