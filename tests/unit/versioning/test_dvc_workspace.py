"""The DVC workspace against the real dvc command, on the bundled sample."""

from __future__ import annotations

import json
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from components.datasets.base import SOURCE_FILE, Split
from components.datasets.fashion_mnist_sample import FILES as SAMPLE_FILES
from components.datasets.prepared import load_prepared
from components.errors import ChecksumError, DataUnavailableError, UnknownKeyError, VersioningError
from components.jobs.context import JobContext
from components.jobs.data import DataOutcome, refresh
from components.settings import PROJECT_ROOT, Settings
from components.tracking.memory import MemoryRegistry, MemoryTracker
from components.versioning.dvc import DvcWorkspace
from components.versioning.versions import VERSION_LEDGER, DatasetVersion

NAME = "fashion_mnist_sample"
SAMPLES = PROJECT_ROOT / "data" / "samples" / "fashion_mnist"
SAMPLE_PARAMS = {"prepare": {"validation_fraction": 0.1, "seed": 0}}
NOWHERE = {"fetch": {"urls": ["http://127.0.0.1:9/"]}}
BOTH = (f"fetch@{NAME}", f"prepare@{NAME}")

pytestmark = pytest.mark.slow


@dataclass
class Place:
    """A state directory whose workspace has the sample."""

    settings: Settings
    first: DatasetVersion
    said: list[str] = field(default_factory=list)

    def again(self, **changes: object) -> DatasetVersion:
        settings = self.settings.model_copy(update=changes)
        return DvcWorkspace(settings).reproduce(NAME, self.said.append)

    @property
    def data(self) -> Path:
        return self.settings.workspace / "data"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Made once: every test leaves the workspace healed."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("NIGHTFORGE_DATA_DIR", "NIGHTFORGE_HOME", "NIGHTFORGE_PARAMS_FILE"):
            patch.delenv(name, raising=False)
        home = tmp_path_factory.mktemp("dvc")
        params = {"data": {"fashion_mnist": NOWHERE, NAME: SAMPLE_PARAMS}}
        (home / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
        settings = Settings(home=home / "state", params_file=home / "params.yaml")
        said: list[str] = []
        yield Place(settings, DvcWorkspace(settings).reproduce(NAME, said.append), said)


def snapshot(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def flip(path: Path) -> bytes:
    data = bytearray(path.read_bytes())
    data[1000] ^= 1
    path.chmod(path.stat().st_mode | stat.S_IWUSR)
    path.write_bytes(data)
    return bytes(data)


def test_the_first_run_runs_both_stages_and_describes_the_data(place: Place) -> None:
    first = place.first
    assert first.ran == BOTH
    assert len(first.version) == 32
    assert int(first.version, 16)
    assert (first.source, first.sample) == ("bundled sample", True)
    assert first.counts == {Split.TRAIN: 5400, Split.VALIDATION: 600, Split.TEST: 1000}
    assert load_prepared(first.directory).count(Split.TEST) == 1000
    assert any("bundled sample" in line for line in place.said)
    assert first.directory.is_relative_to(place.settings.home)


def test_an_unchanged_run_runs_nothing_and_is_remembered_once(place: Place) -> None:
    again = place.again()
    assert again.ran == ()
    assert (again.version, again.source) == (place.first.version, "bundled sample")
    ledger = (place.settings.home / VERSION_LEDGER).read_text("utf-8").splitlines()
    versions = [json.loads(line)["version"] for line in ledger]
    assert versions.count(place.first.version) == 1


def test_deleted_data_are_restored_from_the_cache(place: Place) -> None:
    shutil.rmtree(place.data)
    again = place.again()
    assert again.source == "bundled sample"
    assert again.version == place.first.version
    assert again.ran == ("restored from the DVC cache",)
    assert load_prepared(again.directory).count(Split.TRAIN) == 5400
    assert place.again().ran == ()


@pytest.mark.parametrize("kind", ["raw", "prepared"])
def test_a_flipped_byte_in_the_workspace_heals(place: Place, kind: str) -> None:
    name = SAMPLE_FILES[0].name if kind == "raw" else "train_images.npy"
    path = place.data / kind / NAME / name
    before = path.read_bytes()
    assert flip(path) != before
    again = place.again()
    assert path.read_bytes() == before
    assert again.version == place.first.version
    assert load_prepared(again.directory).count(Split.TRAIN) == 5400


def test_other_parameters_give_another_version_and_the_old_ones_the_old(
    place: Place, tmp_path: Path
) -> None:
    params = tmp_path / "params.yaml"
    section = {"prepare": {"validation_fraction": 0.2}}
    params.write_text(yaml.safe_dump({"data": {NAME: section}}), encoding="utf-8")
    other = place.again(params_file=params)
    assert other.version != place.first.version
    assert other.counts[Split.VALIDATION] == 1200
    assert BOTH[1] in other.ran
    assert place.again().version == place.first.version


def test_wrong_sums_in_a_persons_folder_are_refused_and_nothing_is_touched(place: Place) -> None:
    """The sample's files under the real dataset's names have other sums."""
    kept = {}
    for kind in ("raw", "prepared"):
        folder = place.data / kind / "fashion_mnist"
        folder.mkdir(parents=True)
        (folder / "mine").write_text("kept", encoding="utf-8")
        kept[folder] = snapshot(folder)
    before = snapshot(place.first.directory)
    settings = place.settings.model_copy(update={"data_dir": SAMPLES})
    try:
        with pytest.raises(ChecksumError) as caught:
            DvcWorkspace(settings).reproduce("fashion_mnist", place.said.append)
        assert SAMPLE_FILES[0].name in caught.value.subject
        assert str(SAMPLES) in caught.value.subject
        assert SAMPLE_FILES[0].digest in caught.value.got
        assert {folder: snapshot(folder) for folder in kept} == kept
        assert snapshot(place.first.directory) == before
    finally:
        for folder in kept:
            shutil.rmtree(folder, ignore_errors=True)


def refreshed(context: JobContext, name: str, said: list[str]) -> DataOutcome:
    return refresh(context.settings, [name], said.append, lambda: context).found[name]


def test_an_unreachable_dataset_falls_back_to_the_sample_loudly(place: Place) -> None:
    with pytest.raises(DataUnavailableError) as caught:
        DvcWorkspace(place.settings).reproduce("fashion_mnist", place.said.append)
    tracker = MemoryTracker()
    context = JobContext(place.settings, tracker, MemoryRegistry(tracker))
    outcome = refreshed(context, "fashion_mnist", place.said)
    assert outcome.dataset.name == NAME
    assert outcome.dataset.sample
    (warning,) = outcome.warnings
    assert "THIS IS THE BUNDLED SAMPLE" in warning
    assert "not fashion_mnist" in warning
    assert "http://127.0.0.1:9/" in warning
    assert str(caught.value) in warning
    assert outcome.skipped == f"version {place.first.version[:8]} is up to date"


def test_a_sample_that_was_asked_for_is_still_called_a_sample(place: Place) -> None:
    tracker = MemoryTracker()
    context = JobContext(place.settings, tracker, MemoryRegistry(tracker))
    outcome = refreshed(context, NAME, place.said)
    assert "THIS IS A BUNDLED SAMPLE (7,000 examples), as asked for." in outcome.warnings[0]
    assert outcome.skipped is not None


def test_an_unknown_dataset_is_named_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(UnknownKeyError, match="fashion_mnist"):
        DvcWorkspace(Settings(home=tmp_path / "x")).reproduce("fashion_mnits")
    assert not (tmp_path / "x").exists()


def test_a_failing_dvc_says_which_target(place: Place, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "x", params_file=place.settings.params_file)
    settings.workspace.mkdir(parents=True)
    shutil.copytree(place.settings.workspace / ".dvc", settings.workspace / ".dvc")
    (settings.workspace / "dvc.lock").write_text("not a lock", encoding="utf-8")
    with pytest.raises(VersioningError, match=f"dvc repro prepare@{NAME}"):
        DvcWorkspace(settings).reproduce(NAME, place.said.append)


def test_the_source_file_stands_beside_the_raw_data(place: Place) -> None:
    text = (place.data / "raw" / NAME / SOURCE_FILE).read_text("utf-8")
    assert json.loads(text) == {"source": "bundled sample"}
