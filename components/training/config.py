"""The numbers of the training loops, apart from the loops: reading them needs no PyTorch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Precision = Literal["auto", "fp32", "bf16"]
OptimizerName = Literal["sgd", "adam", "adamw"]
ScheduleName = Literal["constant", "one_cycle", "cosine"]
Augmentation = Literal["none", "flip", "crop_flip"]


class LoopConfig(BaseModel):
    """The numbers that every loop has."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: Annotated[int, Field(ge=1, le=1000, description="Passes over the training data")] = 10
    batch_size: Annotated[
        int, Field(ge=1, le=65536, description="Examples per step, over all processes")
    ] = 128
    precision: Annotated[
        Precision,
        Field(description="Of the arithmetic; auto is bf16 on GPUs that have it, fp32 elsewhere"),
    ] = "auto"
    deterministic: Annotated[
        bool,
        Field(description="On a GPU, slower kernels that repeat bit for bit; a CPU always does"),
    ] = False
    patience: Annotated[
        int,
        Field(
            ge=0, le=1000, description="Stop after so many epochs without a better one; never if 0"
        ),
    ] = 0
    max_minutes: Annotated[
        float,
        Field(ge=0, le=100_000, description="Stop after the epoch that exceeds it; never if 0"),
    ] = 0.0
    resident_gib: Annotated[
        float,
        Field(
            gt=0,
            le=1024,
            description="Splits up to this many GiB of pixels are held on the device; larger ones "
            "are streamed in shuffled blocks",
        ),
    ] = 8.0
    seed: Annotated[
        int,
        Field(
            ge=0, le=2**31 - 1, description="Same seed and inputs: the same weights, bit for bit"
        ),
    ] = 0


class TrainConfig(LoopConfig):
    """How a classifier or regressor is trained (params.yaml: training)."""

    optimizer: Annotated[OptimizerName, Field(description="Update rule")] = "sgd"
    lr: Annotated[float, Field(gt=0, le=100, description="Peak learning rate")] = 0.1
    momentum: Annotated[
        float, Field(ge=0, lt=1, description="SGD momentum; first beta of Adam if not 0")
    ] = 0.9
    weight_decay: Annotated[
        float, Field(ge=0, le=10, description="On weights, not on biases and norms")
    ] = 0.0
    lr_schedule: Annotated[ScheduleName, Field(description="Course of the learning rate")] = (
        "one_cycle"
    )
    warmup: Annotated[
        float, Field(ge=0, lt=1, description="Share of the steps in which the rate rises")
    ] = 0.2
    label_smoothing: Annotated[
        float, Field(ge=0, lt=1, description="Probability spread over the other classes")
    ] = 0.0
    clip_norm: Annotated[
        float, Field(ge=0, le=1e6, description="Largest norm of the gradient; 0: as it comes")
    ] = 0.0
    augment: Annotated[
        Augmentation,
        Field(description="Of training images; crop_flip pads by 4, cuts at random and mirrors"),
    ] = "none"
    examples: Annotated[
        int,
        Field(ge=0, le=10**9, description="Learn from so many, drawn by the seed; from all if 0"),
    ] = 0
    compile: Annotated[
        bool, Field(description="Translate the network with torch.compile; costs a minute first")
    ] = False
    processes: Annotated[
        int, Field(ge=1, le=64, description="That share every batch: one for each GPU (torchrun)")
    ] = 1
    cuda_graphs: Annotated[
        bool, Field(description="On one GPU, replay recorded kernels; for small networks")
    ] = False


class GanConfig(LoopConfig):
    """How a GAN is trained (params.yaml: gan); the optimiser is Adam."""

    epochs: Annotated[int, Field(ge=1, le=10_000, description="Passes over the training data")] = 20
    batch_size: Annotated[int, Field(ge=2, le=65536, description="Real samples per step")] = 32
    lr_generator: Annotated[
        float, Field(gt=0, le=1, description="Learning rate of the generator")
    ] = 0.002
    lr_discriminator: Annotated[
        float, Field(gt=0, le=1, description="Learning rate of the discriminator")
    ] = 0.0002
    lr_schedule: Annotated[
        ScheduleName, Field(description="Course of both rates; without a warm-up")
    ] = "constant"
    beta1: Annotated[float, Field(ge=0, lt=1, description="Adam's first beta")] = 0.5
    label_smoothing: Annotated[
        float, Field(ge=0, lt=0.5, description="How far the label of real samples is below 1")
    ] = 0.1
    average: Annotated[
        float,
        Field(ge=0, lt=1, description="Weight of the past, at each step, in the generator shown"),
    ] = 0.99
    augment: Annotated[Augmentation, Field(description="Of real pictures")] = "none"
