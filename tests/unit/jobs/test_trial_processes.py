"""A process that waits for a study is the one that works on it, and never outlives its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from components.jobs.studies import SweepConfig
from components.jobs.sweep import open_study
from components.jobs.trial_processes import keep_spare, keep_working, release_spares
from components.tuning.coordinator import Coordinator
from tests.chaos.killable_sweep import NAME, RECIPE, context, data
from tests.installation import ROOT

pytestmark = pytest.mark.slow
ONE_TRIAL = SweepConfig.model_validate(
    {
        "space": {"lr": {"distribution": "log_uniform", "low": 0.01, "high": 0.1}},
        "scheduler": "fifo",
        "resources": {"min_resource": 1, "max_resource": 1},
        "limits": {"trials": 1},
    }
)


@pytest.fixture
def spare() -> Iterator[psutil.Process]:
    """The waiting process; whichever waits at the end is ended."""
    before = set(psutil.Process().children())
    keep_spare()
    [process] = set(psutil.Process().children()) - before
    yield process
    release_spares()
    assert set(psutil.Process().children()) <= before


def test_the_process_that_waits_takes_the_trial_and_another_one_waits(
    spare: psutil.Process, sample_root: Path, tmp_path: Path
) -> None:
    directory = sample_root / "data" / "prepared" / "fashion_mnist_sample"
    said: list[str] = []
    with open_study(context(tmp_path), NAME, data(directory), RECIPE, ONE_TRIAL) as study:
        setup = study.setup.model_dump(mode="json")
        with Coordinator(study.tuner, setup, study.changed) as coordinator:
            keep_working(coordinator.address, 1, said.append)
        outcome = study.close(skipped=False)
    assert outcome.best.number == 0
    assert said == []
    assert not spare.is_running()  # it is the one that worked: no other one was started for it
    waiting = [one.cmdline() for one in psutil.Process().children()]
    assert any("components.jobs.trial_worker" in line for line in waiting)


def test_a_process_that_waits_ends_with_its_parent() -> None:
    code = (
        "from components.jobs.trial_processes import keep_spare\n"
        "keep_spare()\nprint(flush=True)\ninput()"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert parent.stdout
    parent.stdout.readline()
    [waiting] = psutil.Process(parent.pid).children()
    os.kill(parent.pid, signal.SIGKILL)
    parent.communicate()
    psutil.wait_procs([waiting], timeout=60)
    assert not waiting.is_running()
