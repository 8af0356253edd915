"""Where to compute, and with how many bits."""

from __future__ import annotations

import torch


def pick_device() -> torch.device:
    """The first CUDA device, or the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def describe_device(device: torch.device) -> str:
    """The device with what decides its speed ("cpu, 2 threads")."""
    if device.type == "cuda":
        return f"cuda, {torch.cuda.get_device_name(device)}"
    return f"{device.type}, {torch.get_num_threads()} threads"


def synchronise(device: torch.device) -> None:
    """Wait until all work queued on `device` is done, so that clocks tell the truth."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
