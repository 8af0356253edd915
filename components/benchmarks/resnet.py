"""ResNet-18 on CIFAR-shaped pictures: the book's Trainer over torchvision against ours."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

from components.benchmarks.base import BenchmarkResult, Contestant, compare, require_gpu
from components.datasets.base import Arrays
from components.datasets.device_loader import to_device
from components.models.resnet import resnet18
from components.training.classifier import train_classifier
from components.training.config import TrainConfig
from components.training.precision import pick_device, synchronise
from components.training.reporting import SilentReporter

ROUNDS = 3
BATCH_SIZE = 256
LR = 0.05
WORKERS = 4
SHAPE, CLASSES = (3, 32, 32), 10
TRAIN, VALIDATION = 40_000, 10_000
HERE = "components.benchmarks.resnet"


def resnet_gpu(say: Callable[[str], None]) -> BenchmarkResult:
    """One epoch over 40,000 random pictures, padded, cut and mirrored, validation on 10,000.

    The book's side computes in fp32, ours in bf16 where the GPU has it.

    Raises:
        ConfigError: If there is no GPU, or a side cannot run.
    """
    require_gpu()
    theirs, ours = [], []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        draw(root, TRAIN, VALIDATION)
        with (
            closing(Contestant(f"{HERE}:book_epoch", root)) as book,
            closing(Contestant(f"{HERE}:our_epoch", root)) as us,
        ):
            for counted in range(ROUNDS + 1):
                pair = book.seconds(), us.seconds()
                say(f"round {counted}: d2l {pair[0]:.2f} s, nightforge {pair[1]:.2f} s")
                if counted:
                    theirs.append(pair[0])
                    ours.append(pair[1])
    return compare(
        "resnet-gpu",
        f"one epoch of ResNet-18 on {TRAIN:,} CIFAR-shaped random pictures, batch {BATCH_SIZE}, "
        "crop and flip, validation included; fp32 against bf16",
        ("d2l 1.0.3 Trainer, torchvision transforms, DataLoader", theirs),
        ("nightforge train_classifier", ours),
    )


def draw(root: Path, train: int, validation: int) -> None:
    """Random pictures and labels for both sides."""
    rng = np.random.default_rng(0)
    for part, count in (("train", train), ("validation", validation)):
        np.save(root / f"{part}.npy", rng.integers(0, 256, (count, *SHAPE), dtype=np.uint8))
        np.save(root / f"{part}_labels.npy", rng.integers(0, CLASSES, count))


def _arrays(root: Path, part: str) -> Arrays:
    return Arrays(np.load(root / f"{part}.npy"), np.load(root / f"{part}_labels.npy"))


class _Pictures(torch.utils.data.Dataset[Any]):
    """What torchvision's CIFAR10 gives: a PIL image, transformed, and a label."""

    def __init__(self, arrays: Arrays, transform: Callable[[Any], torch.Tensor]) -> None:
        self._pictures = np.ascontiguousarray(arrays.images.transpose(0, 2, 3, 1))
        self._labels, self._transform = arrays.labels, transform

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        from PIL import Image

        picture = Image.fromarray(self._pictures[index])
        return self._transform(picture), int(self._labels[index])


def book_epoch(root: Path) -> Callable[[], None]:
    """The book's side: its Classifier and Trainer over torchvision's transforms."""
    warnings.filterwarnings("ignore", category=UserWarning)
    from d2l import torch as d2l
    from torchvision import transforms

    augmented = transforms.Compose(
        [transforms.RandomCrop(32, 4), transforms.RandomHorizontalFlip(), transforms.ToTensor()]
    )

    class Data(d2l.DataModule):  # type: ignore[misc]
        def get_dataloader(self, train: bool) -> torch.utils.data.DataLoader[Any]:
            part = "train" if train else "validation"
            transform = augmented if train else transforms.ToTensor()
            pictures = _Pictures(_arrays(root, part), transform)
            return torch.utils.data.DataLoader(
                pictures, BATCH_SIZE, shuffle=train, num_workers=WORKERS
            )

    class Network(d2l.Classifier):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.save_hyperparameters()
            self.lr, self.net = LR, resnet18(SHAPE, CLASSES)

        def loss(self, scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
            return F.cross_entropy(scores, labels)

    model, data = Network(), Data()
    model.board.display = False  # drawing is not part of training

    def epoch() -> None:
        d2l.Trainer(max_epochs=1, num_gpus=int(torch.cuda.is_available())).fit(model, data)
        synchronise(pick_device())

    return epoch


def our_epoch(root: Path) -> Callable[[], None]:
    """Our side: pictures on the device, augmented there in batches."""
    device, half = pick_device(), (0.5, 0.5, 0.5)
    train, validation = (
        to_device(_arrays(root, part), half, half, device) for part in ("train", "validation")
    )
    config = TrainConfig(
        epochs=1,
        batch_size=BATCH_SIZE,
        lr=LR,
        momentum=0,
        lr_schedule="constant",
        augment="crop_flip",
    )
    torch.manual_seed(0)
    model = resnet18(SHAPE, CLASSES).to(device)

    def epoch() -> None:
        train_classifier(model, train, validation, config, None, SilentReporter())

    return epoch
