from __future__ import annotations

import gzip
import hashlib
import json
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fetching_child import request_below
from loopback_server import FileServer, Seen

from components.datasets import fetch
from components.datasets.base import SOURCE_FILE, DownloadConfig, FetchRequest, RawFile
from components.errors import (
    ChecksumError,
    ConfigError,
    CorruptDataError,
    DataUnavailableError,
)
from components.params import check
from components.settings import PROJECT_ROOT

PAYLOADS = {
    "one.gz": random.Random(1).randbytes(300_000),
    "two.gz": random.Random(2).randbytes(50_000),
}
FILES = [
    RawFile(name, hashlib.sha256(data).hexdigest(), payload=True) for name, data in PAYLOADS.items()
]
PACKED = {name: gzip.compress(data, 6, mtime=0) for name, data in PAYLOADS.items()}
CLOSED_PORT = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def _impatient(clean_environment: pytest.MonkeyPatch) -> None:
    clean_environment.setattr(fetch, "BACKOFF_SECONDS", 0)


@pytest.fixture
def server() -> Iterator[FileServer]:
    with FileServer(dict(PACKED)) as server:
        yield server


def folder_with(path: Path, files: dict[str, bytes]) -> Path:
    path.mkdir(parents=True)
    for name, content in files.items():
        (path / name).write_bytes(content)
    return path


def present_in(root: Path, files: dict[str, bytes] = PACKED) -> Path:
    folder = folder_with(root / "present", files)
    (folder / SOURCE_FILE).write_text(json.dumps({"source": "long ago"}), encoding="utf-8")
    return folder


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()} if folder.exists() else {}


def run(request: FetchRequest) -> str:
    return fetch.fetch_files(request, FILES, "Toy")


def from_urls(root: Path, *urls: str) -> FetchRequest:
    return request_below(root, DownloadConfig(urls=urls, timeout=20))


# Sources and their order


def test_what_is_present_and_good_is_kept_with_its_source(tmp_path: Path) -> None:
    present_in(tmp_path)
    named = folder_with(tmp_path / "named", PACKED)
    request = request_below(tmp_path, DownloadConfig(), named)
    assert run(request) == "long ago"
    assert content(request.destination) == PACKED


def test_the_folder_a_person_named_comes_before_configured_ones(tmp_path: Path) -> None:
    named, other = (folder_with(tmp_path / name, PACKED) for name in ("named", "other"))
    request = request_below(tmp_path, DownloadConfig(folders=(str(other),)), named)
    assert run(request) == str(named)
    assert content(request.destination) == PACKED


def test_a_folder_without_all_files_is_passed_over(tmp_path: Path) -> None:
    half = folder_with(tmp_path / "half", {"one.gz": PACKED["one.gz"]})
    full = folder_with(tmp_path / "full", PACKED)
    request = request_below(tmp_path, DownloadConfig(folders=(str(half), str(full))))
    assert run(request) == str(full)


def test_folders_come_before_addresses(tmp_path: Path, server: FileServer) -> None:
    folder = folder_with(tmp_path / "folder", PACKED)
    config = DownloadConfig(folders=(str(folder),), urls=(server.url,))
    assert run(request_below(tmp_path, config)) == str(folder)
    assert server.seen == []


def test_addresses_are_tried_in_order_and_named(tmp_path: Path, server: FileServer) -> None:
    request = from_urls(tmp_path, CLOSED_PORT, server.url + "/", CLOSED_PORT)
    assert run(request) == server.url + "/"
    assert content(request.destination) == PACKED


def test_no_answer_names_every_source_and_the_remedy(tmp_path: Path) -> None:
    config = DownloadConfig(folders=("/nowhere",), urls=(CLOSED_PORT,))
    with pytest.raises(DataUnavailableError) as caught:
        run(request_below(tmp_path, config))
    assert "/nowhere" in caught.value.got
    assert CLOSED_PORT in caught.value.got
    assert "refused" in caught.value.got.lower()
    assert "one.gz" in caught.value.wanted
    assert "NIGHTFORGE_DATA_DIR" in caught.value.remedy


def test_no_source_at_all_says_so(tmp_path: Path) -> None:
    with pytest.raises(DataUnavailableError, match="no source at all"):
        run(request_below(tmp_path, DownloadConfig()))


