"""A worker of a sweep: keeps one process at work, and starts another if it dies."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict

from components.errors import StudyError
from components.settings import PROJECT_ROOT
from components.tuning.coordinator import ATTEMPTS, GONE, Address

TAIL = 400

READY = "ready"  # what a worker says on its standard output


def keep_working(
    address: Address, threads: int, say: Callable[[str], None], share: float = 1.0
) -> None:
    """Run worker processes, one at a time, until the study is over or its coordinator goes away.

    Args:
        address: Of the coordinator.
        threads: For the arithmetic of each process.
        say: Told of processes that died.
        share: Of a GPU's memory that each process may use, in (0, 1].

    Raises:
        StudyError: If a process cannot even start.
    """
    command = [sys.executable, "-m", "components.jobs.trial_worker"]
    told = json.dumps({"address": asdict(address), "threads": threads, "share": share}) + "\n"
    unready = 0
    while True:
        with (
            tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as trouble,
            subprocess.Popen(
                command,
                cwd=PROJECT_ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=trouble,
                text=True,
            ) as process,
        ):
            assert process.stdin
            assert process.stdout
            try:
                process.stdin.write(told)
                process.stdin.flush()
                ready = process.stdout.readline().strip() == READY
                status = process.wait()
            except BaseException:
                process.kill()
                raise
            if status in (0, GONE):
                return
            trouble.seek(0)
            last = " ".join(trouble.read()[-TAIL:].split())
        unready = 0 if ready else unready + 1
        if unready == ATTEMPTS:
            raise StudyError(
                "worker of the sweep",
                got=f"exit status {status} ({last})",
                wanted="a process that starts",
                remedy="Correct what it names, then run the study again.",
            )
        say(f"a worker process ended with status {status}; another one goes on. {last}")
