"""Raw files to prepared arrays: ours against torchvision's datasets, transforms and DataLoader."""

from __future__ import annotations

import os
import shutil
import statistics
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from components.benchmarks.base import BenchmarkResult, Contestant, compare
from components.benchmarks.raw import fetch_raw
from components.datasets import fashion_mnist, sprites
from components.datasets.base import DatasetSpec, HoldOutConfig, PrepareConfig, Split
from components.datasets.image_pool import PoolConfig
from components.datasets.prepare import prepare
from components.datasets.prepared import load_prepared
from components.settings import Settings

if TYPE_CHECKING:
    from torch.utils.data import Dataset

ROUNDS = 5
BATCH = 256
WORKERS = 2
HERE = "components.benchmarks.data"


class DataComparison(BenchmarkResult):
    """One dataset's figures; ours, unless they say otherwise.

    Attributes:
        images: Prepared in each round.
        seconds: Median of ours.
        images_per_second: Of ours.
        reference_images_per_second: Of the reference.
        peak_bytes: Largest resident memory of our process, the interpreter included.
        prepared_bytes: Size of the prepared folder.
        loading_seconds: Median time to open the prepared data and copy the training split to the
            device as tensors.
    """

    images: int
    seconds: float
    images_per_second: float
    reference_images_per_second: float
    peak_bytes: int
    prepared_bytes: int
    loading_seconds: float


class DataBenchmark(BaseModel):
    """Both datasets."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fashion_mnist: DataComparison
    sprites: DataComparison


def data(say: Callable[[str], None]) -> DataBenchmark:
    """Fashion-MNIST's four files and a zip of 5,000 sprites, in turn with torchvision.

    Our side verifies the sums, splits, measures and writes; torchvision's unpacks, decodes,
    resizes and gathers the tensors in memory. The first round is not counted.

    Raises:
        DataError: If Fashion-MNIST cannot be had.
    """
    settings = Settings.from_environment(os.environ)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        fetch_raw(settings, root / "fashion_mnist")
        (root / "sprites").mkdir()
        sprites.write_zip(sprites.SpritesConfig(), root / "sprites" / sprites.ARCHIVE)
        return DataBenchmark(
            fashion_mnist=_compare(
                root,
                "fashion_mnist",
                "Fashion-MNIST's four gzip files to prepared arrays",
                "torchvision FashionMNIST, ToTensor, two-worker DataLoader",
                say,
            ),
            sprites=_compare(
                root,
                "sprites",
                "a zip of 5,000 RGBA sprites of 64 x 64 to prepared arrays of the same size",
                "torchvision ImageFolder, Resize, ToTensor, two-worker DataLoader",
                say,
            ),
        )


def _compare(
    root: Path, name: str, what: str, reference: str, say: Callable[[str], None]
) -> DataComparison:
    theirs, ours, loading = [], [], []
    with (
        closing(Contestant(f"{HERE}:{name}_reference", root)) as them,
        closing(Contestant(f"{HERE}:{name}_ours", root)) as us,
    ):
        for counted in range(ROUNDS + 1):
            pair = them.seconds(), us.seconds()
            say(f"{name}, round {counted}: torchvision {pair[0]:.2f} s, nightforge {pair[1]:.2f} s")
            if counted:
                theirs.append(pair[0])
                ours.append(pair[1])
        peak = us.peak_bytes
    with closing(Contestant(f"{HERE}:{name}_loading", root)) as load:
        loading = [load.seconds() for _ in range(ROUNDS)]
    prepared = _prepared(root, name)
    images = sum(load_prepared(prepared).card.counts.values())
    result = compare("data", what, (reference, theirs), ("nightforge prepare", ours))
    return DataComparison(
        **result.model_dump(),
        images=images,
        seconds=result.ours.median,
        images_per_second=images / result.ours.median,
        reference_images_per_second=images / result.reference.median,
        peak_bytes=peak,
        prepared_bytes=sum(file.stat().st_size for file in prepared.iterdir()),
        loading_seconds=statistics.median(loading),
    )


def _prepared(root: Path, name: str) -> Path:
    return root / "prepared" / name


def _preparing(root: Path, spec: DatasetSpec, config: PrepareConfig) -> Callable[[], None]:
    def work() -> None:
        destination = _prepared(root, spec.name)
        shutil.rmtree(destination, ignore_errors=True)
        destination.mkdir(parents=True)
        prepare(spec, config, root / spec.name, destination)

    return work


def fashion_mnist_ours(root: Path) -> Callable[[], None]:
    """Our side of Fashion-MNIST."""
    return _preparing(root, fashion_mnist.SPEC, HoldOutConfig())


def sprites_ours(root: Path) -> Callable[[], None]:
    """Our side of the sprites."""
    return _preparing(root, sprites.SPEC, PoolConfig())


def _loading(root: Path, name: str) -> Callable[[], None]:
    import torch

    from components.datasets.device_loader import to_device

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

    def work() -> None:
        prepared = load_prepared(_prepared(root, name))
        to_device(prepared.splits[Split.TRAIN], prepared.card.mean, prepared.card.std, device)

    return work


def fashion_mnist_loading(root: Path) -> Callable[[], None]:
    """Prepared Fashion-MNIST to the device."""
    return _loading(root, "fashion_mnist")


def sprites_loading(root: Path) -> Callable[[], None]:
    """Prepared sprites to the device."""
    return _loading(root, "sprites")


def _gather(datasets: list[Dataset[Any]], shape: tuple[int, ...]) -> None:
    """Every image of the datasets as one float tensor, as a training script would want them."""
    import torch
    from torch.utils.data import ConcatDataset, DataLoader

    whole: ConcatDataset[Any] = ConcatDataset(datasets)
    images, labels = torch.empty((len(whole), *shape)), torch.empty(len(whole), dtype=torch.int64)
    start = 0
    for batch, classes in DataLoader(whole, batch_size=BATCH, num_workers=WORKERS):
        images[start : start + len(classes)] = batch
        labels[start : start + len(classes)] = classes
        start += len(classes)


def _fresh_folders(root: Path, name: str) -> Iterator[Path]:
    for number in count():
        folder = root / "reference" / f"{name}-{number}"
        folder.mkdir(parents=True)
        yield folder


def fashion_mnist_reference(root: Path) -> Callable[[], None]:
    """Torchvision's side of Fashion-MNIST, unpacking included."""
    from torchvision import datasets, transforms

    folders = _fresh_folders(root, "fashion_mnist")

    def work() -> None:
        folder = next(folders)
        raw = folder / "FashionMNIST" / "raw"
        raw.mkdir(parents=True)
        for file in fashion_mnist.FILES:
            shutil.copyfile(root / "fashion_mnist" / file.name, raw / file.name)
            datasets.utils.extract_archive(str(raw / file.name), str(raw))
        parts = [
            datasets.FashionMNIST(str(folder), train, transform=transforms.ToTensor())
            for train in (True, False)
        ]
        _gather(parts, (1, 28, 28))

    return work


def sprites_reference(root: Path) -> Callable[[], None]:
    """Torchvision's side of the sprites, unpacking included."""
    from torchvision import datasets, transforms

    folders = _fresh_folders(root, "sprites")
    transform = transforms.Compose([transforms.Resize((64, 64)), transforms.ToTensor()])

    def work() -> None:
        folder = next(folders)
        with zipfile.ZipFile(root / "sprites" / sprites.ARCHIVE) as archive:
            archive.extractall(folder)
        _gather([datasets.ImageFolder(str(folder), transform)], (3, 64, 64))

    return work
