"""Ours, Optuna and Ray Tune on the same search, for the same time, with real training."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
from pydantic import BaseModel, ConfigDict

from components.benchmarks.base import hardware, versions
from components.benchmarks.rival_sides import SIDES, WORKERS, EpochLine
from components.datasets.sections import OWN_FILE, Datasets
from components.errors import ConfigError
from components.settings import PROJECT_ROOT, Settings
from components.versioning.stage import run_fetch, run_prepare

DATASET = "fashion_mnist"
SECONDS = 240.0
SAMPLE_SECONDS = 0.5
MIB = 1 << 20


class RivalRun(BaseModel):
    """One tuner's run.

    Attributes:
        best_error: Of all epochs.
        epochs: Trained to the end.
        wall_seconds: Of the whole process, with start-up and the end of what still ran.
        startup_seconds: From the start of the process to that of the first epoch.
        overhead_ms: The workers' time between the first epoch's start and the last one's end that
            was no epoch, over the trials.
        memory_mib: Largest sum over its processes of what each has for itself (USS).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    best_error: float
    trials: int
    epochs: int
    wall_seconds: float
    startup_seconds: float
    overhead_ms: float
    memory_mib: float


class RivalsBenchmark(BaseModel):
    """What `nightforge bench sweep-rivals` found."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    benchmark: str = "sweep-rivals"
    what: str
    runs: tuple[RivalRun, ...]
    hardware: str
    versions: dict[str, str]


def sweep_rivals(say: Callable[[str], None]) -> RivalsBenchmark:
    """Each tuner searches LeNet's learning rate and batch size for four minutes.

    Random proposals, rungs 2, 4, 8, 10, two workers with a thread each, for all of them.

    Raises:
        ConfigError: If one of them cannot run.
        DataError: If Fashion-MNIST cannot be had.
    """
    settings = Settings.from_environment(os.environ)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        datasets = Datasets(settings.params_file, settings.home / OWN_FILE)
        run_fetch(datasets.spec(DATASET), datasets.config(DATASET), settings, root)
        run_prepare(datasets.spec(DATASET), datasets.config(DATASET), root)
        runs = []
        for number, name in enumerate(SIDES):
            run = _run(name, root / "data" / "prepared" / DATASET, root / f"{number}")
            say(
                f"{name}: best error {run.best_error:.4f}, {run.trials} trials, {run.epochs} "
                f"epochs, start-up {run.startup_seconds:.1f} s, overhead {run.overhead_ms:.0f} ms "
                f"a trial, {run.memory_mib:.0f} MiB"
            )
            runs.append(run)
    return RivalsBenchmark(
        what=f"LeNet on Fashion-MNIST, book's space, {SECONDS:g} s, {WORKERS} workers",
        runs=tuple(runs),
        hardware=hardware(),
        versions=versions(),
    )


def _run(name: str, directory: Path, folder: Path) -> RivalRun:
    folder.mkdir()
    out, log = folder / "epochs.jsonl", folder / "log"
    command = [sys.executable, "-m", "components.benchmarks.rival_sides", name]
    command += [str(directory), str(SECONDS), str(out)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(PROJECT_ROOT)}
    start, peak = time.time(), 0
    with (
        log.open("w") as stream,
        subprocess.Popen(
            command, stdout=stream, stderr=stream, env=environment, cwd=folder
        ) as process,
    ):
        while process.poll() is None:
            peak = max(peak, _own_memory(psutil.Process(process.pid)))
            with suppress(subprocess.TimeoutExpired):
                process.wait(SAMPLE_SECONDS)
    end = time.time()
    if process.returncode or not out.exists():
        raise ConfigError(
            f"benchmark sweep-rivals, {name}",
            got=f"exit status {process.returncode} ({log.read_text('utf-8')[-300:]})",
            wanted="its epochs",
            remedy="The packages are installed by `make setup`.",
        )
    lines = [EpochLine.model_validate_json(line) for line in out.read_text("utf-8").splitlines()]
    first = min(line.end - line.seconds for line in lines)
    last = max(line.end for line in lines)
    trained = sum(line.seconds for line in lines)
    trials = len({line.trial for line in lines})
    return RivalRun(
        name=name,
        best_error=1 - max(line.value for line in lines),
        trials=trials,
        epochs=len(lines),
        wall_seconds=end - start,
        startup_seconds=first - start,
        overhead_ms=1000 * (WORKERS * (last - first) - trained) / trials,
        memory_mib=peak / MIB,
    )


def _own_memory(process: psutil.Process) -> int:
    """Bytes that a process and those below it have for themselves."""
    total = 0
    with suppress(psutil.Error):
        for one in [process, *process.children(recursive=True)]:
            with suppress(psutil.Error):
                total += one.memory_full_info().uss
    return total
