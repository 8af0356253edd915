"""DCGAN steps: the book's update_D and update_G over ImageFolder and DataLoader against ours."""

from __future__ import annotations

import os
import tempfile
import warnings
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import torch
from torch import nn

from components.benchmarks.base import BenchmarkResult, Contestant, compare, require_gpu
from components.datasets import sprites
from components.datasets.base import RawImages, ReadRequest
from components.datasets.device_loader import to_device
from components.datasets.image_pool import PoolConfig
from components.models.dcgan import dcgan
from components.models.gan import Gan
from components.models.network import DcganConfig
from components.training.config import GanConfig
from components.training.gan import train_gan
from components.training.precision import pick_device
from components.training.reporting import SilentReporter

ROUNDS = 3
BATCH_SIZE = 256
LR = 0.005
LATENT = 100
WORKERS = 2
HERE = "components.benchmarks.dcgan"
GPU_SPRITES = sprites.SpritesConfig(species=256, per_species=80)
CPU_SPRITES = sprites.SpritesConfig(species=64, per_species=16)


def dcgan_cpu(say: Callable[[str], None]) -> BenchmarkResult:
    """One epoch over 1,024 sprites of 64 x 64, in turn, on the CPU."""
    return _benchmark("dcgan-cpu", CPU_SPRITES, say)


def dcgan_gpu(say: Callable[[str], None]) -> BenchmarkResult:
    """One epoch over 20,480 sprites of 64 x 64, in turn, on a GPU; ours in bf16 where it has it.

    Raises:
        ConfigError: If there is no GPU.
    """
    require_gpu()
    return _benchmark("dcgan-gpu", GPU_SPRITES, say)


def _benchmark(
    name: str, config: sprites.SpritesConfig, say: Callable[[str], None]
) -> BenchmarkResult:
    count = config.species * config.per_species
    theirs, ours = [], []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        sprites.write_zip(config, root / sprites.ARCHIVE)
        with (
            closing(Contestant(f"{HERE}:book_epoch", root)) as book,
            closing(Contestant(f"{HERE}:our_epoch", root)) as us,
        ):
            for counted in range(ROUNDS + 1):
                pair = book.seconds(), us.seconds()
                say(
                    f"round {counted}: d2l {pair[0]:.2f} s ({count / pair[0]:.1f}/s), "
                    f"nightforge {pair[1]:.2f} s ({count / pair[1]:.1f}/s)"
                )
                if counted:
                    theirs.append(pair[0])
                    ours.append(pair[1])
    return compare(
        name,
        f"one epoch of DCGAN over {count:,} sprites of 64 x 64, batch {BATCH_SIZE}, the same "
        "networks and Adam",
        ("d2l 1.0.3 update_D, update_G; torchvision ImageFolder, DataLoader", theirs),
        ("nightforge train_gan", ours),
    )


def _networks(device: torch.device) -> Gan:
    torch.manual_seed(0)
    pair = dcgan((3, 64, 64), DcganConfig(latent_dim=LATENT))
    for network in (pair.generator, pair.discriminator):
        network.to(device)
    return pair


def book_epoch(root: Path) -> Callable[[], None]:
    """The book's side: pictures decoded and scaled anew in every epoch, its two updates."""
    warnings.filterwarnings("ignore", category=UserWarning)
    from d2l import torch as d2l
    from torchvision import datasets, transforms

    with zipfile.ZipFile(root / sprites.ARCHIVE) as archive:
        archive.extractall(root / "pictures")
    transform = transforms.Compose(
        [transforms.Resize((64, 64)), transforms.ToTensor(), transforms.Normalize(0.5, 0.5)]
    )
    pictures = datasets.ImageFolder(str(root / "pictures"), transform)
    device, loss = pick_device(), nn.BCEWithLogitsLoss(reduction="sum")
    pair = _networks(device)
    trainers = [
        torch.optim.Adam(network.parameters(), lr=LR, betas=(0.5, 0.999))
        for network in (pair.discriminator, pair.generator)
    ]

    def epoch() -> None:
        loader = torch.utils.data.DataLoader(
            pictures, batch_size=BATCH_SIZE, shuffle=True, num_workers=WORKERS
        )
        sums = torch.zeros(2)
        for real, _ in loader:
            real = real.to(device)
            latent = torch.randn(len(real), LATENT, device=device)
            discriminator, generator = pair.discriminator, pair.generator
            sums[0] += d2l.update_D(real, latent, discriminator, generator, loss, trainers[0]).cpu()
            sums[1] += d2l.update_G(latent, discriminator, generator, loss, trainers[1]).cpu()

    return epoch


def our_epoch(root: Path) -> Callable[[], None]:
    """Our side: pictures on the device; `train_gan` also draws 1,000 samples after the epoch."""
    device, half = pick_device(), (0.5, 0.5, 0.5)
    scratch = root / "scratch"
    scratch.mkdir()
    (root / "raw").mkdir()
    os.link(root / sprites.ARCHIVE, root / "raw" / sprites.ARCHIVE)
    raw = sprites.SPEC.read(ReadRequest(root / "raw", PoolConfig(), scratch))
    assert isinstance(raw, RawImages)
    train = to_device(raw.train, half, half, device)
    pair = _networks(device)
    config = GanConfig(
        epochs=1,
        batch_size=BATCH_SIZE,
        lr_generator=LR,
        lr_discriminator=LR,
        label_smoothing=0.0,
        precision="auto",
    )

    def epoch() -> None:
        train_gan(pair, train, lambda samples: 0.0, config, None, SilentReporter())

    return epoch
