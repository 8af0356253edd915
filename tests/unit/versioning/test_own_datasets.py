"""A person's own images, with the real dvc command: added, grown, refused, reached again."""

from __future__ import annotations

import shutil
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from components.datasets.base import Split
from components.datasets.prepared import ImageCard, TextCard, load, load_prepared
from components.datasets.sections import OWN_FILE
from components.datasets.sprites import SpritesConfig, write_zip
from components.errors import (
    ConfigError,
    CorruptDataError,
    DataUnavailableError,
    UnknownKeyError,
)
from components.jobs.own_data import add_dataset, remove_dataset
from components.settings import PROJECT_ROOT, Settings
from components.versioning.dvc import KEPT_FOLDERS, DvcWorkspace
from components.versioning.versions import VERSION_LEDGER, DatasetVersion

pytestmark = pytest.mark.slow
SPECIES, EACH = 3, 30


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("own") / "sprites.zip"
    write_zip(SpritesConfig(species=SPECIES, per_species=EACH), path)
    return path


@pytest.fixture
def workspace(tmp_path: Path, clean_environment: pytest.MonkeyPatch) -> DvcWorkspace:
    params = PROJECT_ROOT / "params.yaml"
    return DvcWorkspace(Settings(home=tmp_path / "home", params_file=params))


def add(workspace: DvcWorkspace, source: Path, **prepare: object) -> DatasetVersion:
    section = {"size": 16, **prepare}
    return add_dataset(workspace, "mine", str(source), section, None, lambda line: None)


def inbox(workspace: DvcWorkspace) -> Path:
    return workspace.settings.home / "inbox" / "mine"


def total(version: DatasetVersion) -> int:
    return sum(version.counts.values())


def unzipped(archive: Path, folder: Path) -> Path:
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(folder)
    return folder


def as_tar(archive: Path, folder: Path) -> Path:
    with tarfile.open(folder.with_suffix(".tar.gz"), "w:gz") as out:
        out.add(unzipped(archive, folder), arcname="pictures")
    return folder.with_suffix(".tar.gz")


SHAPES: dict[str, Callable[[Path, Path], Path]] = {
    "zip": lambda archive, folder: archive,
    "folder": unzipped,
    "tar": as_tar,
}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_zip_a_folder_and_a_tar_of_the_same_images_are_the_same_version(
    workspace: DvcWorkspace, archive: Path, tmp_path: Path, shape: str
) -> None:
    version = add(workspace, SHAPES[shape](archive, tmp_path / "images"))
    card = load_prepared(version.directory).card
    assert total(version) == SPECIES * EACH
    assert card.class_names == tuple(f"species-{n:04d}" for n in range(SPECIES))
    assert card.image_shape == (3, 16, 16)
    arrays = load_prepared(version.directory).splits
    pixels = {image.tobytes() for split in Split for image in arrays[split].images}
    assert len(pixels) >= SPECIES * EACH - card.duplicates


def test_the_inbox_makes_a_new_version_and_the_old_one_stays_reachable(
    workspace: DvcWorkspace, archive: Path
) -> None:
    first = add(workspace, archive)
    before = {path.name: path.read_bytes() for path in first.directory.iterdir()}
    reader = load_prepared(first.directory).splits[Split.TRAIN].images
    pictures = sorted(unzipped(archive, workspace.settings.home / "x").rglob("*.png"))
    new = inbox(workspace) / "newcomer"
    new.mkdir()
    for number, picture in enumerate(pictures[:20]):
        shutil.copyfile(picture, new / f"{number}.png")
    (inbox(workspace) / "species-0000").mkdir()
    shutil.copyfile(pictures[-1], inbox(workspace) / "species-0000" / "000.png")
    second = workspace.reproduce("mine", lambda line: None)
    assert second.version != first.version
    assert total(second) == total(first) + 20
    assert second.change is not None
    assert (len(second.change.added), second.change.removed) == (20, ())
    assert second.change.changed == ("species-0000/000.png",)
    assert workspace.reproduce("mine", lambda line: None).change is None
    old = workspace.checkout("mine", first.version[:6])
    assert {path.name: path.read_bytes() for path in old.iterdir()} == before
    assert np.asarray(reader).tobytes() in before["train_images.npy"]


def test_an_image_never_moves_to_another_split_as_data_grow(
    workspace: DvcWorkspace, archive: Path
) -> None:
    first = add(workspace, archive)
    place = {
        image.tobytes(): split
        for split, arrays in load_prepared(first.directory).splits.items()
        for image in arrays.images
    }
    pictures = sorted(unzipped(archive, workspace.settings.home / "x").rglob("*.png"))
    (inbox(workspace) / "aaa").mkdir()
    for picture in pictures[:30]:
        shutil.copyfile(picture, inbox(workspace) / "aaa" / picture.name)
    second = workspace.reproduce("mine", lambda line: None)
    for split, arrays in load_prepared(second.directory).splits.items():
        for image in arrays.images:
            assert place.get(image.tobytes(), split) is split


def test_new_times_alone_make_no_new_version(
    workspace: DvcWorkspace, archive: Path, tmp_path: Path
) -> None:
    folder = unzipped(archive, tmp_path / "images")
    first = add(workspace, folder)
    for path in folder.rglob("*.png"):
        path.touch()
    again = workspace.reproduce("mine", lambda line: None)
    assert again.version == first.version
    assert again.ran == ("fetch@mine",)


