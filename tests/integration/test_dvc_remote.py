"""Two things that DVC's own command line does with an S3 remote, and data pull builds on."""

from __future__ import annotations

import filecmp
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import md5
from pathlib import Path

import pytest

from components.versioning.objects import ObjectStore, S3Settings, open_store
from tests.cutting_proxy import CuttingProxy
from tests.s3_server import S3Server, other_variables

pytestmark = [pytest.mark.servers, pytest.mark.slow]

SMALL_FILES, SMALL_SIZE = 20, 20_000
# Compatible services do not know the newer checksums.
CHECKSUMS = {
    "AWS_REQUEST_CHECKSUM_CALCULATION": "when_required",
    "AWS_RESPONSE_CHECKSUM_VALIDATION": "when_required",
}
QUIET = {"DVC_NO_ANALYTICS": "1", "CI": "true"}  # CI also keeps it from looking for updates

Done = subprocess.CompletedProcess[str]


@dataclass
class Workspace:
    """A DVC repository without git, with a remote called `store`."""

    root: Path
    environ: dict[str, str] = field(repr=False)
    remote: str

    @property
    def data(self) -> Path:
        return self.root / "data"

    def dvc(self, *arguments: str, **more: str) -> Done:
        return subprocess.run(
            [sys.executable, "-m", "dvc", *arguments],
            cwd=self.root,
            env=other_variables() | QUIET | CHECKSUMS | self.environ | more,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )

    def ok(self, *arguments: str) -> str:
        done = self.dvc(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def point_at(self, endpoint: str) -> None:
        """Say where the remote is, in .dvc/config.local, which is never committed."""
        self.ok("remote", "add", "--local", "--force", "--default", "store", self.remote)
        self.ok("remote", "modify", "--local", "store", "endpointurl", endpoint)
        self.ok("remote", "modify", "--local", "store", "verify", "true")

    def clone(self, name: str, endpoint: str) -> Workspace:
        """Another workspace that knows the data by its .dvc file only."""
        other = Workspace(self.root.parent / name, self.environ, self.remote)
        other.start(endpoint)
        shutil.copy(self.root / "data.dvc", other.root)
        return other

    def start(self, endpoint: str) -> None:
        self.root.mkdir(parents=True)
        self.environ |= {"DVC_SITE_CACHE_DIR": str(self.root.parent / "site")}
        self.ok("init", "--no-scm", "--quiet")
        self.point_at(endpoint)


@pytest.fixture
def bucket(logged_in: S3Server) -> str:
    """An existing bucket."""
    name = logged_in.fresh_bucket()
    with open_store(f"s3://{name}", S3Settings(endpoint=logged_in.endpoint, region=None)) as store:
        store.ensure_bucket()
    return name


@pytest.fixture
def workspace(logged_in: S3Server, bucket: str, tmp_path: Path) -> Iterator[Workspace]:
    """A folder of small files, not yet known to DVC; clones beside it are removed with it."""
    made = Workspace(tmp_path / "work" / "one", dict(logged_in.environ), f"s3://{bucket}/dvc")
    made.start(logged_in.endpoint)
    made.data.mkdir()
    for number in range(SMALL_FILES):
        content = random.Random(number).randbytes(SMALL_SIZE)
        (made.data / f"small-{number}").write_bytes(content)
    yield made
    shutil.rmtree(tmp_path / "work")


@pytest.fixture
def small(workspace: Workspace) -> Workspace:
    """Only the small files, added."""
    workspace.ok("add", "--quiet", "data")
    return workspace


@pytest.fixture
def large(workspace: Workspace, big_file: Path) -> Workspace:
    """With 100 MB in one file beside the small ones, added."""
    shutil.copyfile(big_file, workspace.data / "big")
    workspace.ok("add", "--quiet", "data")
    return workspace


def same(one: Workspace, other: Workspace) -> bool:
    names = sorted(path.name for path in one.data.iterdir())
    equal, _, _ = filecmp.cmpfiles(one.data, other.data, names, shallow=False)
    return equal == names == sorted(path.name for path in other.data.iterdir())


def remote_key(path: Path) -> str:
    digest = md5(path.read_bytes(), usedforsecurity=False).hexdigest()
    return f"dvc/files/md5/{digest[:2]}/{digest[2:]}"


def test_a_connection_that_breaks_once(large: Workspace, logged_in: S3Server) -> None:
    limit = 60 << 20
    with CuttingProxy(logged_in.port, up=limit) as proxy:
        large.point_at(proxy.endpoint)
        large.ok("push")
    assert proxy.acted.is_set()
    assert proxy.count("partNumber=") > 1
    with CuttingProxy(logged_in.port, down=limit) as proxy:
        other = large.clone("two", proxy.endpoint)
        # Small objects are read again, but not always a part of a large one.
        assert other.dvc("pull").returncode in (0, 1)
        other.ok("pull")
    assert proxy.acted.is_set()
    assert same(large, other)


@pytest.fixture
def below(logged_in: S3Server, bucket: str) -> Iterator[ObjectStore]:
    """The same bucket without DVC."""
    with open_store(f"s3://{bucket}", S3Settings(endpoint=logged_in.endpoint, region=None)) as made:
        yield made


def test_a_changed_object_is_refused_only_because_verify_is_set(
    small: Workspace, below: ObjectStore, logged_in: S3Server
) -> None:
    small.ok("push")
    below.put_bytes(b"x" * SMALL_SIZE, remote_key(small.data / "small-3"))
    other = small.clone("two", logged_in.endpoint)
    assert other.dvc("pull").returncode == 1
    other.ok("remote", "modify", "--local", "store", "verify", "false")
    other.ok("pull")
    assert not same(small, other)
