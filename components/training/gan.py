"""The loop for GANs: two networks in turn, the generator averaged, its samples measured."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from components.datasets.device_loader import DeviceSplit, TensorSplit
from components.datasets.stream import StreamedSplit
from components.models.gan import Gan
from components.training.augment import AUGMENTATIONS
from components.training.config import GanConfig
from components.training.loop import Session, not_finite, refuse_not_finite
from components.training.memory import explained
from components.training.optim import make_schedule
from components.training.precision import mixed, peak_memory_mib, synchronise, tuned
from components.training.reporting import GanMetrics, Reporter, UInt8Images

GRID = 64  # pictures shown after each epoch
MEASURED = 1000  # samples whose distance is measured after each epoch
SAMPLE_BATCH = 250
GanSplit = DeviceSplit | StreamedSplit | TensorSplit
Distance = Callable[[torch.Tensor], float]


@dataclass(frozen=True)
class GanResult:
    """A finished training run.

    Attributes:
        history: One entry per epoch, including those of earlier attempts.
        resumed_from: Epochs that an earlier attempt had already finished.
        best_epoch: The epoch whose averaged weights the generator now has.
    """

    history: Sequence[GanMetrics]
    resumed_from: int
    best_epoch: int


def train_gan(
    gan: Gan,
    train: GanSplit,
    distance: Distance,
    config: GanConfig,
    folder: Path | None,
    reporter: Reporter,
    until: int | None = None,
) -> GanResult:
    """Train the pair in place (Goodfellow et al., 2014, with the non-saturating generator loss).

    The generator ends with the averaged weights of the epoch whose samples were nearest to the
    held-out data. Each step draws one batch of fakes for both networks, and the generator's
    update does not compute gradients of the discriminator's weights.

    Args:
        gan: Both networks on the data's device; initialised from `config.seed` by the caller.
        train: Real samples in the generator's range.
        distance: Of samples (MEASURED, ...) from held-out real ones; smaller is better.
        config: All tunable numbers.
        folder: Keeps the checkpoints; a run found there goes on. None keeps nothing.
        reporter: Told of every epoch, and shown samples from the same latents.
        until: Pause after so many epochs; the same call with more goes on from there.

    Raises:
        NonFiniteLossError: If a loss is not finite; the last good epoch's checkpoint stays.
        CheckpointError: If a checkpoint cannot be written or read.
        OutOfMemoryError: If a step does not fit; names the batch size that does.
    """
    device = train.device
    loop = _Loop(gan, config, train)
    session = Session(folder, loop.parts(), GanMetrics, device)

    def work() -> None:
        for epoch in session.epochs(config, reporter, until):
            with explained(config.batch_size, loop.attempt):
                metrics = loop.run(epoch, session, distance)
            if loop.samples.ndim == 4:  # before the checkpoint: shown twice rather than never
                reporter.on_samples(epoch, to_uint8(loop.samples[:GRID]))
            session.finish(metrics, -metrics.kernel_distance, loop.averaged.module.state_dict)

    with tuned(device, deterministic=config.deterministic):
        session.run(work)
    gan.generator.load_state_dict(session.best_weights)
    return GanResult(session.history, session.resumed_from, session.best_epoch)


class _Loop:
    def __init__(self, gan: Gan, config: GanConfig, train: GanSplit) -> None:
        self.gan, self.config, self.train = gan, config, train
        self.networks = gan.generator, gan.discriminator
        for network in self.networks:
            network.to(memory_format=torch.channels_last)
        self.optimizers = (
            _adam(gan.generator, config.lr_generator, config.beta1),
            _adam(gan.discriminator, config.lr_discriminator, config.beta1),
        )
        steps = config.epochs * math.ceil(len(train) / config.batch_size)
        self.schedules = tuple(
            make_schedule(optimizer, config.lr_schedule, total_steps=steps, warmup=0.0)
            for optimizer in self.optimizers
        )
        average = get_ema_multi_avg_fn(config.average)  # type: ignore[no-untyped-call]
        self.averaged = AveragedModel(gan.generator, multi_avg_fn=average, use_buffers=True)
        fixed = torch.Generator().manual_seed(config.seed)
        half = torch.randn(MEASURED // 2, gan.latent_dim, generator=fixed).to(train.device)
        self.fixed = torch.cat([half, -half])  # their mean is exactly that of the distribution
        self.samples = torch.empty(0)

    def parts(self) -> dict[str, Any]:
        """Everything with a state."""
        return {
            "generator": self.gan.generator,
            "discriminator": self.gan.discriminator,
            "averaged": self.averaged,
            "generator_optimizer": self.optimizers[0],
            "discriminator_optimizer": self.optimizers[1],
            "generator_schedule": self.schedules[0],
            "discriminator_schedule": self.schedules[1],
        }

    def run(self, epoch: int, session: Session[GanMetrics], distance: Distance) -> GanMetrics:
        """One epoch: every real sample once, then the distance of the averaged generator."""
        config, device, start = self.config, self.train.device, time.perf_counter()
        steps = math.ceil(len(self.train) / config.batch_size)
        progress = session.begin(epoch, config.seed, steps, columns=4)
        first = progress.step
        for network in self.networks:
            network.train()
        batches = self.train.shuffled(config.batch_size, progress.generator)
        for real, _ in session.batches(progress, batches):
            progress.table[progress.step] = self._step(AUGMENTATIONS[config.augment](real))
        synchronise(device)
        trained, done = time.perf_counter() - start, max(1, progress.step - first)
        table = progress.table[: progress.step].cpu()
        rate = max(config.lr_generator, config.lr_discriminator)
        refuse_not_finite(table[:, :2].sum(1).tolist(), [rate] * len(table), epoch)
        self.samples = sample(self.averaged, self.fixed)
        means, nearness = table.mean(0).tolist(), distance(self.samples)
        if not math.isfinite(nearness):
            raise not_finite(f"kernel distance of epoch {epoch}", nearness, rate)
        return GanMetrics(
            epoch=epoch,
            discriminator_loss=means[0],
            generator_loss=means[1],
            d_real=means[2],
            d_fake=means[3],
            kernel_distance=nearness,
            seconds=time.perf_counter() - start,
            images_per_second=len(self.train) * done / progress.step / trained,
            step_milliseconds=1000 * trained / done,
            peak_memory_mib=peak_memory_mib(device),
        )

    def _step(self, real: torch.Tensor) -> torch.Tensor:
        """Update discriminator, generator and average; both losses, D(real) and D(fake)."""
        generator, discriminator = self.networks
        latent = torch.randn(len(real), self.gan.latent_dim, device=real.device)
        with mixed(self.config.precision, real.device):
            fake = generator(latent)
            on_real, on_fake = discriminator(real).float(), discriminator(fake.detach()).float()
        target = 1 - self.config.label_smoothing
        discriminator_loss = (_loss(on_real, target) + _loss(on_fake, 0.0)) / 2
        _update(self.optimizers[1], discriminator_loss)
        discriminator.requires_grad_(False)
        with mixed(self.config.precision, real.device):
            judged = discriminator(fake).float()
        generator_loss = _loss(judged, 1.0)
        _update(self.optimizers[0], generator_loss)
        discriminator.requires_grad_(True)
        for schedule in self.schedules:
            schedule.step()
        self.averaged.update_parameters(generator)
        with torch.no_grad():
            scores = on_real.sigmoid().mean(), on_fake.sigmoid().mean()
            return torch.stack([discriminator_loss, generator_loss, *scores])

    def attempt(self, size: int) -> None:
        """One step over `size` samples without any update."""
        generator, discriminator = self.networks
        real, _ = next(iter(self.train.shuffled(size, torch.Generator().manual_seed(0))))
        fake = generator(torch.randn(size, self.gan.latent_dim, device=real.device))
        (discriminator(real).sum() + discriminator(fake).sum()).backward()
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)


def _adam(network: nn.Module, lr: float, beta1: float) -> torch.optim.Optimizer:
    return torch.optim.Adam(network.parameters(), lr=lr, betas=(beta1, 0.999), fused=True)


def _update(optimizer: torch.optim.Optimizer, loss: torch.Tensor) -> None:
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()


def _loss(scores: torch.Tensor, target: float) -> torch.Tensor:
    return F.binary_cross_entropy_with_logits(scores, torch.full_like(scores, target))


@torch.inference_mode()
def sample(generator: nn.Module, latents: torch.Tensor) -> torch.Tensor:
    """Samples of a generator in evaluation mode, (N, ...) float32 for latents (N, latent_dim)."""
    generator.eval()
    return torch.cat([generator(part).float() for part in torch.split(latents, SAMPLE_BATCH)])


def to_uint8(pictures: torch.Tensor) -> UInt8Images:
    """(N, C, H, W) in [-1, 1] to (N, H, W, C) uint8."""
    scaled = (pictures.float() + 1).mul(127.5).round().clamp(0, 255)
    array: UInt8Images = scaled.byte().permute(0, 2, 3, 1).cpu().numpy().astype(np.uint8)
    return array
