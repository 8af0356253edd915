"""`nightforge data ...` in a terminal."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from components.datasets.sprites import SpritesConfig, write_zip
from components.settings import PROJECT_ROOT
from tests.installation import Installation
from tests.prefect_api import get, run_flow

pytestmark = pytest.mark.slow


class Terminal:
    """A person's shell with a state directory of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("NIGHTFORGE_")}
        return subprocess.run(
            [sys.executable, "-m", "flows.cli", "data", *arguments],
            cwd=PROJECT_ROOT,
            env={**kept, "NIGHTFORGE_HOME": str(self.home), "COLUMNS": "160"},
            capture_output=True,
            text=True,
        )

    def ok(self, *arguments: str) -> str:
        done = self.run(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def refused(self, *arguments: str) -> str:
        done = self.run(*arguments)
        assert done.returncode not in (0, None)
        assert "Traceback" not in done.stderr
        assert done.stderr.startswith("error: ")
        assert done.stderr.count("\n") == 1
        return done.stderr


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    return Terminal(tmp_path / "home with a space")


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    write_zip(SpritesConfig(species=3, per_species=30), tmp_path / "pictures.zip")
    return tmp_path / "pictures.zip"


def test_a_dataset_of_ones_own_from_the_first_command_to_the_last(
    terminal: Terminal, archive: Path, tmp_path: Path
) -> None:
    said = terminal.ok("add", "mine", str(archive), "--size", "16", "--grayscale")
    assert "16 x 16 pixels, 1 channel" in said
    assert "nightforge run train --set dataset=mine" in said
    (inbox,) = re.findall(r"inbox for later files: (.+)", said)
    assert "mine" in terminal.ok("list")
    assert "species-0002" in terminal.ok("show", "mine")
    assert "unchanged" in terminal.ok("refresh", "mine")
    shutil.unpack_archive(archive, tmp_path / "x")
    shutil.copytree(tmp_path / "x" / "species-0001", Path(inbox) / "newcomer")
    assert "30 added" in terminal.ok("refresh", "mine")
    versions = re.findall(r"\b[0-9a-f]{8}\b", terminal.ok("versions", "mine"))
    assert len(versions) == 2
    folder = Path(terminal.ok("checkout", "mine", versions[0]).strip())
    assert (folder / "dataset.json").exists()
    assert "pushed: mine" in terminal.ok("push")
    assert "nothing new" in terminal.ok("pull")
    assert "removed mine" in terminal.ok("remove", "mine")
    assert "mine" not in terminal.ok("list")


def test_mistakes_are_one_line_each(terminal: Terminal, archive: Path) -> None:
    assert "nothing there" in terminal.refused("add", "mine", "/no/such/place")
    assert "multiple of 4" in terminal.refused("add", "mine", str(archive), "--size", "65")
    assert "of the catalog" in terminal.refused("add", "sprites", str(archive))
    assert "Did you mean 'sprites'" in terminal.refused("show", "sprits")
    assert "nightforge run data" in terminal.refused("show", "sprites")
    assert "at least one prepared version" in terminal.refused("push")
    assert "no archive" in terminal.refused("add", "mine", str(PROJECT_ROOT / "README.md"))


@pytest.mark.servers
def test_a_new_dataset_joins_the_forms_of_running_servers_and_trains(
    servers: Installation, archive: Path
) -> None:
    servers.ok("data", "add", "guests", str(archive), "--size", "28", "--grayscale")
    deployment = get(servers, "/deployments/name/train/train")
    choices = deployment["parameter_openapi_schema"]["properties"]["dataset"]["enum"]
    assert {"guests", "fashion_mnist"} <= set(choices)
    small = ("model=softmax", "training.epochs=2", "training.batch_size=16")
    run_flow(servers, "train", "dataset=guests", *small)
    servers.ok("data", "remove", "guests")
    deployment = get(servers, "/deployments/name/train/train")
    choices = deployment["parameter_openapi_schema"]["properties"]["dataset"]["enum"]
    assert "guests" not in choices
