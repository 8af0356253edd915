"""The object store against a real S3 server, over connections that break."""

from __future__ import annotations

import filecmp
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from components.errors import DataUnavailableError, ObjectStoreError
from components.settings import PROJECT_ROOT
from components.versioning import objects
from components.versioning.objects import ObjectStore, S3Settings, open_store
from tests.cutting_proxy import CuttingProxy
from tests.s3_server import S3Server, other_variables, serving_s3

MEGABYTE = 1 << 20
SMALL, LARGE = 4 * MEGABYTE, 20 * MEGABYTE

pytestmark = pytest.mark.servers

OpenStore = Callable[..., ObjectStore]


@pytest.fixture
def opened(logged_in: S3Server) -> Iterator[OpenStore]:
    """Opens stores on the server, or at another endpoint that leads to it; closes them."""
    stores: list[ObjectStore] = []

    def build(url: str, endpoint: str | None = None, region: str | None = None) -> ObjectStore:
        settings = S3Settings(endpoint=endpoint or logged_in.endpoint, region=region)
        stores.append(open_store(url, settings))
        return stores[-1]

    yield build
    for store in stores:
        store.close()


@pytest.fixture
def store(logged_in: S3Server, opened: OpenStore) -> ObjectStore:
    """A prefix of an own bucket, which exists."""
    made = opened(f"s3://{logged_in.fresh_bucket()}/team/data")
    made.ensure_bucket()
    return made


def payload(size: int) -> bytes:
    return random.Random(size).randbytes(size)


def test_bytes_and_files_come_back_as_they_went(store: ObjectStore, tmp_path: Path) -> None:
    source, back = tmp_path / "source", tmp_path / "back"
    source.write_bytes(payload(1000))
    store.put_file(source, "folder/a file, with ümlaut")
    store.put_bytes(b"", "empty")
    store.get_file("folder/a file, with ümlaut", back)
    assert back.read_bytes() == source.read_bytes()
    assert store.get_bytes("folder/a file, with ümlaut") == source.read_bytes()
    assert store.get_bytes("empty") == b""
    store.get_file("empty", back)
    assert back.read_bytes() == b""
    assert sorted(path.name for path in tmp_path.iterdir()) == ["back", "source"]


def test_a_listing_says_what_is_stored(store: ObjectStore) -> None:
    before = datetime.now(UTC) - timedelta(seconds=2)
    store.put_bytes(b"abc", "folder/one")
    (found,) = store.list()
    assert (found.key, found.size) == ("folder/one", 3)
    assert found.etag == "900150983cd24fb0d6963f7d28e17f72"  # md5 of abc
    assert before <= found.modified <= datetime.now(UTC) + timedelta(seconds=2)


def test_existence_and_deletion(store: ObjectStore) -> None:
    store.put_bytes(b"x", "a")
    assert store.exists("a")
    store.delete("a")
    store.delete("a")
    assert not store.exists("a")
    with pytest.raises(ObjectStoreError, match="no such object"):
        store.get_bytes("a")


