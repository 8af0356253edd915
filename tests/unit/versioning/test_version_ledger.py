"""The ledger of dataset versions, and what a stage's error says; one call of DVC."""

from __future__ import annotations

import gzip
import hashlib
import itertools
import shutil
from pathlib import Path

import pytest
import yaml

from components.datasets.fashion_mnist import FILES
from components.datasets.prepared import read_card
from components.errors import ChecksumError, CorruptDataError, UnknownKeyError
from components.settings import PROJECT_ROOT, Settings
from components.versioning.dvc import DvcWorkspace
from components.versioning.versions import (
    VERSION_LEDGER,
    DatasetVersion,
    Dropped,
    VersionLedger,
    VersionRecord,
    compare_listings,
)

SAMPLES = PROJECT_ROOT / "data" / "samples" / "fashion_mnist"


def record(sample: DatasetVersion, version: str, name: str = "toy") -> VersionRecord:
    return VersionRecord(
        name=name,
        version=version,
        raw="0" * 32,
        first_seen="2026-01-01T00:00:00+00:00",
        source="bundled sample",
        own=False,
        card=read_card(sample.directory),
        section={},
        lock={},
    )


def test_the_ledger_is_only_appended_to_and_has_one_line_for_each_version(
    tmp_path: Path, sample_version: DatasetVersion
) -> None:
    ledger, path = VersionLedger(tmp_path), tmp_path / VERSION_LEDGER
    states = []
    for digit in "1213":
        ledger.add([record(sample_version, digit * 32)])
        states.append(path.read_bytes())
    assert all(new.startswith(old) for old, new in itertools.pairwise(states))
    assert [one.version[0] for one in ledger.records("toy")] == ["1", "2", "3"]
    assert ledger.records("other") == []
    assert ledger.records()[0] == record(sample_version, "1" * 32)


def test_a_version_is_found_by_its_first_characters(
    tmp_path: Path, sample_version: DatasetVersion
) -> None:
    ledger = VersionLedger(tmp_path)
    ledger.add(
        [record(sample_version, "12345" + "0" * 27), record(sample_version, "12346" * 6 + "00")]
    )
    assert ledger.find("toy", "12345").version == "12345" + "0" * 27
    for bad in ("123", "1234", "ffff"):
        with pytest.raises(UnknownKeyError, match="12345000, 12346123"):
            ledger.find("toy", bad)


def test_a_damaged_line_is_named(tmp_path: Path, sample_version: DatasetVersion) -> None:
    ledger = VersionLedger(tmp_path)
    ledger.add([record(sample_version, "1" * 32)])
    with (tmp_path / VERSION_LEDGER).open("a") as stream:
        stream.write("{}\n")
    with pytest.raises(CorruptDataError, match="line 2"):
        ledger.records()


def test_the_difference_of_two_listings_is_stated() -> None:
    old = {"a/1": "x", "a/2": "y", "b/1": "z"}
    change = compare_listings("0" * 32, old, {"a/1": "x", "a/2": "other", "b/2": "z"})
    assert str(change) == ("1 added (b/2), 1 removed (b/1), 1 changed (a/2) since version 00000000")


@pytest.mark.slow
def test_a_flipped_byte_in_a_persons_folder_is_named_with_both_sums(
    tmp_path: Path, clean_environment: pytest.MonkeyPatch
) -> None:
    folder = Path(shutil.copytree(SAMPLES, tmp_path / "mine"))
    payload = bytearray(gzip.decompress((folder / FILES[0].name).read_bytes()))
    payload[5000] ^= 1
    (folder / FILES[0].name).write_bytes(gzip.compress(payload, 1, mtime=0))
    given = {path.name: path.read_bytes() for path in folder.iterdir()}
    params = tmp_path / "params.yaml"
    params.write_text(yaml.safe_dump({"data": {"fashion_mnist": {}}}), encoding="utf-8")
    settings = Settings(home=tmp_path / "home", params_file=params, data_dir=folder)
    with pytest.raises(ChecksumError) as caught:
        DvcWorkspace(settings).reproduce("fashion_mnist", lambda line: None)
    assert FILES[0].name in caught.value.subject
    assert hashlib.sha256(payload).hexdigest() in caught.value.got
    assert FILES[0].digest in caught.value.wanted
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == given
    assert not (settings.workspace / "data" / "prepared").exists()
    assert not (settings.home / VERSION_LEDGER).exists()


def test_the_ledger_says_which_data_were_removed_and_which_came_back(
    tmp_path: Path, sample_version: DatasetVersion
) -> None:
    ledger = VersionLedger(tmp_path)
    ledger.add([record(sample_version, "1" * 32), record(sample_version, "2" * 32)])
    gone = Dropped(name="toy", version="1" * 32, dropped="2026-11-21", remote="s3://b/p")
    ledger.note([gone])
    assert len(ledger.records("toy")) == 2
    assert ledger.dropped("toy", "1" * 32) == gone
    assert ledger.dropped("toy", "2" * 32) is None
    ledger.note([gone.model_copy(update={"dropped": None, "remote": None})])
    assert ledger.dropped("toy", "1" * 32) is None
    assert ledger.add([record(sample_version, "1" * 32)]) == []
