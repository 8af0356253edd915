"""The ledger of dataset versions, and what a stage's error says; one call of DVC."""

from __future__ import annotations

import gzip
import hashlib
import itertools
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from components.datasets.fashion_mnist import FILES
from components.errors import ChecksumError
from components.settings import PROJECT_ROOT, Settings
from components.versioning.dvc import VERSION_LEDGER, DatasetVersion, DvcWorkspace

SAMPLES = PROJECT_ROOT / "data" / "samples" / "fashion_mnist"


def test_the_ledger_is_only_appended_to_and_has_one_line_for_each_version(
    tmp_path: Path, sample_version: DatasetVersion
) -> None:
    workspace, ledger = DvcWorkspace(Settings(home=tmp_path)), tmp_path / VERSION_LEDGER
    states = []
    for digit in "1213":
        workspace._remember(replace(sample_version, version=digit * 32))
        states.append(ledger.read_bytes())
    assert all(new.startswith(old) for old, new in itertools.pairwise(states))
    lines = [json.loads(line) for line in states[-1].decode().splitlines()]
    assert [line["version"][0] for line in lines] == ["1", "2", "3"]
    assert lines[0]["name"] == sample_version.name
    assert lines[0]["source"] == "bundled sample"
    assert lines[0]["counts"] == {"train": 5400, "validation": 600, "test": 1000}


def test_a_version_that_comes_back_from_the_cache_is_not_remembered_again(
    tmp_path: Path, sample_version: DatasetVersion
) -> None:
    workspace, ledger = DvcWorkspace(Settings(home=tmp_path)), tmp_path / VERSION_LEDGER
    workspace._remember(sample_version)
    before = ledger.read_bytes()
    workspace._remember(replace(sample_version, source="DVC cache, from bundled sample"))
    assert ledger.read_bytes() == before


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
    section = {"folders": [], "urls": []}
    params.write_text(yaml.safe_dump({"data": {"fashion_mnist": section}}), encoding="utf-8")
    settings = Settings(home=tmp_path / "home", params_file=params, data_dir=folder)
    with pytest.raises(ChecksumError) as caught:
        DvcWorkspace(settings).reproduce("fashion_mnist", lambda line: None)
    assert FILES[0].name in caught.value.subject
    assert hashlib.sha256(payload).hexdigest() in caught.value.got
    assert FILES[0].sha256 in caught.value.wanted
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == given
    assert not (settings.workspace / "data" / "prepared").exists()
    assert not (settings.home / VERSION_LEDGER).exists()
