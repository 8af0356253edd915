from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from components.datasets import DATASETS
from components.datasets.base import (
    SOURCE_FILE,
    DataConfig,
    DownloadConfig,
    FetchConfig,
    HoldOutConfig,
    ReadRequest,
    Split,
)
from components.datasets.fashion_mnist import read_raw
from components.datasets.fashion_mnist_sample import FILES as SAMPLE_FILES
from components.datasets.prepared import load_prepared
from components.datasets.sections import OWN_FILE, Datasets
from components.errors import ChecksumError, ConfigError, CorruptDataError, DataUnavailableError
from components.settings import PROJECT_ROOT, Settings
from components.versioning import stage

NAME = "fashion_mnist_sample"
SPEC = DATASETS.get(NAME)
DEFAULTS = DataConfig(FetchConfig(), HoldOutConfig())
DOWNLOAD = DataConfig(DownloadConfig(), HoldOutConfig())
SAMPLES = PROJECT_ROOT / "data" / "samples" / "fashion_mnist"


@pytest.fixture
def here(tmp_path: Path, clean_environment: pytest.MonkeyPatch, sample_root: Path) -> Path:
    """A workspace with params.yaml and the raw sample, and the current folder."""
    shutil.copytree(sample_root / "data" / "raw", tmp_path / "data" / "raw")
    (tmp_path / "params.yaml").write_text("data: {}\n", encoding="utf-8")
    clean_environment.chdir(tmp_path)
    return tmp_path


def snapshot(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.iterdir()}


def test_the_sample_is_fetched_whole_and_names_its_source(sample_root: Path) -> None:
    raw = sample_root / "data" / "raw" / NAME
    assert json.loads((raw / SOURCE_FILE).read_text("utf-8")) == {"source": "bundled sample"}
    for file in SAMPLE_FILES:
        assert (raw / file.name).read_bytes() == (SAMPLES / file.name).read_bytes()


def test_the_sample_is_prepared_stratified(sample_root: Path) -> None:
    data = load_prepared(sample_root / "data" / "prepared" / NAME)
    counts = {split: np.bincount(data.splits[split].labels).tolist() for split in Split}
    assert counts == {"train": [540] * 10, "validation": [60] * 10, "test": [100] * 10}
    assert data.card.name == NAME
    assert len(data.card.class_names) == 10
    assert 0.2 < data.card.mean[0] < 0.4


def test_nothing_is_left_in_staging(sample_root: Path) -> None:
    assert list((sample_root / "data" / "staging").iterdir()) == []


