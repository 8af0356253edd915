"""A real S3 server for the tests of this folder, one for the session."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.s3_server import S3Server, other_variables, serving_s3

BIG = 100 << 20


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """rclone over a temporary folder; nobody is logged in."""
    with serving_s3() as server:
        yield server


@pytest.fixture
def logged_in(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """The server, with its credentials in this process's environment and no others."""
    for name in set(os.environ) - set(other_variables()):
        monkeypatch.delenv(name)
    for name, value in s3_server.environ.items():
        monkeypatch.setenv(name, value)
    return s3_server


@pytest.fixture(scope="session")
def big_file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """100 MB without a pattern, removed at the end."""
    path = tmp_path_factory.mktemp("big") / "big.bin"
    path.write_bytes(random.Random(7).randbytes(BIG))
    yield path
    path.unlink()
