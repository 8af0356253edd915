"""Small fixtures for all tests; what needs a server lives with the tests that use it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

ReportFactory = Callable[..., object]

# MLflow warns about its own type hints while it is imported.
MLFLOW_IMPORT = "ignore:.*Any type hint is inferred as AnyType:UserWarning"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--kills", default=5, type=int, help="How many kills (tests/chaos).")
    parser.addoption("--pictures", action="store_true", help="Take the README's pictures anew.")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("filterwarnings", MLFLOW_IMPORT)


@pytest.fixture(scope="session", autouse=True)
def _small_models_on_one_thread() -> None:
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)


@pytest.fixture(scope="session")
def make_report() -> ReportFactory:
    """Builds an evaluation report from true and predicted classes, with hand-made metrics."""
    from components.evaluation.report import EvaluationReport

    def build(
        labels: Sequence[int], predictions: Sequence[int], *, classes: int = 3, **changes: object
    ) -> EvaluationReport:
        true, said = np.asarray(labels), np.asarray(predictions)
        both = [np.sum((true == k) & (said == k)) for k in range(classes)]
        values = {
            "model": "run 1",
            "dataset": "toy",
            "dataset_version": "v1",
            "class_names": tuple("abcdefghij"[:classes]),
            "labels": tuple(true.tolist()),
            "predictions": tuple(said.tolist()),
            "accuracy": int(np.sum(true == said)) / len(true),
            "loss": 0.5,
            "precision": tuple(both[k] / max(1, np.sum(said == k)) for k in range(classes)),
            "recall": tuple(both[k] / max(1, np.sum(true == k)) for k in range(classes)),
            "calibration_error": 0.02,
            "latency_ms": 1.0,
            "size_bytes": 1_000,
        }
        return EvaluationReport.model_validate(values | changes)

    return build


@pytest.fixture(scope="session")
def toy_split() -> Callable[..., object]:
    """Builds an easy split: each class lights its own rows of a noisy picture."""
    import torch

    from components.datasets.base import Arrays
    from components.datasets.device_loader import DeviceSplit, to_device

    def build(n: int = 64, seed: int = 0, *, classes: int = 4, size: int = 12) -> DeviceSplit:
        rng = np.random.default_rng(seed)
        labels = (np.arange(n) % classes).astype(np.int64)
        images = rng.integers(0, 120, (n, 1, size, size)).astype(np.uint8)
        rows = size // classes
        for image, label in zip(images, labels, strict=True):
            image[0, label * rows : (label + 1) * rows] += 100
        return to_device(Arrays(images, labels), (0.4,), (0.25,), torch.device("cpu"))

    return build


@pytest.fixture(scope="session")
def sample_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the bundled sample fetched and prepared; do not write to it."""
    from components.datasets import DATASETS
    from components.datasets.base import DataConfig, FetchConfig, HoldOutConfig
    from components.settings import Settings
    from components.versioning.stage import run_fetch, run_prepare

    root = tmp_path_factory.mktemp("sample")
    spec = DATASETS.get("fashion_mnist_sample")
    config = DataConfig(FetchConfig(), HoldOutConfig())
    run_fetch(spec, config, Settings(home=root), root)
    run_prepare(spec, config, root)
    return root


@pytest.fixture(scope="session")
def sample_version(sample_root: Path) -> object:
    """The prepared sample as the DVC workspace would hand it to a job."""
    from components.datasets.prepared import load_prepared
    from components.versioning.versions import DatasetVersion

    directory = sample_root / "data" / "prepared" / "fashion_mnist_sample"
    splits = load_prepared(directory).splits
    return DatasetVersion(
        name="fashion_mnist_sample",
        version="5" * 32,
        source="bundled sample",
        sample=True,
        counts={split: len(arrays.labels) for split, arrays in splits.items()},
        directory=directory,
    )


@pytest.fixture
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """No variable of the person who runs the tests reaches the code."""
    import os

    for name in list(os.environ):
        if name.startswith("NIGHTFORGE_") or name.lower() in {"http_proxy", "https_proxy"}:
            monkeypatch.delenv(name)
    return monkeypatch
