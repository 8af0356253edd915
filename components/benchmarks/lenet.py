"""One LeNet epoch: Dive into Deep Learning's own loader and Trainer against ours."""

from __future__ import annotations

import gzip
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import torch

from components.benchmarks.base import BenchmarkResult, Contestant, compare, require_gpu
from components.benchmarks.raw import fetch_raw
from components.datasets.base import HoldOutConfig, ReadRequest
from components.datasets.device_loader import DeviceSplit, to_device
from components.datasets.fashion_mnist import FILES, read_raw
from components.datasets.prepare import pixel_statistics
from components.models.lenet import lenet
from components.settings import Settings
from components.training.classifier import train_classifier
from components.training.config import TrainConfig
from components.training.precision import pick_device, synchronise
from components.training.reporting import SilentReporter

ROUNDS = 5
BATCH_SIZE = 128
LR = 0.1
RAW = "raw"
BOOK = "components.benchmarks.lenet:book_epoch"
OURS = "components.benchmarks.lenet:our_epoch"


def lenet_cpu(say: Callable[[str], None]) -> BenchmarkResult:
    """Seconds for an epoch over 60,000 images plus validation on 10,000, in turn, on the CPU.

    Same network, batch size, fp32 and plain SGD on both sides; the first round is not counted.

    Raises:
        ConfigError: If a side cannot run, as when d2l is not installed.
        DataError: If Fashion-MNIST cannot be had.
    """
    return _benchmark("lenet-cpu", say)


def lenet_gpu(say: Callable[[str], None]) -> BenchmarkResult:
    """As `lenet_cpu`, on a GPU; ours replays CUDA graphs.

    Raises:
        ConfigError: If there is no GPU, or a side cannot run.
        DataError: If Fashion-MNIST cannot be had.
    """
    require_gpu()
    return _benchmark("lenet-gpu", say)


def _benchmark(name: str, say: Callable[[str], None]) -> BenchmarkResult:
    settings = Settings.from_environment(os.environ)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        fetch_raw(settings, root / RAW)
        with (
            closing(Contestant(BOOK, root)) as book,
            closing(Contestant(OURS, root)) as us,
        ):
            book_seconds, our_seconds = [], []
            for counted in range(ROUNDS + 1):
                pair = book.seconds(), us.seconds()
                say(f"round {counted}: d2l {pair[0]:.2f} s, nightforge {pair[1]:.2f} s")
                if counted:
                    book_seconds.append(pair[0])
                    our_seconds.append(pair[1])
    return compare(
        name,
        f"one epoch of LeNet on Fashion-MNIST, batch {BATCH_SIZE}, fp32 SGD, validation included",
        ("d2l 1.0.3 FashionMNIST and Trainer", book_seconds),
        ("nightforge train_classifier", our_seconds),
    )


def book_epoch(root: Path) -> Callable[[], None]:
    """The book's side: its FashionMNIST loader, its LeNet, its Trainer."""
    warnings.filterwarnings("ignore", category=UserWarning)
    from d2l import torch as d2l

    _unpack_for_torchvision(root)
    with _inside(root / "code"):  # the book's data live in ../data
        data = d2l.FashionMNIST(batch_size=BATCH_SIZE)
    model = d2l.LeNet(lr=LR)
    model.apply_init([next(iter(data.get_dataloader(True)))[0]], d2l.init_cnn)
    model.board.display = False  # drawing is not part of training
    gpus = int(torch.cuda.is_available())

    def epoch() -> None:
        d2l.Trainer(max_epochs=1, num_gpus=gpus).fit(model, data)
        synchronise(pick_device())

    return epoch


def _unpack_for_torchvision(root: Path) -> None:
    raw = root / "data" / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    (root / "code").mkdir()
    for file in FILES:
        payload = gzip.decompress((root / RAW / file.name).read_bytes())
        (raw / file.name.removesuffix(".gz")).write_bytes(payload)


@contextmanager
def _inside(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def our_epoch(root: Path) -> Callable[[], None]:
    """Our side: resident data and `train_classifier`."""
    raw = read_raw(ReadRequest(root / RAW, HoldOutConfig(), root), FILES)
    assert raw.test
    mean, std = pixel_statistics(raw.train.images)
    device = pick_device()
    splits: list[DeviceSplit] = [
        to_device(part, mean, std, device) for part in (raw.train, raw.test)
    ]
    config = TrainConfig(
        epochs=1,
        batch_size=BATCH_SIZE,
        lr=LR,
        momentum=0,
        lr_schedule="constant",
        precision="fp32",
        cuda_graphs=True,
    )
    model = lenet((1, 28, 28), 10).to(device)

    def epoch() -> None:
        train_classifier(model, splits[0], splits[1], config, None, SilentReporter())

    return epoch
