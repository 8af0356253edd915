from __future__ import annotations

import gzip
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.datasets import fetch
from components.errors import CorruptDataError, DataError

PAYLOAD = random.Random(2).randbytes(5_000)
PACKED = gzip.compress(PAYLOAD, mtime=0)


def test_a_gzip_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "whole.gz").write_bytes(PACKED)
    assert fetch.read_gzip(tmp_path / "whole.gz") == PAYLOAD


@given(st.integers(1, len(PACKED) - 1))
def test_a_gzip_file_cut_anywhere_is_corrupt(tmp_path_factory, cut: int) -> None:
    path = tmp_path_factory.getbasetemp() / "cut.gz"
    path.write_bytes(PACKED[:cut])
    with pytest.raises(CorruptDataError):
        fetch.read_gzip(path)


@given(st.binary(max_size=200))
def test_arbitrary_bytes_raise_nothing_but_corrupt_data(tmp_path_factory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.gz"
    for start in (b"", b"\x1f\x8b\x08\x00"):
        path.write_bytes(start + data)
        try:
            fetch.read_gzip(path)
        except CorruptDataError as error:
            assert str(path) in str(error)


def test_a_file_that_unpacks_beyond_the_limit_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(bytes(1001)))
    monkeypatch.setattr(fetch, "MAX_PAYLOAD", 1001)
    assert len(fetch.read_gzip(path)) == 1001
    monkeypatch.setattr(fetch, "MAX_PAYLOAD", 1000)
    with pytest.raises(CorruptDataError, match="more than 1000 bytes"):
        fetch.read_gzip(path)


def test_a_missing_file_is_not_called_corrupt(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        fetch.read_gzip(tmp_path / "none.gz")


def test_corruption_is_a_data_error() -> None:
    assert issubclass(CorruptDataError, DataError)
