"""Evaluating a generator against held-out real samples."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from components.evaluation.classification import Subject
from components.evaluation.cost import latency, size_bytes
from components.evaluation.kernel_distance import FEATURE_BATCH, SUBSET, GenerationReference
from components.evaluation.report import GenerationReport

MEASURED_SAMPLES = 2000
LATENT_SEED = 20260101


@torch.inference_mode()
def evaluate_generator(
    model: nn.Module,
    latent_dim: int,
    reference: GenerationReference,
    subject: Subject,
    size: tuple[int, int] | None = None,
) -> tuple[GenerationReport, torch.Tensor]:
    """Measure MEASURED_SAMPLES samples, from latents that are the same for every generator.

    Args:
        model: From latents (B, latent_dim) to pictures (B, C, H, W) in [0, 1], or points (B, d).
        latent_dim: Length of a latent vector.
        reference: Held-out real samples, pictures in [-1, 1].
        subject: Names for the report.
        size: (H, W) of the real pictures; None for points. A generator made for another size is
            measured by its resized pictures.

    Returns:
        The report, and the samples in the range of the reference.
    """
    drawn = torch.Generator().manual_seed(LATENT_SEED)
    latents = torch.randn(MEASURED_SAMPLES, latent_dim, generator=drawn).to(reference.device)
    parts = [model(part).float() for part in torch.split(latents, FEATURE_BATCH)]
    samples = torch.cat(parts)
    if samples.ndim == 4:
        samples = samples * 2 - 1
    if size and tuple(samples.shape[2:]) != size:
        samples = F.interpolate(samples, size, mode="bilinear", antialias=True)
    distance, kernels = reference.distance(samples), reference.mean_kernels(samples)
    speed = latency(model, latents[:1])
    return (
        GenerationReport(
            model=subject.model,
            dataset=subject.dataset,
            dataset_version=subject.dataset_version,
            kernel_distance=distance.mean,
            kernel_deviation=distance.deviation,
            subset=min(SUBSET, reference.count),
            within=kernels.within,
            towards=kernels.towards,
            real=kernels.real,
            latency_ms=speed.median,
            latency_quartiles_ms=speed.quartiles,
            size_bytes=size_bytes(model),
        ),
        samples,
    )
