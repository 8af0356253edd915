"""The coordinator with real worker processes over real sockets."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from multiprocessing.connection import Client
from pathlib import Path

import pytest

from components.tuning.coordinator import ATTEMPTS, GONE, Address, Coordinator
from components.tuning.log import TrialLog
from components.tuning.trial import Claimed, TrialStatus
from components.tuning.tuner import Tuner
from tests.simulated import error_curve, study

ROOT = Path(__file__).resolve().parents[3]
WORKER = [sys.executable, "-m", "tests.unit.tuning.simple_worker"]


@contextmanager
def coordinator(setup: dict, **changes: object) -> Iterator[Coordinator]:
    wanted = study(**({"limits": {"trials": 30}} | changes))
    tuner = Tuner(wanted, TrialLog(None, wanted.header()))
    with Coordinator(tuner, setup) as serving:
        serving.tuner = tuner  # type: ignore[attr-defined]
        yield serving


def worker(address: Address) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    process = subprocess.Popen(WORKER, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
    assert process.stdin
    process.stdin.write(json.dumps({"address": asdict(address)}) + "\n")
    process.stdin.flush()
    return process


def ended(process: subprocess.Popen[str]) -> int:
    process.communicate(timeout=60)
    return process.returncode


def test_several_workers_finish_a_study() -> None:
    with coordinator({}) as serving:
        assert [ended(p) for p in [worker(serving.address) for _ in range(3)]] == [0, 0, 0]
        tuner = serving.tuner
        assert tuner.over
        assert tuner.trained_twice == 0
        assert len(tuner.trials) == 30
        for trial in tuner.trials.values():
            assert trial.curve == list(error_curve(trial.config).values[: len(trial.curve)])


def test_a_worker_that_is_killed_every_time_fails_its_trial_alone() -> None:
    with coordinator({"crashes": [4]}) as serving:
        statuses = []
        while not serving.tuner.over:
            statuses.append(ended(worker(serving.address)))
        assert statuses == [-9] * ATTEMPTS + [0] * (len(statuses) - ATTEMPTS)
        trial = serving.tuner.trials[4]
        assert trial.status is TrialStatus.FAILED
        assert "ended 3 times without a result" in trial.reason
        claims = [e.segment.trial for e in serving.tuner.events if isinstance(e, Claimed)]
        assert claims.count(4) == 1


def test_a_trial_that_cannot_go_on_tells_why() -> None:
    with coordinator({"fails": 2}) as serving:
        assert ended(worker(serving.address)) == 0
        assert serving.tuner.trials[2].reason == "an operator was missing"
        assert serving.tuner.over


def test_what_ends_every_trial_ends_the_study_and_keeps_its_trial() -> None:
    with coordinator({"full": 3}) as serving:
        process = worker(serving.address)
        assert ended(process) == GONE
        assert "No space left" in str(serving.failure)
        assert serving.tuner.trials[3].status is TrialStatus.RUNNING


def test_workers_leave_with_their_coordinator() -> None:
    with coordinator({}, searcher="grid", limits={"trials": 1}) as serving:
        address = serving.address
        holder = Client((address.host, address.port), authkey=address.key.encode())
        holder.send_bytes(b'{"op": "claim"}')
        assert json.loads(holder.recv_bytes())["segment"]["trial"] == 0
        waiting = worker(address)  # for the result of the only trial
        assert waiting.stdout
        assert waiting.stdout.readline() == "connected\n"
    assert ended(waiting) == GONE
    with pytest.raises(EOFError):
        holder.recv_bytes()
    with pytest.raises(ConnectionError):
        socket.create_connection((address.host, address.port), timeout=5)


def test_strangers_get_nothing_and_hold_nobody_up() -> None:
    with coordinator({}) as serving:
        address = serving.address
        silent = socket.create_connection((address.host, address.port))
        with pytest.raises(Exception, match="digest"):
            Client((address.host, address.port), authkey=b"guess")
        assert ended(worker(replace(address, key="guess"))) == 1
        noisy = socket.create_connection((address.host, address.port))
        noisy.sendall(b"\x00\x00\x00\x02{}" * 10)
        assert ended(worker(address)) == 0
        assert serving.tuner.over
        silent.close()
        noisy.close()


class Broken:
    """A searcher that raises what nobody expects."""

    limit = None

    def propose(self, number: int, trials: object, scores: object) -> dict:
        raise KeyError("a bug")


def test_what_nobody_expected_ends_the_study_with_a_reason() -> None:
    with coordinator({}) as serving:
        serving.tuner._searcher = Broken()
        assert ended(worker(serving.address)) == GONE
        assert "KeyError: 'a bug'" in str(serving.failure)
