"""Our service against MLflow's plain scoring server: the same model, the same requests, in turn."""

from __future__ import annotations

import io
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import chdir, contextmanager
from importlib.metadata import version
from pathlib import Path

import httpx
import numpy as np
import torch
from PIL import Image
from pydantic import BaseModel, ConfigDict

from components.benchmarks.base import BenchmarkResult, compare
from components.datasets.base import Arrays, UInt8Array
from components.datasets.device_loader import to_device
from components.errors import ConfigError
from components.evaluation.classification import Subject, evaluate_classifier
from components.jobs.context import JobContext, registered_model, shape_tag
from components.jobs.evaluate import CANDIDATE_REPORT
from components.models.deployable import Deployable
from components.models.lenet import lenet_modern
from components.models.spec import ModelKind
from components.settings import MLFLOW_VARIABLE, PREFIX, PROJECT_ROOT, Settings
from components.tracking.base import CHAMPION, DatasetInput, RunSpec

ROUNDS = 5
SINGLES = 300  # requests of a round with one image each
BATCHES = 8  # requests of a round with BATCH images each
BATCH = 256
DATASET = "bench"
SHAPE, CLASSES = (1, 28, 28), 10
ADDRESS = re.compile(r"http://[\d.]+:\d+")
JSON = {"Content-Type": "application/json"}


