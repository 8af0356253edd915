"""Checkpoints that are either whole or not there, and load without pickle."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

from components.errors import CheckpointError

LAST = "last.pt"
BEST = "best.pt"

State = dict[str, Any]


def save_checkpoint(path: Path, state: State) -> None:
    """Write `state` under a temporary name, flush it to the disk, then rename it to `path`.

    Raises:
        CheckpointError: If the disk is full or the folder cannot be written.
    """
    temporary = path.with_name(path.name + ".tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as stream:
            torch.save(state, stream)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
        _sync_directory(path.parent)
    except OSError as error:
        raise CheckpointError(
            f"checkpoint {path}",
            got=error.strerror or str(error),
            wanted="a writable folder with space left",
            remedy="Free space or correct the permissions; the previous checkpoint is intact.",
        ) from None


def _sync_directory(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def load_checkpoint(path: Path, device: torch.device) -> State | None:
    """The state saved at `path`, or None where there is none.

    Raises:
        CheckpointError: If the file is not a checkpoint.
    """
    if not path.exists():
        return None
    try:
        state: State = torch.load(path, map_location=device, weights_only=True)
    except Exception as error:  # torch raises pickle, zip, runtime and EOF errors alike
        raise CheckpointError(
            f"checkpoint {path}",
            got=f"an unreadable file ({type(error).__name__})",
            wanted="a checkpoint written by this version",
            remedy="Delete the file; the run then starts from the beginning.",
        ) from error
    return state
