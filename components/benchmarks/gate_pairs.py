"""How alike the mistakes of models are that differ in their seed alone: the gate's input."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, ValidationError

from components.benchmarks.base import hardware, versions
from components.benchmarks.raw import fetch_raw
from components.datasets.base import Split
from components.datasets.device_loader import DeviceSplit, to_device
from components.datasets.fashion_mnist import SPEC
from components.datasets.prepare import prepare
from components.datasets.prepared import load_prepared
from components.datasets.sections import OWN_FILE, Datasets
from components.errors import CorruptDataError
from components.evaluation.classification import Subject, evaluate_classifier
from components.models.deployable import Deployable
from components.params import check, load_params
from components.settings import PROJECT_ROOT, Settings
from components.training.config import TrainConfig
from components.training.fit import FitRequest, OpenData, fit, open_data
from components.training.precision import pick_device
from components.training.reporting import SilentReporter

MODEL, PROFILE = "lenet_modern", "demo"
SEEDS = 16
TABLE = PROJECT_ROOT / "data" / "errors" / "lenet_modern_fashion_mnist.json"


class MeasuredPairs(BaseModel):
    """Which share of several models of one recipe is right about each test image.

    Attributes:
        what: Model, dataset and what all models have in common.
        models: How many models there are, K.
        n: Test images.
        accuracies: Of each model on them.
        discordance: Share of the images about which exactly one of two models is right, averaged
            over all pairs.
        histogram: h[k] images are classified correctly by exactly k of the K models.
        class_histograms: The same for the images of each class.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    benchmark: str = "gate-pairs"
    what: str
    models: int
    n: int
    accuracies: tuple[float, ...]
    discordance: float
    histogram: tuple[int, ...]
    class_names: tuple[str, ...]
    class_histograms: tuple[tuple[int, ...], ...]
    hardware: str
    versions: dict[str, str]


def gate_pairs(say: Callable[[str], None]) -> MeasuredPairs:
    """Train the nightly model with 16 seeds and evaluate each on the test images.

    Raises:
        DataError: If Fashion-MNIST cannot be had.
    """
    settings = Settings.from_environment(os.environ)
    config = check(
        TrainConfig,
        load_params(settings.params_file, PROFILE).get("training") or {},
        f"{settings.params_file.name}: training",
    )
    with tempfile.TemporaryDirectory() as folder:
        directory = _prepared(settings, Path(folder))
        card, test = load_prepared(directory).card, _test(directory)
        data = open_data(FitRequest(directory=directory, model=MODEL, training=config))
        right = []
        for seed in range(SEEDS):
            chosen = config.model_copy(update={"seed": seed})
            request = FitRequest(directory=directory, model=MODEL, training=chosen)
            right.append(_right(request, data, test))
            say(f"seed {seed}: accuracy {right[-1].mean():.4f}")
    return summarise(
        np.array(right),
        test.labels.cpu().numpy(),
        card.class_names,
        f"{MODEL} on {card.name}, {config.epochs} epochs (profile {PROFILE}), "
        f"seeds 0 to {SEEDS - 1}, {len(test):,} test images",
    )


def _prepared(settings: Settings, root: Path) -> Path:
    fetch_raw(settings, root / "raw")
    config = Datasets(settings.params_file, settings.home / OWN_FILE).config(SPEC.name)
    directory = root / "prepared"
    directory.mkdir()
    prepare(SPEC, config.prepare, root / "raw", directory)
    return directory


def _test(directory: Path) -> DeviceSplit:
    prepared = load_prepared(directory)
    card = prepared.card
    return to_device(prepared.splits[Split.TEST], card.mean, card.std, pick_device())


def _right(request: FitRequest, data: OpenData, test: DeviceSplit) -> npt.NDArray[np.bool_]:
    """(n,) whether a newly trained model is right about each test image."""
    fitted = fit(request, SilentReporter(), data=data)
    card = load_prepared(request.directory).card
    model = Deployable(fitted.net, card.mean, card.std).to(pick_device()).eval()
    subject = Subject(f"seed {request.training.seed}", card.name, "", card.class_names)
    return evaluate_classifier(model, test, subject)[0].correct()


def summarise(
    right: npt.NDArray[np.bool_],
    labels: npt.NDArray[np.int64],
    class_names: tuple[str, ...],
    what: str,
) -> MeasuredPairs:
    """Count.

    Args:
        right: (K, n) whether model k is right about image i.
        labels: (n,) true classes.
        class_names: In the order of the labels.
        what: See `MeasuredPairs`.
    """
    models, n = right.shape
    hits = right.sum(0)
    counts = np.array(
        [np.bincount(hits[labels == c], minlength=models + 1) for c in range(len(class_names))]
    )
    return MeasuredPairs(
        what=what,
        models=models,
        n=n,
        accuracies=tuple(right.mean(1).tolist()),
        discordance=float((hits * (models - hits)).sum() / math.comb(models, 2) / n),
        histogram=tuple(counts.sum(0).tolist()),
        class_names=class_names,
        class_histograms=tuple(tuple(row) for row in counts.tolist()),
        hardware=hardware(),
        versions=versions(),
    )


def load_pairs(path: Path = TABLE) -> MeasuredPairs:
    """The recorded measurement.

    Raises:
        CorruptDataError: If it is missing or damaged.
    """
    try:
        return MeasuredPairs.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValidationError) as error:
        raise CorruptDataError(
            f"measured pairs {path}",
            got=" ".join(str(error).split())[:200],
            wanted="what `nightforge bench gate-pairs --json` writes",
            remedy="Restore the file from version control, or measure again.",
        ) from None
