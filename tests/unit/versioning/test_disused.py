"""Versions of datasets that nobody needs any more, with the real dvc command."""

from __future__ import annotations

import filecmp
import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from components.datasets.prepared import load
from components.datasets.sprites import SpritesConfig, write_zip
from components.jobs.context import JobContext
from components.jobs.inventory import pushed_versions, stored_data
from components.jobs.own_data import add_dataset
from components.settings import PROJECT_ROOT, Settings
from components.tracking.memory import MemoryRegistry, MemoryTracker
from components.versioning.disused import Shelf, freed_by, remove
from components.versioning.dvc import DvcWorkspace
from components.versioning.remote import Remote
from components.versioning.versions import DatasetVersion

NAME = "mine"


def quiet(line: str) -> None:
    """DVC's output is not looked at."""


@pytest.fixture
def workspace(tmp_path: Path, clean_environment: pytest.MonkeyPatch) -> DvcWorkspace:
    params = PROJECT_ROOT / "params.yaml"
    return DvcWorkspace(Settings(home=tmp_path / "home", params_file=params))


@pytest.fixture
def versions(workspace: DvcWorkspace, tmp_path: Path) -> list[DatasetVersion]:
    """Two versions of a person's images; the first one is in a remote, the second is current."""
    source = tmp_path / "pictures.zip"
    write_zip(SpritesConfig(species=3, per_species=30), source)
    first = add_dataset(workspace, NAME, str(source), {"size": 16}, None, quiet)
    Remote(workspace).push(NAME, quiet)
    write_zip(SpritesConfig(species=4, per_species=30, seed=1), source)
    second = workspace.reproduce(NAME, quiet)
    assert first.version != second.version
    return [first, second]


def cache(workspace: DvcWorkspace) -> set[Path]:
    return {p for p in (workspace.root / ".dvc" / "cache").rglob("*") if p.is_file()}


@pytest.mark.slow
def test_a_dropped_version_frees_its_files_and_comes_back_from_the_remote(
    workspace: DvcWorkspace, versions: list[DatasetVersion], tmp_path: Path
) -> None:
    tracker = MemoryTracker()
    context = JobContext(workspace.settings, tracker, MemoryRegistry(tracker))
    pushed = pushed_versions(context)
    found = {one.version: one for one in stored_data(context, pushed)}
    assert [found[one.version].irreplaceable for one in versions] == [False, True]
    assert [found[one.version].current for one in versions] == [False, True]

    shelf, before, first = Shelf(workspace), cache(workspace), versions[0].version
    original = shutil.copytree(workspace.checkout(NAME, first), tmp_path / "original")
    kept = {(NAME, one.version) for one in versions[1:]}
    soon = datetime.now(UTC) + timedelta(minutes=1)
    raw = [record.raw for record in workspace.ledger.records(NAME)]
    shelf.drop([(NAME, first)], pushed, Remote(workspace).url)
    paths = shelf.disused(kept, soon)
    assert freed_by(paths) > 0
    for path in paths:
        remove(path)
    assert shelf.disused(kept, soon) == []
    assert before - cache(workspace)
    for md5 in raw:  # a person's own images stay
        assert shelf._objects_of(md5)
        assert all(path.exists() for path in shelf._objects_of(md5))
    assert [one.version for one in shelf.here()] == [versions[1].version]
    load(workspace.checkout(NAME, versions[1].version))
    assert workspace.reproduce(NAME, quiet).ran == ()

    gone = workspace.ledger.dropped(NAME, first)
    assert gone is not None
    assert gone.remote == Remote(workspace).url
    Remote(workspace).bring(workspace.ledger.find(NAME, first), quiet)
    assert workspace.ledger.dropped(NAME, first) is None
    back = workspace.checkout(NAME, first)
    names = [path.name for path in original.iterdir()]
    assert filecmp.cmpfiles(original, back, names, shallow=False)[1:] == ([], [])


def test_half_made_files_go_when_they_are_old(workspace: DvcWorkspace) -> None:
    data, now = workspace.root / "data", datetime.now(UTC)
    old = ["staging/raw-x/a", "partial/x/a.part", "quarantine/a.bad", "versions/x/1.new/a"]
    for name in (*old, "partial/y/b.part"):
        (data / name).parent.mkdir(parents=True)
        (data / name).write_text("half")
    hour_ago = (now - timedelta(hours=1)).timestamp()
    for name in old:
        for path in (data / name, (data / name).parent):
            os.utime(path, (hour_ago, hour_ago))
    found = Shelf(workspace).disused(set(), now - timedelta(minutes=1))
    wanted = ["partial/x", "quarantine/a.bad", "staging/raw-x", "versions/x/1.new"]
    assert sorted(str(path.relative_to(data)) for path in found) == wanted


def test_only_files_without_another_name_free_space(tmp_path: Path) -> None:
    for name in ("a/one", "b/two"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(b"12345")
    os.link(tmp_path / "a" / "one", tmp_path / "b" / "one")
    assert freed_by([tmp_path / "a"]) == 0
    assert freed_by([tmp_path / "b"]) == 5
    assert freed_by([tmp_path / "a", tmp_path / "b"]) == 10
