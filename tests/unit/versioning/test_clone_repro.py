"""`dvc repro` in a clone, as a person who knows DVC would start."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from components.datasets import DATASETS
from components.datasets.prepared import load
from components.settings import PROJECT_ROOT

# Fashion-MNIST needs Debian's package or a network, and has tests of its own.
HERE = [name for name in DATASETS if not DATASETS.get(name).optional and name != "fashion_mnist"]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The tracked files, as they are now, in a new git repository."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=PROJECT_ROOT, capture_output=True, text=True, check=True
    ).stdout
    for name in filter(None, listed.split("\0")):
        source, target = PROJECT_ROOT / name, tmp_path / name
        if source.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    return tmp_path


def repro(clone: Path, *targets: str) -> str:
    environment = {
        **os.environ,
        "DVC_NO_ANALYTICS": "1",
        "PYTHONPATH": str(clone),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    command = [sys.executable, "-m", "dvc", "repro", *targets]
    done = subprocess.run(command, cwd=clone, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_repro_prepares_what_needs_no_download_and_then_does_nothing(
    clone: Path, clean_environment: pytest.MonkeyPatch
) -> None:
    targets = [f"prepare@{name}" for name in HERE]
    first = repro(clone, *targets)
    for name in HERE:
        assert f"Running stage 'prepare@{name}'" in first
        assert load(clone / "data" / "prepared" / name).card.name == name
    again = repro(clone, *targets)
    assert "Running stage" not in again
    assert "up to date" in again


def test_every_stage_of_both_pipelines_is_known_to_dvc(
    clone: Path, clean_environment: pytest.MonkeyPatch
) -> None:
    for pipeline in ("dvc.yaml", "data/optional/dvc.yaml"):
        done = subprocess.run(
            [sys.executable, "-m", "dvc", "stage", "list", "--name-only", pipeline],
            cwd=clone,
            capture_output=True,
            text=True,
            check=True,
        )
        optional = pipeline != "dvc.yaml"
        names = [name for name in DATASETS if DATASETS.get(name).optional == optional]
        listed = {line.rpartition(":")[2] for line in done.stdout.split()}
        assert listed == {f"{kind}@{name}" for kind in ("fetch", "prepare") for name in names}