def test_the_command_runs_both_stages(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(here / "data")
    assert stage.main(["fetch", NAME], os.environ) == 0
    assert stage.main(["prepare", NAME], os.environ) == 0
    assert load_prepared(here / "data" / "prepared" / NAME).count(Split.TEST) == 1000
    assert "bundled sample" in capsys.readouterr().out


def test_the_split_follows_the_parameters(here: Path) -> None:
    text = f"data: {{{NAME}: {{prepare: {{validation_fraction: 0.25, seed: 3}}}}}}\n"
    (here / "params.yaml").write_text(text, encoding="utf-8")
    assert stage.main(["prepare", NAME], os.environ) == 0
    assert load_prepared(here / "data" / "prepared" / NAME).count(Split.VALIDATION) == 1500


@pytest.mark.parametrize("text", ["{}", "data: {}", "data:", f"data:\n  {NAME}:\n"])
def test_a_dataset_without_a_section_has_the_defaults(tmp_path: Path, text: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text, encoding="utf-8")
    assert Datasets(path, tmp_path / OWN_FILE).config(NAME) == DEFAULTS


def test_a_bad_section_is_named(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(f"data: {{{NAME}: {{prepare: {{sed: 1}}}}}}", encoding="utf-8")
    with pytest.raises(ConfigError, match="Did you mean 'seed'"):
        Datasets(path, tmp_path / OWN_FILE).config(NAME)


def test_an_unreachable_source_leaves_what_was_there(here: Path) -> None:
    (here / "data" / "raw" / "fashion_mnist").mkdir()
    (here / "data" / "raw" / "fashion_mnist" / "mine").write_text("kept", encoding="utf-8")
    spec = DATASETS.get("fashion_mnist")
    with pytest.raises(DataUnavailableError):
        stage.run_fetch(spec, DOWNLOAD, Settings(home=here), here)
    assert snapshot(here / "data" / "raw" / "fashion_mnist") == {"mine": b"kept"}


def test_a_flipped_byte_at_the_source_leaves_what_was_there(here: Path, tmp_path: Path) -> None:
    """The sample's files under the real dataset's names have other sums."""
    before = snapshot(here / "data" / "raw" / NAME)
    settings = Settings(home=here, data_dir=SAMPLES)
    with pytest.raises(ChecksumError):
        stage.run_fetch(DATASETS.get("fashion_mnist"), DOWNLOAD, settings, here)
    assert snapshot(here / "data" / "raw" / NAME) == before


def test_a_flipped_byte_of_a_raw_file_stops_prepare_and_is_kept_aside(here: Path) -> None:
    assert stage.main(["prepare", NAME], os.environ) == 0
    before = snapshot(here / "data" / "prepared" / NAME)
    path = here / "data" / "raw" / NAME / SAMPLE_FILES[0].name
    data = bytearray(path.read_bytes())
    data[1000] ^= 1
    path.write_bytes(bytes(data))
    assert stage.main(["prepare", NAME], os.environ) == 3
    assert snapshot(here / "data" / "prepared" / NAME) == before
    assert list(snapshot(here / "data" / "quarantine").values()) == [bytes(data)]


def test_a_flipped_byte_of_a_raw_file_is_healed_by_the_next_fetch(here: Path) -> None:
    path = here / "data" / "raw" / NAME / SAMPLE_FILES[1].name
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert stage.main(["fetch", NAME], os.environ) == 0
    assert path.read_bytes() == (SAMPLES / path.name).read_bytes()


def test_a_missing_raw_file_is_named(here: Path) -> None:
    (here / "data" / "raw" / NAME / SAMPLE_FILES[2].name).unlink()
    request = ReadRequest(here / "data" / "raw" / NAME, HoldOutConfig(), here)
    with pytest.raises(CorruptDataError, match=SAMPLE_FILES[2].name):
        read_raw(request, SAMPLE_FILES)


@pytest.mark.parametrize(
    ("argv", "status", "kind"),
    [
        (["fetch", "fashion_mnits"], 2, "UnknownKeyError"),
        (["fetch", "fashion_mnist"], 4, "DataUnavailableError"),
    ],
)
def test_a_failing_stage_says_one_line_and_leaves_the_error_for_its_caller(
    here: Path, clean_environment, capsys, argv: list[str], status: int, kind: str
) -> None:
    note = here / "error.json"
    clean_environment.setenv(stage.ERROR_FILE_VARIABLE, str(note))
    assert stage.main(argv, os.environ) == status
    name, *parts = json.loads(note.read_text("utf-8"))
    assert name == kind
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert all(part in message for part in parts)


def test_a_disk_in_trouble_is_a_data_error(here: Path, capsys) -> None:
    (here / "data" / "staging").write_text("a file in the way", encoding="utf-8")
    assert stage.main(["fetch", NAME], os.environ) == 3
    assert "writable workspace" in capsys.readouterr().err


def test_a_kill_between_the_two_renames_loses_no_raw_data(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was fetched is still used when its source has become unreachable."""
    raw = here / "data" / "raw" / NAME
    real = os.rename

    def killed(source: Path, to: Path) -> None:
        if Path(to) == raw:
            raise KeyboardInterrupt
        real(source, to)

    monkeypatch.setattr(os, "rename", killed)
    with pytest.raises(KeyboardInterrupt):
        stage.run_fetch(SPEC, DEFAULTS, Settings(home=here), here)
    monkeypatch.undo()
    from functools import partial

    from components.datasets.fetch import fetch_files

    offline = replace(SPEC, fetch=partial(fetch_files, files=SAMPLE_FILES, title="Toy"))
    stage.run_fetch(offline, DOWNLOAD, Settings(home=here), here)
    assert (raw / SAMPLE_FILES[0].name).exists()