def test_only_the_newest_folders_stay_and_the_rest_comes_back_from_the_cache(
    workspace: DvcWorkspace, archive: Path
) -> None:
    versions = [add(workspace, archive)]
    pictures = sorted(unzipped(archive, workspace.settings.home / "x").rglob("*.png"))
    (inbox(workspace) / "new").mkdir()
    for picture in pictures[: KEPT_FOLDERS + 1]:
        shutil.copyfile(picture, inbox(workspace) / "new" / picture.name)
        versions.append(workspace.reproduce("mine", lambda line: None))
    folders = [path for path in versions[0].directory.parent.iterdir() if path.is_dir()]
    assert len(folders) == KEPT_FOLDERS
    assert not versions[0].directory.exists()
    assert workspace.checkout("mine", versions[0].version) == versions[0].directory
    assert load_prepared(versions[0].directory).card.counts == versions[0].counts


def hostile(path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../evil.png", b"x")
    return path


def one_class(path: Path, archive: Path) -> Path:
    folder = unzipped(archive, path)
    for number in range(1, SPECIES):
        shutil.rmtree(folder / f"species-{number:04d}")
    return folder


def mostly_broken(path: Path, archive: Path) -> Path:
    folder = unzipped(archive, path)
    for picture in sorted(folder.rglob("*.png"))[::4]:
        picture.write_bytes(b"")
    return folder


@pytest.mark.parametrize("case", ["hostile", "one class", "unreadable", "too few", "missing"])
def test_what_cannot_be_used_is_refused_and_leaves_nothing(
    workspace: DvcWorkspace, archive: Path, tmp_path: Path, case: str
) -> None:
    few = tmp_path / "few"
    for name in ("a", "b"):
        (few / name).mkdir(parents=True)
    shutil.copyfile(
        sorted(unzipped(archive, tmp_path / "x").rglob("*.png"))[0], few / "a" / "1.png"
    )
    source, wanted = {
        "hostile": (hostile(tmp_path / "evil.zip"), "climbs out"),
        "one class": (one_class(tmp_path / "one", archive), "one class only"),
        "unreadable": (mostly_broken(tmp_path / "broken", archive), "unreadable files"),
        "too few": (few, "one class only"),
        "missing": (tmp_path / "nowhere", "nothing there"),
    }[case]
    with pytest.raises((CorruptDataError, DataUnavailableError), match=wanted):
        add(workspace, source)
    assert not workspace.datasets().own
    assert not (workspace.settings.home / VERSION_LEDGER).exists()
    assert not workspace.folder("prepared", "mine").exists()
    assert total(add(workspace, archive)) == SPECIES * EACH  # the name is still free


def test_a_few_unreadable_files_are_left_out_and_listed(
    workspace: DvcWorkspace, archive: Path, tmp_path: Path
) -> None:
    folder = unzipped(archive, tmp_path / "images")
    (folder / "species-0001" / "004.png").write_bytes(b"")
    (folder / "species-0002" / "notes.txt").write_text("no image")
    version = add(workspace, folder, max_unreadable=0.05)
    card = load_prepared(version.directory).card
    assert isinstance(card, ImageCard)
    assert [item.path for item in card.unreadable] == [
        "species-0001/004.png",
        "species-0002/notes.txt",
    ]
    assert total(version) == SPECIES * EACH - 1


def test_names_that_cannot_be_taken_are_refused(workspace: DvcWorkspace, archive: Path) -> None:
    for name in ("sprites", "My Pictures", "../x", ""):
        with pytest.raises(ConfigError):
            add_dataset(workspace, name, str(archive), {}, None, print)
    with pytest.raises(ConfigError, match="multiple of 4"):
        add(workspace, archive, size=65)
    add(workspace, archive)
    with pytest.raises(ConfigError, match="data remove mine"):
        add(workspace, archive)
    remove_dataset(workspace, "mine")
    with pytest.raises(UnknownKeyError):
        workspace.reproduce("mine")
    assert (workspace.settings.home / OWN_FILE).read_text("utf-8").strip() == "{}"
    with pytest.raises(ConfigError, match="of the catalog"):
        remove_dataset(workspace, "sprites")
    assert workspace.reproduce("linear", lambda line: None).ran
    assert total(add(workspace, archive)) == SPECIES * EACH


def test_texts_of_a_file_become_a_dataset_that_its_inbox_enlarges(
    workspace: DvcWorkspace, tmp_path: Path
) -> None:
    file = tmp_path / "opinions.csv"
    rows = [f"Number {n} is {'fine' if n % 2 else 'broken'},{n % 2}" for n in range(60)]
    file.write_text("\n".join(["text,label", *rows]), encoding="utf-8")
    first = add_dataset(workspace, "mine", str(file), {}, None, lambda line: None)
    card = load(first.directory).card
    assert isinstance(card, TextCard)
    assert card.class_names == ("0", "1")
    assert total(first) == 60
    assert workspace.reproduce("mine", lambda line: None).ran == ()
    (inbox(workspace) / "more.jsonl").write_text('{"text": "A new one is fine", "label": "1"}\n')
    second = workspace.reproduce("mine", lambda line: None)
    assert total(second) == 61
    assert second.change is not None
    assert second.change.added == ("more.jsonl",)
    remove_dataset(workspace, "mine")


def test_a_line_that_cannot_be_used_is_named_and_nothing_is_added(
    workspace: DvcWorkspace, tmp_path: Path
) -> None:
    file = tmp_path / "opinions.jsonl"
    file.write_bytes(b'{"text": "fine", "label": "1"}\n{"text": "bad\n')
    with pytest.raises(CorruptDataError, match=r"line 2 of opinions\.jsonl"):
        add_dataset(workspace, "mine", str(file), {}, None, lambda line: None)
    assert not workspace.datasets().own
    with pytest.raises(UnknownKeyError, match="size"):
        add_dataset(workspace, "mine", str(file), {"size": 16}, None, lambda line: None)
