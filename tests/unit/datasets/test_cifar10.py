from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.datasets.cifar10 import RECORD, TEST, TRAIN, parse_records, read_archive
from components.errors import CorruptDataError, NightforgeError


def records(count: int, seed: int) -> bytes:
    rng = np.random.default_rng(seed)
    data = rng.integers(0, 256, (count, RECORD)).astype(np.uint8)
    data[:, 0] %= 10
    return data.tobytes()


def archive(folder: Path, members: dict[str, bytes]) -> Path:
    path = folder / "cifar-10-binary.tar.gz"
    with tarfile.open(path, "w:gz") as out:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            out.addfile(info, io.BytesIO(content))
    return path


MEMBERS = {name: records(7, seed) for seed, name in enumerate((*TRAIN, *TEST))}


def test_the_six_files_are_read_in_order(tmp_path: Path) -> None:
    data = read_archive(archive(tmp_path, MEMBERS))
    assert data.test is not None
    assert data.train.images.shape == (35, 3, 32, 32)
    assert data.test.images.shape == (7, 3, 32, 32)
    first = np.frombuffer(MEMBERS[TRAIN[1]], np.uint8)[:RECORD]
    assert data.train.labels[7] == first[0]
    assert np.array_equal(data.train.images[7].reshape(-1), first[1:])  # red, green, blue planes


BAD = {
    "a member is missing": {k: v for k, v in MEMBERS.items() if k != TRAIN[2]},
    "a record is cut off": MEMBERS | {TRAIN[0]: MEMBERS[TRAIN[0]][:-1]},
    "a member is empty": MEMBERS | {TEST[0]: b""},
    "a label is out of range": MEMBERS | {TEST[0]: b"\x0a" + MEMBERS[TEST[0]][1:]},
    "a member is too large": MEMBERS | {TRAIN[0]: bytes(RECORD * 10_001)},
}


@pytest.mark.parametrize("case", BAD)
def test_an_archive_that_is_not_what_it_claims_is_refused(tmp_path: Path, case: str) -> None:
    with pytest.raises(CorruptDataError):
        read_archive(archive(tmp_path, BAD[case]))


def test_a_cut_archive_is_refused(tmp_path: Path) -> None:
    path = archive(tmp_path, MEMBERS)
    path.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(CorruptDataError):
        read_archive(path)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.binary(max_size=3 * RECORD))
def test_any_bytes_lead_to_nothing_but_our_own_errors(payload: bytes) -> None:
    try:
        parse_records(payload, "fuzz")
    except NightforgeError:
        return
