"""Training in several processes: torchrun is started, its epochs are passed on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import torch

from components.errors import ConfigError, TrainingError, rebuilt
from components.training.fit import EPOCH_LINE, ERROR_LINE, FitRequest, Fitted, OpenData, fit
from components.training.reporting import EpochMetrics, Reporter

ROOT = Path(__file__).resolve().parents[2]


def fit_together(request: FitRequest, reporter: Reporter, data: OpenData | None = None) -> Fitted:
    """Train with `training.processes` processes, here if it is one.

    With several, torchrun starts them (one for each GPU; on a CPU they share the cores); the
    result is then read back from the checkpoints in `request.folder`. `data` saves opening them
    again where one process trains.

    Raises:
        ConfigError: If there are fewer GPUs than processes.
        TrainingError: If a process fails; the others are ended.
        NightforgeError: As `fit`.
    """
    count = request.training.processes
    if count > 1:
        _refuse_missing_gpus(count)
        _run(request, reporter)
    return fit(request, reporter, data=data)


def _refuse_missing_gpus(count: int) -> None:
    if torch.cuda.is_available() and torch.cuda.device_count() < count:
        raise ConfigError(
            "training.processes",
            got=str(count),
            wanted=f"at most {torch.cuda.device_count()}, one for each GPU",
            remedy="Lower it.",
        )


def _run(request: FitRequest, reporter: Reporter) -> None:
    assert request.folder is not None, "several processes meet in the checkpoints"
    request.folder.mkdir(parents=True, exist_ok=True)
    path = request.folder / "request.json"
    path.write_text(request.model_dump_json(), encoding="utf-8")
    count = request.training.processes
    threads = max(1, (os.cpu_count() or 1) // count)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", str(count), "-m", "components.training.fit", str(path)]
    said, failure = "", None
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": str(threads)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout
        try:
            for line in process.stdout:
                if line.startswith(EPOCH_LINE):
                    values, epochs = json.loads(line.removeprefix(EPOCH_LINE))
                    reporter.on_epoch(_metrics(values), epochs)
                elif line.startswith(ERROR_LINE):
                    failure = failure or rebuilt(json.loads(line.removeprefix(ERROR_LINE)))
                else:
                    said = line if line.strip() else said
        except BaseException:
            process.send_signal(signal.SIGTERM)  # torchrun ends its children
            raise
    if process.returncode:
        raise failure or TrainingError(
            "training in several processes",
            got=f"exit status {process.returncode} ({said.strip()[:200]})",
            wanted="all processes to end by themselves",
            remedy="Run it with processes=1 to see where it fails.",
        )


def _metrics(values: dict[str, float]) -> EpochMetrics:
    known = {field.name: values.get(field.name) for field in fields(EpochMetrics)}
    return EpochMetrics(**known)  # type: ignore[arg-type]
