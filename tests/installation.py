"""An installation of its own for a test: a state directory, and the command line on it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import yaml

ROOT = Path(__file__).resolve().parents[1]
NIGHTFORGE = [sys.executable, "-m", "flows.cli"]
# Each pytest process has a loopback address of its own, so that none takes another's port; none is
# 127.0.0.1, which servers trust without being told to.
HOST = f"127.0.0.{2 + int(os.environ.get('PYTEST_XDIST_WORKER', 'gw0').removeprefix('gw'))}"
QUICK = ["--set", "dataset=fashion_mnist_sample", "--set", "training.epochs=4"]


@dataclass(frozen=True)
class Installation:
    """A state directory and the command line that works on it."""

    home: Path
    params: Path

    @property
    def environment(self) -> dict[str, str]:
        inherited = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("NIGHTFORGE_", "PREFECT_", "MLFLOW_"))
        }
        return inherited | {
            "NIGHTFORGE_HOME": str(self.home),
            "NIGHTFORGE_HOST": HOST,
            "NIGHTFORGE_PARAMS_FILE": str(self.params),
            "COLUMNS": "160",
        }

    def call(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*NIGHTFORGE, *arguments],
            env=self.environment | more,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )

    def module(self, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a module of tests.flows in a process of its own, over this installation's servers."""
        return subprocess.run(
            [sys.executable, "-m", f"tests.flows.{name}", *arguments],
            env=self.environment,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )

    def found_by(self, name: str, *arguments: str) -> Any:
        """The JSON that such a module prints last."""
        done = self.module(name, *arguments)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    def refusals(self, *commands: Sequence[str]) -> list[str]:
        """What commands that must fail as usage errors say; in one process, to be quick."""
        found = self.found_by("many_commands", json.dumps(commands))
        for one in found:
            assert (one["code"], one["stdout"]) == (2, ""), one
            assert "Traceback" not in one["stderr"]
        return [" ".join(one["stderr"].split()) for one in found]

    def ok(self, *arguments: str) -> str:
        done = self.call(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*NIGHTFORGE, *arguments],
            env=self.environment,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def report(self) -> dict[str, object]:
        text = (self.home / "reports" / "latest.json").read_text("utf-8")
        report: dict[str, object] = json.loads(text)
        return report

    def flow_process(self) -> psutil.Process:
        """The process of the one running flow."""
        [found] = [
            process
            for process in psutil.process_iter(["cmdline"])
            if "flow_engine" in " ".join(process.info["cmdline"] or ())
            or "prefect.engine" in " ".join(process.info["cmdline"] or ())
            if process.environ().get("NIGHTFORGE_HOME") == str(self.home)
        ]
        return found

    def addresses(self) -> dict[str, str]:
        state = json.loads((self.home / "run" / "services.json").read_text("utf-8"))
        host = state["host"]
        return {
            "prefect": f"http://{host}:{state['prefect_port']}",
            "mlflow": f"http://{host}:{state['mlflow_port']}",
        }


def params_without_sources(path: Path) -> Path:
    """params.yaml in which no source of Fashion-MNIST can be reached, and with few sprites."""
    tree = yaml.safe_load((ROOT / "params.yaml").read_text("utf-8"))
    tree["data"]["fashion_mnist"]["fetch"] |= {"folders": [], "urls": ["http://127.0.0.1:9/"]}
    tree["data"]["sprites"]["fetch"] |= {"species": 12, "per_species": 10}
    path.write_text(yaml.safe_dump(tree), encoding="utf-8")
    return path


@contextmanager
def running(folder: Path) -> Iterator[Installation]:
    """An installation under `folder` whose servers and worker run; they stop at the end."""
    started = Installation(folder / "home", params_without_sources(folder / "params.yaml"))
    started.ok("up")
    yield started
    started.ok("down")
