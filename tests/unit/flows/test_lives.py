"""Whether the process of a flow run is gone."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from flows.lives import Life, is_over, life_of, living, note_gone

SAY = """
import sys
from pathlib import Path
from flows.lives import living
with living(Path(sys.argv[1]), "run"):
    print("alive", flush=True)
    sys.stdin.read()
"""

OUTLIVE = """
import os, sys
from pathlib import Path
from rich.console import Console
from flows.lives import living
nowhere = os.stat(os.devnull).st_rdev
with living(Path(sys.argv[1]), "run"):
    print("alive", flush=True)
    sys.stdin.read()
    while {os.fstat(1).st_rdev, os.fstat(2).st_rdev} != {nowhere}:
        pass
    print("on it goes", flush=True)
    Console(stderr=True).print("and on")
"""


@contextmanager
def another_process(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """It works on the flow run `run`."""
    with subprocess.Popen(
        [sys.executable, "-c", SAY, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "alive\n"
        yield process


def test_a_process_says_what_it_works_on_until_it_ends(tmp_path: Path) -> None:
    with living(tmp_path, "run"):
        life = life_of(tmp_path, "run")
        assert life is not None
        assert (life.pid, life.over) == (os.getpid(), False)
    assert life_of(tmp_path, "run") is None


def test_a_killed_process_is_gone_and_so_is_one_whose_number_another_has(tmp_path: Path) -> None:
    with another_process(tmp_path) as process:
        life = life_of(tmp_path, "run")
        assert life is not None
        assert life.over is False
        assert life.model_copy(update={"created": life.created - 1}).over is True
        process.kill()
        while life.over is False:  # until the kernel has noticed
            pass
        assert life.over is True  # though it was not waited for
    assert life.over is True


def test_what_its_own_machine_has_noted_is_believed_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with another_process(tmp_path) as process:
        note_gone(tmp_path)
        process.kill()
    life = life_of(tmp_path, "run")
    assert life is not None
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(socket, "gethostname", lambda: "elsewhere")
        note_gone(tmp_path)
        assert is_over(tmp_path, "run", life) is None
    note_gone(tmp_path)  # as its worker does when it starts again
    monkeypatch.setattr(socket, "gethostname", lambda: "elsewhere")
    assert is_over(tmp_path, "run", life) is True
    with living(tmp_path, "run"):  # the next attempt
        again = life_of(tmp_path, "run")
        assert again is not None
        monkeypatch.setattr(socket, "gethostname", lambda: "a third one")
        assert is_over(tmp_path, "run", again) is None


def test_nobody_knows_of_processes_on_other_machines() -> None:
    assert Life(host="elsewhere", pid=os.getpid(), created=0).over is None


def test_an_older_attempt_leaves_the_word_of_a_newer_one(tmp_path: Path) -> None:
    newer = Life(host="elsewhere", pid=1, created=1.0)
    with living(tmp_path, "run"):
        (tmp_path / "run.json").write_text(newer.model_dump_json(), encoding="utf-8")
    assert life_of(tmp_path, "run") == newer


def test_a_newer_attempt_ends_an_older_one_that_was_only_paused(tmp_path: Path) -> None:
    with another_process(tmp_path) as older:
        older.send_signal(signal.SIGSTOP)
        with living(tmp_path, "run"):
            life = life_of(tmp_path, "run")
            assert life is not None
            assert life.pid == os.getpid()
            assert older.wait(60) == 0  # without a word: a worker reports any other status


def test_an_older_attempt_that_is_dead_but_not_yet_reaped_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with another_process(tmp_path) as older:
        life = life_of(tmp_path, "run")
        assert life is not None
        older.kill()
        while life.over is False:  # until the kernel has noticed
            pass
        monkeypatch.setattr(psutil, "wait_procs", lambda *_: pytest.fail("it waits"))
        with living(tmp_path, "run"):
            assert life_of(tmp_path, "run") != life


def test_a_process_goes_on_when_nobody_reads_any_more_what_it_prints(tmp_path: Path) -> None:
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", OUTLIVE, str(tmp_path)]
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        assert process.stdout.readline() == "alive\n"
        process.stdout.close()
        process.stderr.close()
        process.stdin.close()
        assert process.wait(60) == 0
