"""Locks by files, for who does not want to wait and may remove the file while holding it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def try_lock(path: Path) -> Iterator[bool]:
    """Hold a lock file, which is made if need be; the value says whether it is held.

    Whoever waits for it meanwhile must see afterwards whether it still stands there.

    Args:
        path: In a folder that exists.
    """
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        yield _locked(file) and _stands(file, path)
    finally:
        os.close(file)


def held(path: Path) -> bool:
    """Whether somebody holds a lock file; False if there is none."""
    try:
        file = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        return not _locked(file)
    finally:
        os.close(file)


def _locked(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _stands(file: int, path: Path) -> bool:
    """Whether the file was not removed, or replaced, before it was locked."""
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False
