"""Only one team of OpenMP's threads computes, however often another thread did before."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

COUNT = """
import os, sys
import torch
from components.training.termination import Termination

def threads():
    return len(os.listdir("/proc/self/task"))

def compute():
    values = torch.randn(1_000_000)
    return float((values + values).sum())

compute()
before = threads()  # with the main thread's team
during = Termination().run(threads)
compute()
print(torch.get_num_threads() - 1, before, during, threads())
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="GNU's OpenMP is what PyTorch has on Linux")
def test_the_main_threads_team_is_gone_while_the_training_thread_works() -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "3"}
    done = subprocess.run(
        [sys.executable, "-c", COUNT], env=environment, capture_output=True, text=True, check=True
    )
    helpers, before, during, after = map(int, done.stdout.split())
    assert during == before - helpers + 1  # they are gone, the training thread is there
    assert after == before
