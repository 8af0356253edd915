"""Where to compute, with how many bits, and how repeatably."""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import torch

from components.allocator import keep_freed_memory
from components.errors import ConfigError
from components.training.config import Precision

MIB = 1 << 20


def pick_device() -> torch.device:
    """The current CUDA device, or the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def describe_device(device: torch.device) -> str:
    """The device with what decides its speed ("cpu, 2 threads")."""
    if device.type == "cuda":
        return f"cuda, {torch.cuda.get_device_name(device)}"
    threads = torch.get_num_threads()
    return f"{device.type}, {threads} thread{'s' if threads > 1 else ''}"


def synchronise(device: torch.device) -> None:
    """Wait until all work queued on `device` is done, so that clocks tell the truth."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def mixed(precision: Precision, device: torch.device) -> AbstractContextManager[object]:
    """The context in which a forward pass is computed.

    Raises:
        ConfigError: If bf16 is asked for and the GPU does not have it.
    """
    has_it = device.type == "cpu" or torch.cuda.is_bf16_supported(including_emulation=False)
    if precision == "bf16" and not has_it:
        raise ConfigError(
            "precision",
            got="bf16",
            wanted=f"fp32 or auto: {torch.cuda.get_device_name(device)} has no bf16",
            remedy="Set training.precision=auto.",
        )
    enabled = precision == "bf16" or (precision == "auto" and device.type == "cuda" and has_it)
    # Without the cache, weights changed in place between two passes are cast anew.
    return torch.autocast(device.type, torch.bfloat16, enabled=enabled, cache_enabled=False)


@contextmanager
def tuned(device: torch.device, *, deterministic: bool) -> Iterator[None]:
    """Settings of the whole process, put back afterwards."""
    if device.type == "cpu":
        keep_freed_memory()
        yield
        return
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read at cuBLAS's first call
    before = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
    torch.use_deterministic_algorithms(deterministic)
    torch.backends.cudnn.benchmark = not deterministic
    torch.cuda.reset_peak_memory_stats(device)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0])
        torch.backends.cudnn.benchmark = before[1]


def peak_memory_mib(device: torch.device) -> float:
    """Largest memory so far, in MiB: allocated on a GPU, resident of this process on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / MIB
    unit = 1024 if sys.platform == "linux" else 1
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / MIB