def test_a_hundred_megabytes_in_parts(
    store: ObjectStore, opened: OpenStore, logged_in: S3Server, big_file: Path, tmp_path: Path
) -> None:
    back, sent, received = tmp_path / "back", [], []
    with CuttingProxy(logged_in.port) as proxy:
        through = opened(store.url, proxy.endpoint)
        through.put_file(big_file, "big", sent.append)
        through.get_file("big", back, received.append)
        through.close()
    assert filecmp.cmp(big_file, back, shallow=False)
    back.unlink()
    assert proxy.count("partNumber=") == 13
    assert proxy.count("GET ") == 13
    assert sum(sent) == sum(received) == big_file.stat().st_size


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_a_connection_that_breaks_while_reading(
    store: ObjectStore, opened: OpenStore, logged_in: S3Server, tmp_path: Path, size: int
) -> None:
    store.put_bytes(payload(size), "k")
    received: list[int] = []
    with CuttingProxy(logged_in.port, down=size // 2) as proxy:
        through = opened(store.url, proxy.endpoint)
        through.get_file("k", tmp_path / "back", received.append)
        through.close()
    assert proxy.acted.is_set()
    assert (tmp_path / "back").read_bytes() == payload(size)
    assert sum(received) == size


def test_a_connection_that_breaks_while_reading_into_memory(
    store: ObjectStore, opened: OpenStore, logged_in: S3Server
) -> None:
    store.put_bytes(payload(SMALL), "k")
    with CuttingProxy(logged_in.port, down=SMALL // 2) as proxy:
        through = opened(store.url, proxy.endpoint)
        assert through.get_bytes("k") == payload(SMALL)
        through.close()
    assert proxy.acted.is_set()


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_a_connection_that_breaks_while_writing(
    store: ObjectStore, opened: OpenStore, logged_in: S3Server, tmp_path: Path, size: int
) -> None:
    (tmp_path / "source").write_bytes(payload(size))
    with CuttingProxy(logged_in.port, up=size // 2) as proxy:
        through = opened(store.url, proxy.endpoint)
        through.put_file(tmp_path / "source", "k")
        through.close()
    assert proxy.acted.is_set()
    assert store.get_bytes("k") == payload(size)


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_server_that_leaves_while_reading(
    store: ObjectStore, opened: OpenStore, logged_in: S3Server, tmp_path: Path
) -> None:
    store.put_bytes(payload(LARGE), "k")
    (tmp_path / "back").write_bytes(b"before")
    with CuttingProxy(logged_in.port, down=LARGE // 2, action="leave") as proxy:
        through = opened(store.url, proxy.endpoint)
        with pytest.raises(DataUnavailableError, match="a reachable object store"):
            through.get_file("k", tmp_path / "back")
        through.close()
    assert proxy.acted.is_set()
    assert [path.name for path in tmp_path.iterdir()] == ["back"]
    assert (tmp_path / "back").read_bytes() == b"before"


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_server_that_is_gone(logged_in: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving_s3() as server:
        for name, value in server.environ.items():
            monkeypatch.setenv(name, value)
        store = open_store("s3://bucket", S3Settings(endpoint=server.endpoint, region=None))
        store.ensure_bucket()
    with store, pytest.raises(DataUnavailableError, match=server.endpoint) as caught:
        store.ensure_bucket()
    assert "no answer" in str(caught.value)


@pytest.mark.slow
@pytest.mark.timeout(200)
@pytest.mark.parametrize("direction", ["up", "down"])
def test_a_server_that_falls_silent(
    store: ObjectStore,
    opened: OpenStore,
    logged_in: S3Server,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    direction: str,
) -> None:
    (tmp_path / "source").write_bytes(payload(LARGE))
    store.put_file(tmp_path / "source", "k")
    monkeypatch.setattr(objects, "CONNECT_SECONDS", 0.5)
    monkeypatch.setattr(objects, "READ_SECONDS", 0.5)
    with CuttingProxy(logged_in.port, **{direction: LARGE // 2}, action="hold") as proxy:
        through = opened(store.url, proxy.endpoint)
        put = partial(through.put_file, tmp_path / "source", "k")
        get = partial(through.get_file, "k", tmp_path / "back")
        with pytest.raises(DataUnavailableError, match="no answer"):
            (put if direction == "up" else get)()
        through.close()
    assert proxy.acted.is_set()
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_a_killed_reader_leaves_no_file(
    store: ObjectStore, logged_in: S3Server, tmp_path: Path
) -> None:
    store.put_bytes(payload(LARGE), "k")
    code = (
        "import sys, pathlib\n"
        "from components.versioning.objects import S3Settings, open_store\n"
        "store = open_store(sys.argv[1], S3Settings(endpoint=sys.argv[2], region=None))\n"
        "store.get_file('k', pathlib.Path(sys.argv[3]))\n"
    )
    final = tmp_path / "final"
    with CuttingProxy(logged_in.port, down=LARGE // 2, action="hold") as proxy:
        reader = subprocess.Popen(
            [sys.executable, "-c", code, store.url, proxy.endpoint, str(final)],
            cwd=PROJECT_ROOT,
            env=other_variables() | logged_in.environ,
        )
        with reader:
            assert proxy.acted.wait(60)
            reader.send_signal(signal.SIGKILL)
    assert reader.returncode == -signal.SIGKILL
    (part,) = tmp_path.iterdir()
    assert part.suffix == ".part"
    store.get_file("k", final)
    assert final.read_bytes() == payload(LARGE)


def test_a_failed_read_leaves_what_was_there(store: ObjectStore, tmp_path: Path) -> None:
    (tmp_path / "back").write_bytes(b"before")
    with pytest.raises(ObjectStoreError, match="no such object"):
        store.get_file("nothing", tmp_path / "back")
    assert [path.name for path in tmp_path.iterdir()] == ["back"]
    assert (tmp_path / "back").read_bytes() == b"before"


def test_a_link_is_replaced_and_never_followed(store: ObjectStore, tmp_path: Path) -> None:
    store.put_bytes(b"new", "k")
    (tmp_path / "outside").write_bytes(b"old")
    (tmp_path / "link").symlink_to(tmp_path / "outside")
    store.get_file("k", tmp_path / "link")
    assert (tmp_path / "outside").read_bytes() == b"old"
    assert not (tmp_path / "link").is_symlink()
    assert (tmp_path / "link").read_bytes() == b"new"


def test_local_files_that_cannot_be_used(store: ObjectStore, tmp_path: Path) -> None:
    store.put_bytes(b"x", "k")
    with pytest.raises(ObjectStoreError, match="No such file"):
        store.get_file("k", tmp_path / "missing" / "file")
    with pytest.raises(ObjectStoreError, match="No such file"):
        store.put_file(tmp_path / "missing", "k")
    assert store.get_bytes("k") == b"x"


def test_a_listing_of_several_pages(
    store: ObjectStore, opened: OpenStore, logged_in: S3Server
) -> None:
    keys = [f"folder/{number:02}" for number in range(25)]
    for key in keys:
        store.put_bytes(b"x", key)
    with CuttingProxy(logged_in.port) as proxy:
        through = opened(store.url, proxy.endpoint)
        assert [found.key for found in through.list("folder/", page_size=10)] == keys
        through.close()
    assert proxy.count("list-type=2") == 3


def test_a_prefix_is_alone(store: ObjectStore, opened: OpenStore) -> None:
    bucket = store.url.removesuffix("/team/data")
    neighbour, whole = opened(f"{bucket}/team/data2"), opened(bucket)
    neighbour.put_bytes(b"theirs", "k")
    store.put_bytes(b"ours", "k")
    assert [found.key for found in store.list()] == ["k"]
    assert {found.key for found in whole.list()} == {"team/data/k", "team/data2/k"}
    store.delete("k")
    assert neighbour.get_bytes("k") == b"theirs"


@pytest.mark.parametrize("key", ["", "/absolute", "../data2/k", "a/../../k", "a/..", "./k"])
def test_a_key_cannot_leave_the_prefix(store: ObjectStore, tmp_path: Path, key: str) -> None:
    for work in (store.get_bytes, store.delete, store.exists):
        with pytest.raises(ObjectStoreError, match="a name below the prefix"):
            work(key)
    with pytest.raises(ObjectStoreError, match="a name below the prefix"):
        store.get_file(key, tmp_path / "file")
    with pytest.raises(ObjectStoreError, match="a name below the prefix"):
        store.put_bytes(b"x", key)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("region", [None, "us-east-1", "eu-central-1"])
def test_a_missing_bucket_is_made_and_the_probe_removed(
    logged_in: S3Server, opened: OpenStore, region: str | None
) -> None:
    bucket = logged_in.fresh_bucket()
    store = opened(f"s3://{bucket}/prefix", region=region)
    with pytest.raises(ObjectStoreError, match="no such bucket"):
        list(store.list())
    store.ensure_bucket()
    store.ensure_bucket()
    assert list(opened(f"s3://{bucket}").list()) == []
    assert (logged_in.root / bucket).is_dir()


def test_several_processes_may_make_the_same_bucket(logged_in: S3Server, opened: OpenStore) -> None:
    stores = [opened(f"s3://{logged_in.fresh_bucket()}")] * 8
    together = threading.Barrier(len(stores))

    def ensure(store: ObjectStore) -> None:
        together.wait()
        store.ensure_bucket()

    with ThreadPoolExecutor(len(stores)) as pool:
        list(pool.map(ensure, stores))
    assert list(stores[0].list()) == []


def test_an_invalid_bucket_name(opened: OpenStore) -> None:
    for name in ("Not_A_Bucket", "a!b"):
        with pytest.raises(ObjectStoreError, match="an invalid bucket name"):
            opened(f"s3://{name}").ensure_bucket()


@pytest.mark.parametrize("variable", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
def test_wrong_credentials(
    store: ObjectStore,
    opened: OpenStore,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    variable: str,
) -> None:
    monkeypatch.setenv(variable, "not-the-right-one")
    (tmp_path / "file").write_bytes(b"x")
    stranger = opened(store.url)
    refusals = []
    for work in (stranger.ensure_bucket, lambda: stranger.put_file(tmp_path / "file", "k")):
        with pytest.raises(ObjectStoreError, match="wrong credentials") as caught:
            work()
        refusals.append(str(caught.value))
    with pytest.raises(ObjectStoreError, match="access denied") as caught:
        stranger.get_file("k", tmp_path / "back")  # a HEAD has no words for the reason
    for text in (*refusals, str(caught.value), repr(stranger)):
        assert "\n" not in text
        assert os.environ["AWS_SECRET_ACCESS_KEY"] not in text
        assert os.environ["AWS_ACCESS_KEY_ID"] not in text


def test_no_credentials(
    store: ObjectStore, opened: OpenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(ObjectStoreError, match="no usable credentials"):
        opened(store.url).ensure_bucket()
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(ObjectStoreError, match="no usable credentials"):
        opened(store.url)