def test_an_address_that_is_none_is_refused_as_configuration() -> None:
    with pytest.raises(ConfigError):
        check(DownloadConfig, {"urls": ["example.org/files"]}, "params.yaml: data.toy")


# Damage


@pytest.mark.parametrize("by", ["folder", "address"])
def test_a_wrong_sum_names_file_and_both_sums_and_changes_nothing(
    tmp_path: Path, server: FileServer, by: str
) -> None:
    bad = gzip.compress(b"something else", mtime=0)
    server.files["two.gz"] = bad
    folder = folder_with(tmp_path / "bad", server.files)
    present = folder_with(tmp_path / "present", {"mine": b"kept"})
    config = (
        DownloadConfig(folders=(str(folder),))
        if by == "folder"
        else DownloadConfig(urls=(server.url,))
    )
    with pytest.raises(ChecksumError) as caught:
        run(request_below(tmp_path, config))
    source = str(folder) if by == "folder" else server.url
    assert "two.gz" in caught.value.subject
    assert source in caught.value.subject
    assert hashlib.sha256(b"something else").hexdigest() in caught.value.got
    assert FILES[1].digest in caught.value.wanted
    assert str(tmp_path / "quarantine") in caught.value.remedy
    assert list(content(tmp_path / "quarantine").values()) == [bad]
    assert content(present) == {"mine": b"kept"}
    assert not (tmp_path / "partial" / "two.gz.part").exists()


def test_a_wrong_source_is_never_passed_over_for_the_next(tmp_path: Path) -> None:
    bad = folder_with(tmp_path / "bad", {**PACKED, "one.gz": gzip.compress(b"x")})
    good = folder_with(tmp_path / "good", PACKED)
    config = DownloadConfig(folders=(str(bad), str(good)))
    with pytest.raises(ChecksumError):
        run(request_below(tmp_path, config))


def test_a_truncated_file_is_kept_aside_and_refused(tmp_path: Path) -> None:
    cut = PACKED["one.gz"][:-20]
    folder = folder_with(tmp_path / "cut", {**PACKED, "one.gz": cut})
    with pytest.raises(CorruptDataError, match=r"one\.gz"):
        run(request_below(tmp_path, DownloadConfig(folders=(str(folder),))))
    assert content(tmp_path / "quarantine") == {"one.gz.bad": cut}


def test_what_is_present_and_damaged_is_fetched_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flipped = bytearray(PACKED["two.gz"])
    flipped[25_000] ^= 1
    present_in(tmp_path, {**PACKED, "two.gz": bytes(flipped)})
    good = folder_with(tmp_path / "good", PACKED)
    request = request_below(tmp_path, DownloadConfig(folders=(str(good),)))
    assert run(request) == str(good)
    assert content(request.destination) == PACKED
    assert content(tmp_path / "quarantine") == {"two.gz.bad": bytes(flipped)}
    assert "two.gz" in capsys.readouterr().out


@pytest.mark.parametrize("source", [None, "{}", "not json"])
def test_files_without_a_readable_source_are_fetched_again(tmp_path: Path, source) -> None:
    present = present_in(tmp_path)
    (present / SOURCE_FILE).unlink()
    if source is not None:
        (present / SOURCE_FILE).write_text(source, encoding="utf-8")
    good = folder_with(tmp_path / "good", PACKED)
    assert run(request_below(tmp_path, DownloadConfig(folders=(str(good),)))) == str(good)


# Downloads


def test_a_dropped_connection_is_taken_up_where_it_broke(
    tmp_path: Path, server: FileServer
) -> None:
    server.cut["one.gz"] = 100_000
    request = from_urls(tmp_path, server.url)
    assert run(request) == server.url
    assert server.seen == [
        Seen("one.gz", None),
        Seen("one.gz", "bytes=100000-"),
        Seen("two.gz", None),
    ]
    assert server.sent["one.gz"] == len(PACKED["one.gz"])
    assert content(request.destination) == PACKED


def test_a_server_without_ranges_is_started_over(tmp_path: Path, server: FileServer) -> None:
    server.ranges, server.cut["one.gz"] = False, 100_000
    request = from_urls(tmp_path, server.url)
    run(request)
    assert content(request.destination) == PACKED


