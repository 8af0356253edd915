"""`nightforge data push` and `pull`: a local folder, a real S3 server, and a second machine."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from components.datasets.sprites import SpritesConfig, write_zip
from components.errors import (
    CorruptDataError,
    DataUnavailableError,
    NightforgeError,
    VersioningError,
)
from components.jobs.context import JobContext
from components.jobs.data import DataOutcome, refresh
from components.jobs.own_data import add_dataset
from components.settings import PROJECT_ROOT, Settings
from components.tracking.memory import MemoryRegistry, MemoryTracker
from components.versioning.dvc import DvcWorkspace
from components.versioning.objects import S3Settings, open_store
from components.versioning.remote import Remote
from components.versioning.versions import DatasetVersion
from tests.cutting_proxy import CuttingProxy
from tests.s3_server import S3Server

pytestmark = [pytest.mark.servers, pytest.mark.slow]


def machine(home: Path, **changes: object) -> DvcWorkspace:
    settings = Settings(home=home, params_file=PROJECT_ROOT / "params.yaml")
    return DvcWorkspace(settings.model_copy(update=changes))


def quiet(line: str) -> None:
    pass


def add_mine(workspace: DvcWorkspace, folder: Path) -> DatasetVersion:
    archive = folder / "mine.zip"
    write_zip(SpritesConfig(species=3, per_species=20), archive)
    return add_dataset(workspace, "mine", str(archive), {"size": 16}, None, quiet)


def files(workspace: DvcWorkspace, name: str) -> dict[str, bytes]:
    root = workspace.root / "data"
    found = [p for kind in ("raw", "prepared") for p in (root / kind / name).rglob("*")]
    return {str(p.relative_to(root)): p.read_bytes() for p in found if p.is_file()}


@pytest.fixture
def on_s3(logged_in: S3Server) -> dict[str, object]:
    """Settings of a remote in a bucket that does not exist yet."""
    url = f"s3://{logged_in.fresh_bucket()}/night"
    return {"remote": url, "s3_endpoint": logged_in.endpoint}


@pytest.mark.parametrize("kind", ["folder", "s3"])
def test_a_second_machine_gets_bit_identical_files_and_runs_nothing(
    tmp_path: Path, logged_in: S3Server, on_s3: dict[str, object], kind: str
) -> None:
    place = on_s3 if kind == "s3" else {"remote": str(tmp_path / "shared")}
    one, two = machine(tmp_path / "one", **place), machine(tmp_path / "two", **place)
    version = one.reproduce("fashion_mnist_sample", quiet)
    mine = add_mine(one, tmp_path)
    pushed = Remote(one).push(None, quiet)
    assert {record.version for record in pushed} == {version.version, mine.version}
    assert Remote(one).push(None, quiet) == []
    pulled = Remote(two).pull(None, quiet)
    assert {record.version for record in pulled} == {version.version, mine.version}
    for name in ("fashion_mnist_sample", "mine"):
        assert files(one, name) == files(two, name) != {}
        again = two.reproduce(name, quiet)
        assert again.ran == () or again.ran == ("fetch@mine",)
    assert two.reproduce("fashion_mnist_sample", quiet).version == version.version
    assert Remote(two).pull(None, quiet) == []


def test_a_source_that_is_only_on_the_first_machine_is_no_obstacle(
    tmp_path: Path, logged_in: S3Server
) -> None:
    place = {"remote": str(tmp_path / "shared")}
    one, two = machine(tmp_path / "one", **place), machine(tmp_path / "two", **place)
    mine = add_mine(one, tmp_path)
    Remote(one).push("mine", quiet)
    tracker = MemoryTracker()
    context = JobContext(two.settings, tracker, MemoryRegistry(tracker))

    def refreshed() -> DataOutcome:
        return refresh(two.settings, ["mine"], quiet, lambda: context).found["mine"]

    archive = tmp_path / "mine.zip"
    archive.rename(tmp_path / "only-there.zip")
    outcome = refreshed()  # nobody has said `data pull`, and this machine did not know it
    assert outcome.dataset.version == mine.version
    assert "The source is away" in outcome.warnings[0]

    write_zip(SpritesConfig(species=3, per_species=21), archive)
    newer = one.reproduce("mine", quiet, again=True)
    assert newer.version != mine.version
    Remote(one).push("mine", quiet)
    archive.unlink()
    assert refreshed().dataset.version == newer.version
    shutil.rmtree(tmp_path / "shared")
    outcome = refreshed()
    assert outcome.dataset.version == newer.version
    assert len(outcome.warnings) == 2


def test_versions_of_two_machines_stay_reachable_side_by_side(
    tmp_path: Path, logged_in: S3Server
) -> None:
    place = {"remote": str(tmp_path / "shared")}
    one, two = machine(tmp_path / "one", **place), machine(tmp_path / "two", **place)
    first = add_mine(one, tmp_path)
    Remote(one).push("mine", quiet)
    Remote(two).pull("mine", quiet)
    inbox = tmp_path / "one" / "inbox" / "mine" / "new"
    inbox.mkdir(parents=True)
    picture = next((one.root / "data" / "raw" / "mine" / "images").rglob("*.png"))
    shutil.copyfile(picture, inbox / "1.png")
    second = one.reproduce("mine", quiet)
    Remote(one).push("mine", quiet)
    assert [record.version for record in Remote(two).pull("mine", quiet)] == [second.version]
    assert files(one, "mine") == files(two, "mine")
    assert two.checkout("mine", first.version).is_dir()
    third = machine(tmp_path / "three", **place)
    Remote(third).pull("mine", quiet)
    assert [r.version for r in third.ledger.records("mine")] == [first.version, second.version]


def test_wrong_credentials_are_one_line_without_the_secret(
    tmp_path: Path,
    logged_in: S3Server,
    on_s3: dict[str, object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one = machine(tmp_path / "one", **on_s3)
    one.reproduce("linear", quiet)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong-secret-wrong-secret")
    with pytest.raises(VersioningError, match="wrong credentials") as caught:
        Remote(one).push(None, quiet)
    assert "wrong-secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_server_that_is_away_is_said_so(tmp_path: Path, logged_in: S3Server) -> None:
    place = {"remote": "s3://bucket/x", "s3_endpoint": "http://127.0.0.1:9"}
    one = machine(tmp_path / "one", **place)
    one.reproduce("linear", quiet)
    for call in (Remote(one).push, Remote(one).pull):
        with pytest.raises(DataUnavailableError, match="reachable object store"):
            call(None, quiet)


def test_a_push_whose_server_leaves_is_completed_by_the_next(
    tmp_path: Path, logged_in: S3Server, on_s3: dict[str, object]
) -> None:
    one = machine(tmp_path / "one", **on_s3)
    mine = add_mine(one, tmp_path)
    with (
        CuttingProxy(logged_in.port, up=40_000, action="leave") as proxy,
        pytest.raises(NightforgeError) as caught,
    ):
        Remote(machine(tmp_path / "one", **on_s3 | endpoint(proxy))).push(None, quiet)
    assert "\n" not in str(caught.value)
    two = machine(tmp_path / "two", **on_s3)
    with pytest.raises(NightforgeError):
        Remote(two).pull(None, quiet)  # no record stands there without its data
    assert [record.version for record in Remote(one).push(None, quiet)] == [mine.version]
    Remote(two).pull(None, quiet)
    assert files(one, "mine") == files(two, "mine")


def endpoint(proxy: CuttingProxy) -> dict[str, object]:
    return {"s3_endpoint": proxy.endpoint}


def test_a_damaged_object_in_the_remote_is_refused(tmp_path: Path, logged_in: S3Server) -> None:
    place = {"remote": str(tmp_path / "shared")}
    one, two = machine(tmp_path / "one", **place), machine(tmp_path / "two", **place)
    one.reproduce("linear", quiet)
    Remote(one).push(None, quiet)
    objects = [path for path in (tmp_path / "shared" / "dvc").rglob("*") if path.is_file()]
    largest = max(objects, key=lambda path: path.stat().st_size)
    largest.chmod(0o644)
    largest.write_bytes(b"x" * largest.stat().st_size)
    with pytest.raises(VersioningError):
        Remote(two).pull(None, quiet)


def test_a_record_that_cannot_be_read_is_named(tmp_path: Path, logged_in: S3Server) -> None:
    record = tmp_path / "shared" / "index" / "mine" / "x.json"
    record.parent.mkdir(parents=True)
    record.write_text("{}")
    with pytest.raises(CorruptDataError, match=r"mine/x\.json"):
        Remote(machine(tmp_path / "one", remote=str(tmp_path / "shared"))).pull(None, quiet)


def test_nothing_to_push_and_nothing_to_pull_are_said_so(
    tmp_path: Path, logged_in: S3Server
) -> None:
    one = machine(tmp_path / "one")
    with pytest.raises(VersioningError, match="nightforge run data"):
        Remote(one).push(None, quiet)
    with pytest.raises(VersioningError, match="nightforge data push"):
        Remote(one).pull(None, quiet)


def test_images_below_an_s3_prefix_are_a_source_and_an_inbox(
    tmp_path: Path, logged_in: S3Server
) -> None:
    bucket = logged_in.fresh_bucket()
    one = machine(tmp_path / "one", s3_endpoint=logged_in.endpoint)
    pictures = tmp_path / "pictures"
    write_zip(SpritesConfig(species=2, per_species=30), tmp_path / "x.zip")
    shutil.unpack_archive(tmp_path / "x.zip", pictures)
    settings = S3Settings(endpoint=logged_in.endpoint, region=None)
    with open_store(f"s3://{bucket}", settings) as store:
        store.ensure_bucket()
        for path in sorted(pictures.rglob("*.png")):
            store.put_file(path, f"images/{path.relative_to(pictures).as_posix()}")
        section = {"size": 16}
        source, inbox = f"s3://{bucket}/images", f"s3://{bucket}/inbox"
        first = add_dataset(one, "mine", source, section, inbox, quiet)
        assert sum(first.counts.values()) == 60
        assert one.reproduce("mine", quiet).ran == ()
        store.put_file(next(pictures.rglob("*.png")), "inbox/new/1.png")
        store.delete("images/species-0001/007.png")
    kept = one.folder("raw", "mine") / "images" / "species-0001" / "008.png"
    before = kept.read_bytes()
    second = one.reproduce("mine", quiet)
    assert second.change is not None
    assert second.change.added == ("new/1.png",)
    assert second.change.removed == ("species-0001/007.png",)
    assert kept.read_bytes() == before
