"""The command line without servers: each trouble is one clear line, and nothing is lost."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path

import pytest

from tests.installation import HOST, ROOT, Installation

WANTED_PARTS = (": got ", ", wanted ")


def assert_one_clear_line(done: subprocess.CompletedProcess[str]) -> str:
    message = " ".join(done.stderr.split())
    assert done.returncode not in (0, 1 + 128), done.stdout
    assert "Traceback" not in done.stderr + done.stdout
    assert message.startswith("error: ")
    for part in WANTED_PARTS:
        assert part in message
    return message


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "nightly"],
        ["predict", "mine-classifier", "."],
        ["serve", "mine"],
        ["logs"],
        ["worker"],
    ],
)
def test_without_servers_it_says_how_to_start_them(
    installation: Installation, arguments: list[str]
) -> None:
    message = assert_one_clear_line(installation.call(*arguments))
    assert "nightforge up" in message


def test_debug_shows_the_trace(installation: Installation) -> None:
    done = installation.call("run", "nightly", "--debug")
    assert done.returncode != 0
    assert "Traceback" in done.stderr


def test_status_and_down_when_nothing_runs(installation: Installation) -> None:
    assert installation.call("status").returncode == 3
    assert "nothing was running" in installation.ok("down")


@pytest.mark.parametrize("name", ["PREFECT", "MLFLOW"])
def test_a_configured_port_in_use_is_refused(installation: Installation, name: str) -> None:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = installation.call("up", **{f"NIGHTFORGE_{name}_PORT": port})
    message = assert_one_clear_line(done)
    assert port in message
    assert f"NIGHTFORGE_{name}_PORT" in message


def test_a_state_directory_that_cannot_be_written(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    stuck = Installation(blocked / "home", ROOT / "params.yaml")
    message = assert_one_clear_line(stuck.call("up"))
    assert "NIGHTFORGE_HOME" in message
    assert blocked.read_text() == "not a folder"


def test_an_unusable_setting_names_the_variable(installation: Installation) -> None:
    message = assert_one_clear_line(installation.call("status", NIGHTFORGE_PREFECT_PORT="http"))
    assert "NIGHTFORGE_PREFECT_PORT" in message


def test_an_unknown_benchmark_names_the_known_ones(installation: Installation) -> None:
    message = assert_one_clear_line(installation.call("bench", "lenet-cpuu"))
    assert "'lenet-cpu'" in message


def test_python_3_10_is_refused_by_the_bootstrap(tmp_path: Path) -> None:
    stand_in = tmp_path / "python3"
    stand_in.write_text('#!/bin/sh\ncase "$2" in *exit*) exit 1;; *) echo 3.10;; esac\n')
    stand_in.chmod(0o755)
    done = subprocess.run(
        ["make", "setup", f"PYTHON={stand_in}", "VENV=" + str(tmp_path / "venv")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=os.environ | {"MAKEFLAGS": ""},
    )
    assert done.returncode != 0
    assert "got 3.10" in done.stderr
    assert "wanted 3.11 or newer" in done.stderr
    assert not (tmp_path / "venv").exists()


def test_no_python_at_all_is_one_line(tmp_path: Path) -> None:
    done = subprocess.run(
        ["sh", "infra/bootstrap.sh", str(tmp_path / "venv")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin", "PYTHON": "python-that-is-not-there"},
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: Python: got no python-that-is-not-there")


@pytest.mark.parametrize("command", ["up", "down"])
def test_servers_that_others_run_are_not_started_or_stopped(
    installation: Installation, command: str
) -> None:
    stack = {f"NIGHTFORGE_{name}_URI": "http://127.0.0.1:9" for name in ("PREFECT", "MLFLOW")}
    message = assert_one_clear_line(installation.call(command, **stack))
    assert "docker compose" in message


def test_a_worker_of_an_unknown_queue_names_the_known_ones(installation: Installation) -> None:
    message = assert_one_clear_line(installation.call("worker", "--queue", "cpus"))
    assert "cpu" in message
