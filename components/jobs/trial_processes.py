"""A worker of a sweep: keeps one process at work, and starts another if it dies."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from typing import Self

from components.errors import StudyError
from components.settings import PROJECT_ROOT
from components.tuning.coordinator import ATTEMPTS, GONE, Address

TAIL = 400

# What a worker says on its standard output, in this order.
IMPORTED = "imported"
READY = "ready"


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
    told = json.dumps({"address": asdict(address), "threads": threads, "share": share}) + "\n"
    prepared = bool(_spares)
    unready = 0
    try:
        while True:
            with _spares.pop() if _spares else _TrialProcess() as process:
                ready, status = process.work(told)
                if status in (0, GONE):
                    return
                last = process.last_words()
            unready = 0 if ready else unready + 1
            if unready == ATTEMPTS:
                raise StudyError(
                    "worker of the sweep",
                    got=f"exit status {status} ({last})",
                    wanted="a process that starts",
                    remedy="Correct what it names, then run the study again.",
                )
            say(f"a worker process ended with status {status}; another one goes on. {last}")
    finally:
        if prepared:
            _spares.append(_TrialProcess())  # for the next study, which need not wait for it


def keep_spare() -> None:
    """Start a process that imports PyTorch before there is a study for it, and wait until it has.

    A machine of a cluster that joins in the middle of a study then takes a trial at once.
    """
    _spares.append(process := _TrialProcess())
    process.heard(IMPORTED)


def release_spares() -> None:
    """Let the processes end that wait for a study."""
    while _spares:
        with _spares.pop():
            pass  # it has nobody to hear from any more, and ends


class _TrialProcess:
    """A worker process; it waits to be told where its coordinator is, and ends with this one."""

    def __init__(self) -> None:
        self._trouble = tempfile.TemporaryFile(  # noqa: SIM115 - closed in __exit__
            "w+", encoding="utf-8", errors="replace"
        )
        self._process = subprocess.Popen(
            [sys.executable, "-m", "components.jobs.trial_worker"],
            cwd=PROJECT_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._trouble,
            text=True,
        )

    def work(self, told: str) -> tuple[bool, int]:
        """Let it work until it ends; whether it ever was ready, and its exit status."""
        assert self._process.stdin
        try:
            with suppress(BrokenPipeError):  # it is dead already, which its status says
                self._process.stdin.write(told)
                self._process.stdin.flush()
            return self.heard(READY), self._process.wait()
        except BaseException:
            self._process.kill()
            raise

    def heard(self, word: str) -> bool:
        """Wait until it says a word; whether it did before its end."""
        assert self._process.stdout
        return any(line.strip() == word for line in self._process.stdout)

    def last_words(self) -> str:
        self._trouble.seek(0)
        return " ".join(self._trouble.read()[-TAIL:].split())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._trouble.close()
        with suppress(BrokenPipeError):
            self._process.__exit__(None, None, None)


_spares: list[_TrialProcess] = []