class ServingFigures(BaseModel):
    """One server; over all counted rounds.

    Attributes:
        median_ms: Of a request with one image.
        percentile_95_ms: Likewise.
        images_per_second: One image a request, one request after the other.
        images_per_second_batched: BATCH images a request, one request after the other.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    median_ms: float
    percentile_95_ms: float
    images_per_second: float
    images_per_second_batched: float


class ServeBenchmark(BenchmarkResult):
    """What `nightforge bench serve` found; seconds are the median request of each round.

    Attributes:
        requests: With one image, to each server.
        classify_median_ms: POST /classify with a PNG file, which only ours has.
    """

    requests: int
    batch: int
    our_figures: ServingFigures
    reference_figures: ServingFigures
    classify_median_ms: float


def serve(say: Callable[[str], None]) -> ServeBenchmark:
    """A lenet_modern behind `nightforge serve` and behind MLflow's plain scoring server.

    JSON over HTTP on this machine from one client that keeps its connection; the first round is
    not counted.

    Raises:
        ConfigError: If a server does not start, or the two answer differently.
    """
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        pixels = np.random.default_rng(0).integers(0, 256, (BATCH, *SHAPE)).astype(np.uint8)
        _register(root, pixels)
        with _running(_plain(root)) as theirs, _running(_ours(root)) as ours:
            _check_same(theirs, ours, pixels)
            rounds = [_round(theirs, ours, pixels, say) for _ in range(ROUNDS + 1)][1:]
            files = [_seconds(ours, "/classify", _png(image), {}) for image in pixels]
    sides = [[pair[side] for pair in rounds] for side in (0, 1)]
    result = compare(
        "serve",
        f"HTTP requests with one image of {SHAPE} as JSON, lenet_modern, {SINGLES} a round",
        ("mlflow.pyfunc.scoring_server", [statistics.median(one.singles) for one in sides[0]]),
        ("nightforge serve", [statistics.median(one.singles) for one in sides[1]]),
    )
    packages = {name: version(name) for name in ("mlflow", "fastapi", "uvicorn")}
    return ServeBenchmark(
        **result.model_copy(update={"versions": result.versions | packages}).model_dump(),
        requests=ROUNDS * SINGLES,
        batch=BATCH,
        our_figures=_figures(sides[1]),
        reference_figures=_figures(sides[0]),
        classify_median_ms=1000 * statistics.median(files),
    )


class _Round(BaseModel):
    """Seconds of each request to one server."""

    singles: list[float]
    batches: list[float]


def _register(root: Path, pixels: UInt8Array) -> None:
    """An MLflow of our own below `root`, with one evaluated champion."""
    torch.manual_seed(0)
    model = Deployable(lenet_modern(SHAPE, CLASSES), (0.5,), (0.25,)).eval()
    labels = np.arange(len(pixels), dtype=np.int64) % CLASSES
    test = to_device(Arrays(pixels, labels), (0.5,), (0.25,), torch.device("cpu"))
    names = tuple(f"class {index}" for index in range(CLASSES))
    report, _ = evaluate_classifier(model, test, Subject("bench", DATASET, "0", names))
    with chdir(root):  # MLflow keeps artifacts where the process stands
        context = JobContext.connect(Settings(home=root, mlflow_uri=_uri(root)))
        data = DatasetInput(DATASET, "0", "random", {"test": len(pixels)})
        run = context.tracker.start(RunSpec(DATASET, DATASET, DATASET, {}, {}, data))
        context.tracker.log_text(run.run_id, CANDIDATE_REPORT, report.model_dump_json())
        context.tracker.log_model(run.run_id, model, np.zeros((2, *SHAPE), np.float32))
        registered = context.registry.register(_model(), run.run_id, shape_tag(SHAPE))
        context.registry.set_alias(registered.name, CHAMPION, registered.version)


def _uri(root: Path) -> str:
    return f"sqlite:///{root / 'mlflow.db'}"


def _model() -> str:
    return registered_model(DATASET, ModelKind.CLASSIFIER)


def _ours(root: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "flows.cli", "serve", _model(), "--port", "0"]
    return _start(command, root, {PREFIX + "HOME": str(root), MLFLOW_VARIABLE: _uri(root)})


def _plain(root: Path) -> subprocess.Popen[str]:
    """What `mlflow models serve` runs."""
    command = [sys.executable, "-m", "uvicorn", "--port", "0", "--no-access-log"]
    environment = {
        "__pyfunc_model_path__": f"models:/{_model()}@{CHAMPION}",
        "MLFLOW_TRACKING_URI": _uri(root),
        "MLFLOW_DEFAULT_PREDICTION_DEVICE": "cpu",
    }
    return _start([*command, "mlflow.pyfunc.scoring_server.app:app"], root, environment)


def _start(command: list[str], root: Path, environment: dict[str, str]) -> subprocess.Popen[str]:
    inherited = {k: v for k, v in os.environ.items() if not k.startswith((PREFIX, "MLFLOW_"))}
    return subprocess.Popen(
        command,
        cwd=root,
        env=inherited | environment | {"PYTHONPATH": str(PROJECT_ROOT)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@contextmanager
def _running(process: subprocess.Popen[str]) -> Iterator[httpx.Client]:
    """A client of a server that was started, once it says where it listens."""
    try:
        with httpx.Client(base_url=_address(process), trust_env=False, timeout=60) as client:
            yield client
    finally:
        process.terminate()
        process.communicate()


def _address(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    printed = []
    for line in process.stdout:
        printed.append(line)
        if found := ADDRESS.search(line):
            return found.group()
    raise ConfigError(
        "benchmark serve",
        got=f"exit status {process.wait()} ({' '.join(''.join(printed).split())[-300:]})",
        wanted="a server that says where it listens",
        remedy="The packages are installed by `make setup`.",
    )


def _body(pixels: UInt8Array) -> bytes:
    return json.dumps({"inputs": (pixels / 255).tolist()}).encode()


def _png(image: UInt8Array) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(image[0]).save(stream, format="PNG")
    return stream.getvalue()


def _check_same(theirs: httpx.Client, ours: httpx.Client, pixels: UInt8Array) -> None:
    said = [one.post("/invocations", content=_body(pixels), headers=JSON) for one in (theirs, ours)]
    if said[0].is_error or said[0].json() != said[1].json():
        raise ConfigError(
            "benchmark serve",
            got=f"{said[0].text[:100]} and {said[1].text[:100]}",
            wanted="the same scores from both servers",
            remedy="Report it: they run the same model.",
        )


def _round(
    theirs: httpx.Client, ours: httpx.Client, pixels: UInt8Array, say: Callable[[str], None]
) -> tuple[_Round, _Round]:
    pair = _measured(theirs, pixels), _measured(ours, pixels)
    say(
        ", ".join(
            f"{name}: {1000 * statistics.median(one.singles):.2f} ms for an image, "
            f"{1000 * statistics.median(one.batches):.0f} ms for {BATCH}"
            for name, one in zip(("mlflow", "nightforge"), pair, strict=True)
        )
    )
    return pair


def _measured(client: httpx.Client, pixels: UInt8Array) -> _Round:
    singles = [_body(pixels[[number % BATCH]]) for number in range(SINGLES)]
    batch = _body(pixels)
    return _Round(
        singles=[_seconds(client, "/invocations", body, JSON) for body in singles],
        batches=[_seconds(client, "/invocations", batch, JSON) for _ in range(BATCHES)],
    )


def _seconds(client: httpx.Client, path: str, body: bytes, headers: dict[str, str]) -> float:
    start = time.perf_counter()
    client.post(path, content=body, headers=headers).raise_for_status()
    return time.perf_counter() - start


def _figures(rounds: Sequence[_Round]) -> ServingFigures:
    singles = [seconds for one in rounds for seconds in one.singles]
    batches = [seconds for one in rounds for seconds in one.batches]
    return ServingFigures(
        median_ms=1000 * statistics.median(singles),
        percentile_95_ms=1000 * statistics.quantiles(singles, n=20)[-1],
        images_per_second=len(singles) / sum(singles),
        images_per_second_batched=BATCH * len(batches) / sum(batches),
    )