def test_what_is_not_there_is_asked_for_once(tmp_path: Path, server: FileServer) -> None:
    del server.files["one.gz"]
    with pytest.raises(DataUnavailableError, match="Not Found"):
        run(from_urls(tmp_path, server.url))
    assert server.names() == ["one.gz"]


def test_a_server_in_trouble_is_asked_again(tmp_path: Path, server: FileServer) -> None:
    server.statuses["one.gz"] = [503, 500]
    assert run(from_urls(tmp_path, server.url)) == server.url
    assert server.names() == ["one.gz"] * 3 + ["two.gz"]


def test_a_server_in_lasting_trouble_is_given_up(tmp_path: Path, server: FileServer) -> None:
    server.statuses["one.gz"] = [503] * 9
    with pytest.raises(DataUnavailableError, match=server.url):
        run(from_urls(tmp_path, server.url))
    assert server.names() == ["one.gz"] * fetch.ATTEMPTS


def test_a_complete_part_file_is_not_fetched_again(tmp_path: Path, server: FileServer) -> None:
    folder_with(tmp_path / "partial", {"one.gz.part": PACKED["one.gz"]})
    request = from_urls(tmp_path, server.url)
    run(request)
    assert server.sent["one.gz"] == 0
    assert content(request.destination) == PACKED


def test_a_part_file_longer_than_the_file_is_dropped(tmp_path: Path, server: FileServer) -> None:
    folder_with(tmp_path / "partial", {"one.gz.part": PACKED["one.gz"] + b"more"})
    request = from_urls(tmp_path, server.url)
    run(request)
    assert content(request.destination) == PACKED


def test_a_part_file_that_does_not_fit_what_the_server_has_is_fetched_afresh(
    tmp_path: Path, server: FileServer
) -> None:
    """As when an earlier night began at another mirror, which compresses otherwise."""
    folder_with(tmp_path / "partial", {"one.gz.part": PACKED["one.gz"][1000:101_000]})
    request = from_urls(tmp_path, server.url)
    assert run(request) == server.url
    assert content(request.destination) == PACKED


def wait_until(condition: Callable[[], bool]) -> None:
    deadline, pause = time.monotonic() + 60, threading.Event()
    while not condition():
        assert time.monotonic() < deadline, "the condition never came true"
        pause.wait(0.005)


def kill_when(root: Path, server: FileServer, condition: Callable[[], bool]) -> None:
    """Start a real process that fetches, and SIGKILL it as soon as `condition` holds."""
    sums = [word for file in FILES for word in (file.name, file.digest)]
    script = Path(__file__).with_name("fetching_child.py")
    child = subprocess.Popen(
        [sys.executable, str(script), server.url, str(root), *sums],
        env={"PYTHONPATH": str(PROJECT_ROOT)},
    )
    try:
        wait_until(condition)
    finally:
        child.kill()
    assert child.wait() == -signal.SIGKILL


def size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def test_a_download_killed_in_the_middle_goes_on_from_there(
    tmp_path: Path, server: FileServer
) -> None:
    server.hold["one.gz"] = 150_000
    part = tmp_path / "partial" / "one.gz.part"
    kill_when(tmp_path, server, lambda: size(part) > 100_000)
    have = size(part)
    request = from_urls(tmp_path, server.url)
    run(request)
    assert server.seen[:2] == [Seen("one.gz", None), Seen("one.gz", f"bytes={have}-")]
    assert server.sent["one.gz"] < 150_000 + len(PACKED["one.gz"])
    assert content(request.destination) == PACKED


def test_a_kill_in_the_second_file_does_not_lose_the_first(
    tmp_path: Path, server: FileServer
) -> None:
    server.hold["two.gz"] = 30_000
    kill_when(tmp_path, server, lambda: size(tmp_path / "partial" / "two.gz.part") > 10_000)
    request = from_urls(tmp_path, server.url)
    run(request)
    assert content(request.destination) == PACKED
    assert server.sent["one.gz"] == len(PACKED["one.gz"])


def test_a_finished_file_that_was_damaged_in_between_is_fetched_again(
    tmp_path: Path, server: FileServer
) -> None:
    folder_with(tmp_path / "partial", {"one.gz": PACKED["one.gz"][:-100]})
    request = from_urls(tmp_path, server.url)
    assert run(request) == server.url
    assert content(request.destination) == PACKED
