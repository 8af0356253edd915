"""Kills of a sweep or of its worker, at random moments: the log ends up the same."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from components.jobs.studies import LOG
from components.tuning.log import read_log
from components.tuning.trial import Claimed, EpochDone

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def sweep(home: Path, directory: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.chaos.killable_sweep"]
    return subprocess.Popen(
        [*command, str(home), str(directory), "1"], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )


def events(home: Path) -> list[object]:
    """What happened, without when."""
    found = []
    for event in read_log(home / "studies" / "killed" / LOG)[1]:
        untimed = {"at": 0.0}
        if isinstance(event, EpochDone):
            timeless = ("loss", "accuracy", "lr")
            kept = {k: v for k, v in event.metrics.items() if k.endswith(timeless)}
            untimed["metrics"] = kept  # type: ignore[assignment]
        found.append(event.model_copy(update=untimed))
    return found


def lines(home: Path) -> int:
    path = home / "studies" / "killed" / LOG
    return path.read_bytes().count(b"\n") if path.exists() else 0


def test_kills_leave_the_log_of_an_undisturbed_study(
    sample_root: Path, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    kills = int(pytestconfig.getoption("kills"))
    directory = sample_root / "data" / "prepared" / "fashion_mnist_sample"
    quiet, killed = tmp_path / "quiet", tmp_path / "killed"
    undisturbed = sweep(quiet, directory)
    assert "trained twice: 0" in undisturbed.communicate(timeout=300)[0]
    wanted = events(quiet)

    chance = random.Random(5)
    left = len(wanted) + 1
    # Lines of the log after which somebody is killed.
    places = sorted(chance.sample(range(1, left - 1), kills))
    process = sweep(killed, directory)
    for place in places:
        reached = time.monotonic() + 120
        while lines(killed) < place:
            assert process.poll() is None
            assert time.monotonic() < reached
            time.sleep(0.002)  # a file tells nobody that it grew
        worker = next(iter(children(process)), None)
        victim = worker if worker and chance.random() < 0.7 else None
        if victim is None:
            process.kill()
            process.communicate(timeout=60)
            for orphan in [worker] if worker else []:
                orphan.wait(timeout=60)  # leaves by itself
            process = sweep(killed, directory)
        else:
            os.kill(victim.pid, signal.SIGKILL)
    said = process.communicate(timeout=300)[0]
    assert process.returncode == 0
    assert "trained twice: 0" in said
    assert events(killed) == wanted
    claims = [event for event in wanted if isinstance(event, Claimed)]
    assert len(claims) > 20


def children(process: subprocess.Popen[str]) -> list[psutil.Process]:
    try:
        return psutil.Process(process.pid).children()
    except psutil.NoSuchProcess:
        return []
